//! The models that the caller may use, aliases included.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;
use serde::Serialize;

use crate::http::credentials::credentials;
use crate::http::error::problem_response;
use crate::http::routes::Shared;
use crate::pipeline::authenticate::authenticate;
use crate::pipeline::problem::Problem;
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

pub(crate) async fn list(State(pipeline): State<Shared>, headers: HeaderMap) -> Response {
    let fleet = pipeline.fleet();
    let caller = match authenticate(&fleet, credentials(&headers)) {
        Ok(caller) => caller,
        Err(problem) => return problem_response(&problem),
    };
    let list = ModelList {
        object: "list",
        data: fleet
            .models_for(caller)
            .map(|name| ModelEntry::of(name.as_str()))
            .collect(),
    };
    Json(list).into_response()
}

pub(crate) async fn retrieve(
    State(pipeline): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let fleet = pipeline.fleet();
    let found: Result<_, Problem> =
        authenticate(&fleet, credentials(&headers)).and_then(|caller| rank(&fleet, caller, &id));
    match found {
        Ok(_) => Json(ModelEntry::of(&id)).into_response(),
        Err(problem) => problem_response(&problem),
    }
}
