//! `POST /api/chat`, `/api/generate`, `/api/embed` and `/api/embeddings`.

mod embeddings;
mod messages;
mod options;
mod reply;
mod request;
mod stream;

pub(super) use self::embeddings::{read_embed, read_embeddings};
pub(super) use self::reply::body;
pub(super) use self::request::{Kind, read_chat, read_generate};
pub(super) use self::stream::Writer;
