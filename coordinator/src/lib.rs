//! The control plane: looks after what no single request can.
//!
//! Several coordinators may run, and the one that leads acts: it publishes a changed configuration, probes keys that
//! are not well, and audits the counters. Nothing is kept here that the store does not have or that cannot be found
//! out again. No request needs a coordinator: routers admit against the shared state alone.

pub mod admin;
mod app;
mod duties;
mod leadership;
mod metrics;
#[cfg(test)]
mod scripted;

pub use app::{Coordinator, Options, StartError};
