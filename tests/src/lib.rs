//! The fleet as a user and an operator see it: real processes, a real Redis, raw sockets.
//!
//! What runs is in [`fleet`], [`redis`] and [`oracle`]; what clients do is in [`client`] and [`load`]. The tests
//! themselves are in `tests/fleet`. Nothing here knows how the router works inside, only what it documents.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test harness fails by panicking"
)]

pub mod client;
pub mod figures;
pub mod fleet;
pub mod ingress;
pub mod load;
pub mod oracle;
pub mod proxy;
pub mod records;
pub mod redis;
pub mod streams;

mod ports;
mod process;

pub use ports::free_address;
pub use process::Process;
