//! The wire language of clients and upstreams, `openai_chat`: bytes in, bytes out.
//!
//! Pure: no async, no I/O, no HTTP. Bytes of requests and replies go through as they are; what routing needs is
//! found in one pass ([`Ask`], [`inspect_reply`], [`StreamRelay`]), and what it changes is spliced in.

mod error;
mod reply;
mod request;
mod scan;
mod splice;
mod sse;
mod stream;
mod tokens;
mod usage;

pub use error::{ErrorBody, ErrorType, UpstreamError};
pub use reply::{Reply, ReplyFault, inspect_reply};
pub use request::{Ask, BadRequest};
pub use stream::{StreamFault, StreamFaultKind, StreamRelay, cut_stream_event};
pub use tokens::{TokenCounter, TokenizerError};
pub use usage::Usage;

/// What a client can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    ChatCompletions,
    Completions,
    Embeddings,
}

impl Endpoint {
    /// Below `/v1` here, and below a provider's base URL there.
    pub fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/chat/completions",
            Self::Completions => "/completions",
            Self::Embeddings => "/embeddings",
        }
    }

    /// As a label of metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat_completions",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
        }
    }

    /// The request field that holds the prompt.
    fn prompt_field(self) -> &'static str {
        match self {
            Self::ChatCompletions => "messages",
            Self::Completions => "prompt",
            Self::Embeddings => "input",
        }
    }
}
