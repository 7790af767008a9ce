//! Gemini's API: the model and the method are the last part of the path, `models/<model>:<method>`.

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::post;
use dialect::canon::StreamVariant;
use dialect::{Endpoint, PathFacts};

use crate::http::addressee::query_value;
use crate::http::routes::{Asked, Shared, models, respond, unknown_route};

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/v1beta/models/{*name}", post(call).get(models::retrieve))
        // OpenAI's and Anthropic's clients only ever get something here.
        .route("/v1/models/{*name}", post(call).get(models::retrieve))
}

async fn call(
    State(readiness): State<Shared>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    // A model's name may hold colons itself.
    let Some((model, method)) = name.rsplit_once(':') else {
        return unknown_route(request).await;
    };
    let is_stream = method == "streamGenerateContent";
    let endpoint = match method {
        "generateContent" | "streamGenerateContent" => Endpoint::GenerateContent,
        "countTokens" => Endpoint::CountContentTokens,
        "embedContent" => Endpoint::EmbedContent,
        "batchEmbedContents" => Endpoint::BatchEmbedContents,
        _ => return unknown_route(request).await,
    };
    let is_array = is_stream && query_value(request.uri(), "alt").as_deref() != Some("sse");
    let asked = Asked {
        endpoint,
        path: PathFacts {
            model: Some(model.to_owned()),
            is_stream,
        },
        variant: match is_array {
            true => StreamVariant::Array,
            false => StreamVariant::Usual,
        },
    };
    respond(readiness, asked, request).await
}
