//! The data plane: takes requests, gets a lease for each from the shared state, and relays the answer.
//!
//! `app` ► `http` ► `pipeline` ► { `upstream`, `fleet`, `dialect`, `shared` }. Only `http` says axum, only `upstream`
//! says reqwest. No router writes the catalog, and routers never talk to each other.

mod app;
mod fleet;
mod http;
mod metrics;
mod pipeline;
pub mod upstream;

pub use app::{App, RunError, StartError, StartOptions};
pub use http::admin::Routes as AdminRoutes;

#[cfg(test)]
mod tidy;
