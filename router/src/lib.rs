//! The data plane: takes OpenAI-style requests, gets a lease for each from the shared state, and relays the answer.
//!
//! `app` ► `http` ► `pipeline` ► { `dialect`, `upstream`, `fleet`, `shared` }. Only `http` says axum, only `upstream`
//! says reqwest, `dialect` does no I/O. No router writes the catalog, and routers never talk to each other.

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
