//! OpenAI's API, where each of its users expects it: under `/v1`, as Azure's deployments, below Google's
//! `/v1beta/openai` and LM Studio's `/api/v0`.

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::routing::{MethodRouter, post};
use dialect::{Endpoint, PathFacts};

use crate::http::routes::{Asked, Shared, respond};

/// Below any of the roots.
const ENDPOINTS: [(&str, Endpoint); 10] = [
    ("chat/completions", Endpoint::ChatCompletions),
    ("completions", Endpoint::Completions),
    ("embeddings", Endpoint::Embeddings),
    ("moderations", Endpoint::Moderations),
    ("images/generations", Endpoint::ImageGenerations),
    ("images/edits", Endpoint::ImageEdits),
    ("images/variations", Endpoint::ImageVariations),
    ("audio/speech", Endpoint::Speech),
    ("audio/transcriptions", Endpoint::Transcriptions),
    ("audio/translations", Endpoint::Translations),
];

const ROOTS: [&str; 4] = ["/v1", "/openai/v1", "/v1beta/openai", "/api/v0"];

pub(super) fn routes() -> Router<Shared> {
    let mut router = Router::new();
    for root in ROOTS {
        for (path, endpoint) in ENDPOINTS {
            router = router.route(&format!("{root}/{path}"), create(endpoint));
        }
    }
    for (path, endpoint) in ENDPOINTS {
        let path = format!("/openai/deployments/{{deployment}}/{path}");
        router = router.route(&path, create_at_deployment(endpoint));
    }
    router
}

pub(super) fn create(endpoint: Endpoint) -> MethodRouter<Shared> {
    post(
        move |State(readiness): State<Shared>, request: Request| async move {
            respond(readiness, Asked::at(endpoint), request).await
        },
    )
}

/// Azure's old paths: the deployment is the model, whatever the body says.
fn create_at_deployment(endpoint: Endpoint) -> MethodRouter<Shared> {
    post(
        move |State(readiness): State<Shared>, Path(deployment): Path<String>, request: Request| async move {
            let path = PathFacts {
                model: Some(deployment),
                is_stream: false,
            };
            let asked = Asked {
                path,
                ..Asked::at(endpoint)
            };
            respond(readiness, asked, request).await
        },
    )
}
