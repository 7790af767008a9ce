//! `PUT /keys/{provider}/{key}/{drain|disable|enable}`: an operator's word on a key.
//!
//! Any coordinator takes it, whoever leads: it is written without a fence, because it is one person's decision, atomic
//! in the store, and not bound to what a leader knows.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::Serialize;
use shared::catalog::ScopeKind;
use shared::ids::Fence;
use shared::state::protocol::{Judgement, Status, Verdict};
use shared::state::view::{HealthView, View};

use super::{Office, away};

#[derive(Serialize)]
struct Answer {
    /// `provider/key`.
    key: String,
    health: Option<HealthView>,
}

pub(super) async fn judge(
    State(office): State<Arc<Office>>,
    Path((provider, key, action)): Path<(String, String, String)>,
) -> Response {
    let Some(verdict) = verdict(&action) else {
        let why = format!("no action `{action}`; there are drain, disable and enable\n");
        return (StatusCode::NOT_FOUND, why).into_response();
    };
    let key = format!("{provider}/{key}");
    let view = match office.state.view().await {
        Ok(view) => view,
        Err(error) => return away(&error),
    };
    if !keys(&view).any(|(name, _)| name == key) {
        let names: Vec<&str> = keys(&view).map(|(name, _)| name).collect();
        let why = format!("no key `{key}`; there are {}\n", names.join(", "));
        return (StatusCode::NOT_FOUND, why).into_response();
    }
    let row = match office.state.catalog().await {
        Ok(catalog) => catalog.row_index(ScopeKind::Key, &key),
        Err(error) => return away(&error),
    };
    let Some(row) = row else {
        return unavailable("the catalog has just changed; try again\n");
    };
    let judgement = Judgement {
        fence: Fence::NONE,
        row,
        version: None,
        verdict,
    };
    match office.state.judge(&judgement).await {
        Ok(reply) if reply.status == Status::Done => {}
        Ok(_) => return unavailable("the state store is empty or has just changed; try again\n"),
        Err(error) => return away(&error),
    }
    tracing::info!(key, action, "An operator decided: {action} `{key}`");
    match office.state.view().await {
        Ok(view) => {
            let health = keys(&view).find_map(|(name, health)| (name == key).then_some(health));
            Json(Answer {
                health: health.flatten().cloned(),
                key,
            })
            .into_response()
        }
        Err(error) => away(&error),
    }
}

fn verdict(action: &str) -> Option<Verdict> {
    match action {
        "drain" => Some(Verdict::Drain),
        "disable" => Some(Verdict::Disable),
        "enable" => Some(Verdict::Enable),
        _ => None,
    }
}

fn keys(view: &View) -> impl Iterator<Item = (&str, Option<&HealthView>)> {
    let keys = view
        .scopes
        .iter()
        .filter(|scope| scope.kind == ScopeKind::Key);
    keys.map(|scope| (scope.name.as_str(), scope.health.as_ref()))
}

fn unavailable(why: &'static str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
}
