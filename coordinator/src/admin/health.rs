//! Liveness, which asks nobody, and readiness, which asks the session. Leading is no part of it: one of all leads.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;

use super::Office;

/// Tells that this process answers; never depends on the store, or a store's outage would restart every coordinator.
pub(super) async fn livez() -> &'static str {
    "ok\n"
}

pub(super) async fn readyz(State(office): State<Arc<Office>>) -> Response {
    let why = match office.session.get() {
        _ if office.closing.is_cancelled() => "shutting down\n",
        None => "the state store has not been joined yet\n",
        Some(session) if !session.is_ready() => {
            "the state store is away, or still learns who holds what\n"
        }
        Some(_) => return "ok\n".into_response(),
    };
    (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
}
