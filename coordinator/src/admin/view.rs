//! `GET /view`: the one quota view, as routers show it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};

use super::{Office, away};

pub(super) async fn view(State(office): State<Arc<Office>>) -> Response {
    match office.state.view().await {
        Ok(view) => Json(view).into_response(),
        Err(error) => away(&error),
    }
}
