//! The wire languages of clients and providers: bytes and values in, values and bytes out.
//!
//! Pure: no async, no I/O, no HTTP. A request whose upstream speaks the client's own dialect goes through as bytes, with
//! what the router changes spliced in ([`Ask`], [`StreamRelay`]). Any other is read into one canonical form ([`canon`])
//! and written from it; no dialect's module knows another's. [`wire`] is the switchboard: the one place that knows which
//! module speaks which dialect.

mod anthropic_messages;
mod ask;
mod base64;
mod bedrock_converse;
pub mod canon;
mod endpoint;
mod error;
mod exchange;
mod framing;
mod gemini_generate;
mod inspect;
mod listing;
mod ollama_chat;
mod one_line;
mod openai_chat;
mod openai_responses;
mod place;
mod relay;
mod scan;
mod splice;
mod tokens;
mod usage;
pub mod wire;

pub use ask::{Ask, BadRequest, Needs, PathFacts};
pub use canon::Overrides;
pub use endpoint::{Endpoint, Operation, StoredAction};
pub use error::{ErrorBody, ErrorType, UpstreamError};
pub use exchange::{Answered, Exchange, Target, goes_through};
pub use framing::{AwsMessage, Framing};
pub use inspect::{Inspected, ReplyFault, inspect_reply};
pub use relay::{Passing, StreamFault, StreamFaultKind, StreamRelay};
pub use tokens::{TokenCounter, TokenizerError};
pub use usage::Usage;
