//! The simulator as its clients and its tests see it: over HTTP.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test harness fails by panicking"
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
mod ollama;
mod openai_chat;
mod responses;
mod streams;
