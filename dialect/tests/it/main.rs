//! Translations as files: what goes in, and what comes out in each other dialect.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test harness fails by panicking"
)]

mod aws_messages;
mod fixtures;
mod fuzz;
mod replies;
mod requests;
mod streams;
