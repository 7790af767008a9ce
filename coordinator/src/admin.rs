//! The admin API: what operators see, and what they may decide; one route per file.
//!
//! It asks nobody for a credential: the port stays inside.

mod health;
mod keys;
mod leader;
mod metrics;
mod view;

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, put};
use http::StatusCode;
use shared::state::session::Session;
use shared::state::{SharedState, StateError};
use tokio_util::sync::CancellationToken;

/// What the routes know of their coordinator.
pub(crate) struct Office {
    state: Arc<dyn SharedState>,
    /// What this coordinator calls itself when it asks for the leadership.
    owner: String,
    /// Once it has joined the store.
    session: OnceLock<Session>,
    closing: CancellationToken,
}

impl Office {
    pub(crate) fn new(state: Arc<dyn SharedState>, owner: String) -> Self {
        Self {
            state,
            owner,
            session: OnceLock::new(),
            closing: CancellationToken::new(),
        }
    }

    pub(crate) fn open(&self, session: Session) {
        self.session.get_or_init(|| session);
    }

    pub(crate) fn close(&self) {
        self.closing.cancel();
    }
}

/// Everything that a coordinator's own admin port answers.
pub(crate) fn port(office: Arc<Office>) -> Router {
    Router::new()
        .route("/view", get(view::view))
        .route("/metrics", get(metrics::metrics))
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .with_state(Arc::clone(&office))
        .merge(routes(office))
}

/// What a router's admin port does not answer itself.
pub(crate) fn routes(office: Arc<Office>) -> Router {
    Router::new()
        .route("/leader", get(leader::leader))
        .route(
            "/keys/{provider}/{key}/{action}",
            // No POST: a page in an operator's browser could send one here without being asked for permission.
            put(keys::judge),
        )
        .with_state(office)
}

/// The store cannot be asked: try again.
fn away(error: &StateError) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response()
}

#[cfg(test)]
mod tests;
