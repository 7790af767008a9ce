//! Google's Gemini API.

mod arguments;
mod embedding;
mod error;
mod finish;
mod incoming;
mod logprobs;
mod outgoing;
mod place;
mod read_chat;
mod read_reply;
mod read_stream;
mod usage;
mod write_chat;
mod write_reply;
mod write_stream;

use shared::config::Dialect;

pub(crate) use embedding::{
    read_ask as read_embedding_ask, read_reply as read_embedding_reply,
    write_ask as write_embedding_ask, write_reply as write_embedding_reply,
};
pub(crate) use error::error_body;
pub(crate) use read_chat::read_chat;
pub(crate) use read_reply::{observe_reply, read_reply};
pub(crate) use read_stream::Reader;
pub(crate) use write_chat::{knows_levels, write_chat};
pub(crate) use write_reply::write_reply;
pub(crate) use write_stream::Writer;

/// Whose proofs of thought are this dialect's own.
const OWN: Dialect = Dialect::GeminiGenerate;

#[cfg(test)]
mod tests;
