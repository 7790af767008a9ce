//! All that knows axum: listening, routes, headers, error bodies.

mod addressee;
pub(crate) mod admin;
mod answer_headers;
mod body;
mod client_body;
mod credentials;
mod error;
mod form;
mod hang_up;
mod health;
mod quota_headers;
pub(crate) mod readiness;
mod request_id;
pub(crate) mod routes;
pub(crate) mod server;
pub(crate) mod socket;
