//! `POST /v1/messages` and `/v1/messages/count_tokens`.

mod blocks;
mod reply;
mod request;
mod stream;
mod tools;

pub(super) use self::reply::body;
pub(super) use self::request::{read, read_count};
pub(super) use self::stream::Writer;

/// Whose signatures hold here.
const ISSUER: &str = "anthropic";

/// What is signed of thoughts: the signature that comes with them.
fn signature(thoughts: &str) -> String {
    crate::signature::of(ISSUER, thoughts)
}

/// The ids of calls: the request's number and the call's.
fn tool_use_id(id: u64, call: usize) -> String {
    format!("toolu_{id:020x}{call:02}")
}

fn message_id(id: u64) -> String {
    format!("msg_{id:024x}")
}
