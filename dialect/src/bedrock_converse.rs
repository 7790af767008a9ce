//! Amazon Bedrock's Converse API; no client speaks it here.
//!
//! Names and shapes are those of botocore's `bedrock-runtime/service-2.json`. The model and whether the answer is a
//! stream stand in the path, so neither is in a body.

mod answer;
mod exception;
mod read_reply;
mod read_stream;
mod write_chat;

use shared::config::Dialect;

pub(crate) use exception::error_of_body;
pub(crate) use read_reply::read_reply;
pub(crate) use read_stream::Reader;
pub(crate) use write_chat::write_chat;

/// Whose proofs of thought are this dialect's own.
const OWN: Dialect = Dialect::BedrockConverse;
