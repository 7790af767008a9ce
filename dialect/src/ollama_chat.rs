//! Ollama's own API.

mod answer;
mod arguments;
mod embedding;
mod error;
mod line;
mod listing;
mod load;
mod read_chat;
mod read_reply;
mod read_stream;
mod timestamp;
mod write_chat;
mod write_reply;
mod write_stream;

pub(crate) use embedding::{
    read_ask as read_embedding_ask, read_reply as read_embedding_reply,
    write_ask as write_embedding_ask, write_reply as write_embedding_reply,
};
pub(crate) use error::error_body;
pub use listing::{ollama_ps, ollama_show, ollama_tags};
pub use load::{Load, load_reply};
pub(crate) use read_chat::read_chat;
pub(crate) use read_reply::read_reply;
pub(crate) use read_stream::Reader;
pub use timestamp::rfc3339;
pub(crate) use write_chat::write_chat;
pub(crate) use write_reply::write_reply;
pub(crate) use write_stream::Writer;
