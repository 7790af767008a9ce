//! What routers and coordinators both speak: the catalog, the configuration, and the shared state.
//!
//! Knows no HTTP, no provider and no policy of either side; `Cargo.toml` holds no axum, hyper or reqwest.

pub mod catalog;
pub mod config;
pub mod host;
pub mod ids;
pub mod lease;
pub mod secret;
pub mod signals;
pub mod state;
pub mod tasks;
pub mod telemetry;
pub mod time;
pub mod units;
