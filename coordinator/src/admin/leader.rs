//! `GET /leader`: who leads, as the store has it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use shared::ids::Fence;
use shared::state::protocol::Leadership;

use super::{Office, away};

#[derive(Serialize)]
struct Answer {
    /// Empty: nobody leads.
    owner: String,
    /// Where its admin port answers.
    address: String,
    fence: Fence,
    remaining_ms: i64,
    is_me: bool,
}

pub(super) async fn leader(State(office): State<Arc<Office>>) -> Response {
    let Leadership {
        owner,
        address,
        fence,
        remaining_ms,
    } = match office.state.leader().await {
        Ok(leadership) => leadership,
        Err(error) => return away(&error),
    };
    Json(Answer {
        is_me: owner == office.owner,
        owner,
        address,
        fence,
        remaining_ms,
    })
    .into_response()
}
