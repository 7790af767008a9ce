//! The simulator as its clients and its tests see it: over HTTP.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test harness fails by panicking"
)]
#![expect(
    clippy::needless_pass_by_value,
    reason = "JSON is written where it is passed"
)]

mod harness;

mod answers;
mod anthropic;
mod azure;
mod bedrock;
mod connections;
mod counts;
mod faults;
mod gemini;
mod limits;
mod media;
mod ollama;
mod openai_chat;
mod responses;
mod streams;
