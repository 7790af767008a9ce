//! Liveness, which asks nobody, and readiness, which asks the session.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;

use crate::http::readiness::Readiness;

/// Tells that this process answers; never depends on the store, or a store's outage would restart every replica.
pub(crate) async fn livez() -> &'static str {
    "ok\n"
}

/// Tells whether new requests should be sent here.
pub(crate) async fn readyz(State(readiness): State<Arc<Readiness>>) -> Response {
    match readiness.check() {
        Ok(how) => how.into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why).into_response(),
    }
}
