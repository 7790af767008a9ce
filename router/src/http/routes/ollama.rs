//! Ollama's own API. What would change a machine (pull, push, create, copy, delete) is not offered.

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use dialect::Endpoint;
use dialect::canon::StreamVariant;

use crate::http::routes::{Asked, Shared, respond};

/// The version whose API this is; clients compare it with what they need.
const VERSION: &str = r#"{"version":"0.12.0"}"#;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/", get(root))
        .route("/api/version", get(version))
        .route("/api/chat", post(chat))
        .route("/api/generate", post(generate))
        .route("/api/embed", post(embed))
        .route("/api/embeddings", post(embeddings))
}

/// What its command line looks for.
async fn root() -> &'static str {
    "Ollama is running"
}

async fn version() -> ([(http::HeaderName, &'static str); 1], &'static str) {
    ([(http::header::CONTENT_TYPE, "application/json")], VERSION)
}

async fn chat(State(readiness): State<Shared>, request: Request) -> Response {
    respond(readiness, Asked::at(Endpoint::OllamaChat), request).await
}

async fn generate(State(readiness): State<Shared>, request: Request) -> Response {
    let asked = Asked {
        variant: StreamVariant::Generate,
        ..Asked::at(Endpoint::OllamaGenerate)
    };
    respond(readiness, asked, request).await
}

async fn embed(State(readiness): State<Shared>, request: Request) -> Response {
    respond(readiness, Asked::at(Endpoint::OllamaEmbed), request).await
}

async fn embeddings(State(readiness): State<Shared>, request: Request) -> Response {
    respond(readiness, Asked::at(Endpoint::OllamaEmbeddings), request).await
}
