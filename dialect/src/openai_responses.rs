//! OpenAI's Responses API.

mod error;
mod fields;
mod item;
mod output;
mod read_chat;
mod read_reply;
mod read_stream;
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
const OWN: Dialect = Dialect::OpenaiResponses;
