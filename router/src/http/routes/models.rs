//! The models that the caller may use, aliases included.

use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use crate::http::addressee::Addressee;
use crate::http::credentials::credentials;
use crate::http::error::problem_response;
use crate::http::routes::{Shared, joined};
use crate::pipeline::authenticate::authenticate;
use crate::pipeline::rank::rank;

#[derive(Serialize)]
struct ModelList<'a> {
    object: &'static str,
    data: Vec<ModelEntry<'a>>,
}

#[derive(Serialize)]
struct ModelEntry<'a> {
    id: &'a str,
    object: &'static str,
    /// Unix seconds; nobody knows, and clients only want a number.
    created: u64,
    owned_by: &'static str,
}

impl<'a> ModelEntry<'a> {
    fn of(id: &'a str) -> Self {
        Self {
            id,
            object: "model",
            created: 0,
            owned_by: "sluice",
        }
    }
}

pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/v1/models", get(list))
}

pub(super) async fn list(State(readiness): State<Shared>, request: Request) -> Response {
    let addressee = Addressee::of(&request);
    let listed = joined(&readiness).and_then(|pipeline| {
        let fleet = pipeline.fleet();
        let brought = credentials(request.headers(), request.uri());
        let caller = authenticate(&fleet, brought.credentials())?;
        let names = fleet.models_for(caller);
        let list = ModelList {
            object: "list",
            data: names.map(|name| ModelEntry::of(name.as_str())).collect(),
        };
        Ok(Json(list).into_response())
    });
    listed.unwrap_or_else(|problem| problem_response(&problem, &addressee))
}

pub(super) async fn retrieve(
    State(readiness): State<Shared>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let addressee = Addressee::of(&request);
    let found = joined(&readiness).and_then(|pipeline| {
        let fleet = pipeline.fleet();
        let brought = credentials(request.headers(), request.uri());
        let caller = authenticate(&fleet, brought.credentials())?;
        rank(&fleet, caller, &id)?;
        Ok(Json(ModelEntry::of(&id)).into_response())
    });
    found.unwrap_or_else(|problem| problem_response(&problem, &addressee))
}
