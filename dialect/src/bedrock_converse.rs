//! Amazon Bedrock's Converse API; no client speaks it here.

mod read_reply;
mod read_stream;
mod write_chat;

pub(crate) use read_reply::read_reply;
pub(crate) use read_stream::Reader;
pub(crate) use write_chat::write_chat;
