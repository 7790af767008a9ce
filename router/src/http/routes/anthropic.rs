//! Anthropic's Messages API.

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use dialect::Endpoint;

use crate::http::routes::{Asked, Shared, respond};

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/v1/messages", post(create))
        .route("/v1/messages/count_tokens", post(count_tokens))
}

async fn create(State(readiness): State<Shared>, request: Request) -> Response {
    respond(readiness, Asked::at(Endpoint::Messages), request).await
}

async fn count_tokens(State(readiness): State<Shared>, request: Request) -> Response {
    respond(readiness, Asked::at(Endpoint::CountMessageTokens), request).await
}
