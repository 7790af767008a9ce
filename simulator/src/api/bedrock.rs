//! `POST /model/{id}/converse` and `/converse-stream`.

mod blocks;
mod frames;
mod reply;
mod request;
mod stream;
mod tools;

pub(super) use self::reply::body;
pub(super) use self::request::read;
pub(super) use self::stream::Writer;

/// What is signed of thoughts: the signature that comes with them.
fn signature(thoughts: &str) -> String {
    crate::signature::of("bedrock", thoughts)
}

/// The ids of calls: the request's number and the call's.
fn tool_use_id(id: u64, call: usize) -> String {
    format!("tooluse_{id:020x}{call:02}")
}
