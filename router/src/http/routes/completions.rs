//! Legacy text completions, plain and streaming.

use axum::extract::{Request, State};
use axum::response::Response;

use crate::dialect::Endpoint;
use crate::http::routes::{Shared, respond};

pub(crate) async fn create(State(readiness): State<Shared>, request: Request) -> Response {
    respond(readiness, Endpoint::Completions, request).await
}
