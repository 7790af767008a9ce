//! The shared state against a real Redis: one binary, one module per theme.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test harness fails by panicking, and says what it met"
)]

mod audit;
mod catalog;
mod conformance;
mod differential;
mod health;
mod leader;
mod mutants;
mod queue_order;
mod server;
mod sessions;
mod world;
