//! Liveness, which asks nobody, and readiness, which asks the session.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;

use crate::http::routes::Shared;

/// Tells that this process answers; never depends on the store, or a store's outage would restart every replica.
pub(crate) async fn livez() -> &'static str {
    "ok\n"
}

/// Tells whether new requests should be sent here.
pub(crate) async fn readyz(State(pipeline): State<Shared>) -> Response {
    if pipeline.is_ready() {
        return "ok\n".into_response();
    }
    let why = if pipeline.draining.is_cancelled() {
        "shutting down\n"
    } else {
        "the state store has not agreed yet\n"
    };
    (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
}
