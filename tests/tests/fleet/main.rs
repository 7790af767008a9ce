//! Promises about the fleet, each kept by real processes; figures are printed beside their targets.
//!
//! Nearly all of them load the machine, so each takes it for itself ([`tests::figures::alone`]). `SLUICE_LONG=1` runs
//! the long forms.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

mod aborts;
mod catalog;
mod chaos;
mod concurrency;
mod coordinator;
mod cost;
mod death;
mod demo;
mod errors;
mod failover;
mod health;
mod queue;
mod redis_faults;
mod redis_link;
mod redis_trouble;
mod stored_responses;
mod strategies;
mod upstream_faults;
mod windows;
