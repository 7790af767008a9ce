//! Anthropic's Messages API, of version 2023-06-01 where it is an upstream: the one that takes sampling fields.
//!
//! Only one answer can be told to its clients: of several, the first.

mod block;
mod error;
mod read_chat;
mod read_reply;
mod read_stream;
mod stop_reason;
mod usage;
mod write_chat;
mod write_reply;
mod write_stream;

use shared::config::Dialect;

pub(crate) use error::error_body;
pub(crate) use read_chat::read_chat;
pub(crate) use read_reply::read_reply;
pub(crate) use read_stream::Reader;
pub(crate) use write_chat::write_chat;
pub(crate) use write_reply::write_reply;
pub(crate) use write_stream::Writer;

/// Whose proofs of thought are this dialect's own.
const OWN: Dialect = Dialect::AnthropicMessages;

/// The one type of text documents: this dialect sends the text itself where all others want base64.
const PLAIN_TEXT: &str = "text/plain";
