//! The models that the caller may use, aliases included, in the words of whoever asks.

use std::collections::BTreeSet;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use dialect::wire::{self, ListedModel};
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use shared::config::{Capability, Dialect};

use crate::fleet::{Fleet, FleetModel};
use crate::http::addressee::Addressee;
use crate::http::body::read_json;
use crate::http::credentials::credentials;
use crate::http::error::problem_response;
use crate::http::routes::{Shared, joined};
use crate::pipeline::authenticate::authenticate;
use crate::pipeline::problem::Problem;
use crate::pipeline::rank::rank;

/// Of Ollama's `show`, which names a model.
const SHOW_MAX: usize = 64 * 1024;

/// A body that lists models, or tells of one.
type WriteAll = fn(&[ListedModel<'_>]) -> Vec<u8>;
type WriteOne = fn(&ListedModel<'_>) -> Vec<u8>;

/// Names of models hold slashes and colons: `org/model`, `llama3:8b`.
pub(super) fn routes() -> Router<Shared> {
    let mut router = Router::new()
        .route("/v1/models", get(list))
        .route("/v1beta/models", get(list))
        .route("/api/v0/models", get(lm_studio_list))
        .route("/api/v0/models/{*name}", get(lm_studio_retrieve))
        .route("/api/tags", get(ollama_tags))
        .route("/api/ps", get(ollama_ps))
        .route("/api/show", post(ollama_show));
    for root in ["/openai/v1", "/v1beta/openai"] {
        router = router
            .route(&format!("{root}/models"), get(list))
            .route(&format!("{root}/models/{{*name}}"), get(retrieve));
    }
    router
}

async fn list(State(readiness): State<Shared>, request: Request) -> Response {
    let write = match Addressee::of(&request).dialect {
        Dialect::AnthropicMessages => wire::anthropic_models,
        Dialect::GeminiGenerate => wire::gemini_models,
        _ => wire::openai_models,
    };
    tell_all(&readiness, &request, write)
}

pub(super) async fn retrieve(
    State(readiness): State<Shared>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    let write = match Addressee::of(&request).dialect {
        Dialect::AnthropicMessages => wire::anthropic_model,
        Dialect::GeminiGenerate => wire::gemini_model,
        _ => wire::openai_model,
    };
    tell_one(&readiness, &request, &name, write)
}

async fn lm_studio_list(State(readiness): State<Shared>, request: Request) -> Response {
    tell_all(&readiness, &request, wire::lm_studio_models)
}

async fn lm_studio_retrieve(
    State(readiness): State<Shared>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    tell_one(&readiness, &request, &name, wire::lm_studio_model)
}

async fn ollama_tags(State(readiness): State<Shared>, request: Request) -> Response {
    tell_all(&readiness, &request, wire::ollama_tags)
}

async fn ollama_ps(State(readiness): State<Shared>, request: Request) -> Response {
    tell_all(&readiness, &request, wire::ollama_ps)
}

async fn ollama_show(State(readiness): State<Shared>, request: Request) -> Response {
    /// Older clients call it `name`.
    #[derive(Deserialize)]
    struct Show {
        #[serde(alias = "name")]
        model: String,
    }

    // Nobody's body is read before it is known whose it is.
    if let Err(problem) = known_caller(&readiness, &request) {
        return problem_response(&problem, &Addressee::of(&request));
    }
    let (parts, body) = request.into_parts();
    let payload = read_json(None, body, SHOW_MAX).await;
    let request = Request::from_parts(parts, axum::body::Body::empty());
    let show = payload.and_then(|payload| {
        serde_json::from_slice::<Show>(&payload.json).map_err(|_| {
            Problem::bad_request("Name the model: `{\"model\": \"…\"}`.", Some("model"))
        })
    });
    match show {
        Ok(show) => tell_one(&readiness, &request, &show.model, wire::ollama_show),
        Err(problem) => problem_response(&problem, &Addressee::of(&request)),
    }
}

fn known_caller(readiness: &Shared, request: &Request) -> Result<(), Problem> {
    let fleet = joined(readiness)?.fleet();
    let brought = credentials(request.headers(), request.uri());
    authenticate(&fleet, brought.credentials()).map(drop)
}

fn tell_all(readiness: &Shared, request: &Request, write: WriteAll) -> Response {
    tell(readiness, request, |fleet, caller| {
        let named: Vec<_> = fleet
            .models_for(caller)
            .filter_map(|name| Some((name.as_str(), capabilities(fleet.model(name.as_str())?))))
            .collect();
        let models: Vec<_> = named
            .iter()
            .filter_map(|(name, capabilities)| Some(listed(name, fleet.model(name)?, capabilities)))
            .collect();
        Ok(write(&models))
    })
}

fn tell_one(readiness: &Shared, request: &Request, name: &str, write: WriteOne) -> Response {
    tell(readiness, request, |fleet, caller| {
        let model = rank(fleet, caller, name)?;
        Ok(write(&listed(name, model, &capabilities(model))))
    })
}

fn tell(
    readiness: &Shared,
    request: &Request,
    write: impl FnOnce(&Fleet, &crate::fleet::Caller) -> Result<Vec<u8>, Problem>,
) -> Response {
    let told = joined(readiness).and_then(|pipeline| {
        let fleet = pipeline.fleet();
        let brought = credentials(request.headers(), request.uri());
        let caller = authenticate(&fleet, brought.credentials())?;
        write(&fleet, caller)
    });
    match told {
        Ok(body) => ([(CONTENT_TYPE, "application/json")], Bytes::from(body)).into_response(),
        Err(problem) => problem_response(&problem, &Addressee::of(request)),
    }
}

/// What some upstream of the model is known to be able to do.
fn capabilities(model: &FleetModel) -> Vec<Capability> {
    let known = model
        .candidates
        .iter()
        .filter_map(|candidate| candidate.capabilities.as_deref());
    let names: BTreeSet<_> = known
        .flatten()
        .map(|capability| capability.name())
        .collect();
    let all = Capability::ALL.into_iter();
    all.filter(|capability| names.contains(capability.name()))
        .collect()
}

fn listed<'a>(
    name: &'a str,
    model: &FleetModel,
    capabilities: &'a [Capability],
) -> ListedModel<'a> {
    let lengths = model
        .candidates
        .iter()
        .filter_map(|candidate| candidate.context_length);
    ListedModel {
        name,
        context_length: lengths.max(),
        capabilities,
    }
}
