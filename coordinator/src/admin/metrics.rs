//! `GET /metrics`, for Prometheus.

use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;

use crate::metrics::recorder;

pub(super) async fn metrics() -> Response {
    match recorder() {
        Some(recorder) => (
            [(CONTENT_TYPE, "text/plain; version=0.0.4")],
            recorder.render(),
        )
            .into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
