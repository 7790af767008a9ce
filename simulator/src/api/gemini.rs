//! `POST /v1beta/models/{model}:{method}`, under `/v1` too.

mod config;
mod contents;
mod embeddings;
mod reply;
mod request;
mod schema;
mod stream;
mod tools;

pub(super) use self::embeddings::{read_batch_embed, read_embed};
pub(super) use self::reply::body;
pub(super) use self::request::{read, read_count};
pub(super) use self::stream::{Framing, Writer};

/// Whose signatures hold here.
const ISSUER: &str = "gemini";

/// What Google documents for histories that another model made.
const UNSIGNED: [&str; 2] = [
    "skip_thought_signature_validator",
    "context_engineering_is_the_way_to_go",
];

/// The signature on a call of the function `name`.
fn call_signature(name: &str) -> String {
    crate::signature::of(ISSUER, name)
}

/// The signature on an answer's text: it comes behind the text, so it is that of any text.
fn text_signature() -> String {
    crate::signature::of(ISSUER, "")
}

/// Models from here on want their signatures back.
fn wants_signatures(model: &str) -> bool {
    model.contains("gemini-3")
}
