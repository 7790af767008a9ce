//! The data port's routes: who answers what. Everything but health wants a caller.

mod chat_completions;
mod completions;
mod embeddings;
mod models;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::{Method, StatusCode, Uri};

use crate::dialect::Endpoint;
use crate::http::answer_headers;
use crate::http::body::{declared_length, read_body};
use crate::http::credentials::credentials;
use crate::http::error::{self, problem_response};
use crate::http::health;
use crate::http::readiness::Readiness;
use crate::http::request_id::RequestId;
use crate::metrics;
use crate::pipeline::problem::Problem;
use crate::pipeline::report::Report;
use crate::pipeline::{AnswerBody, Call, Pipeline, answer};

type Shared = Arc<Readiness>;

/// `x-sluice-priority`: 0 to 10, never above the client key's own.
const X_SLUICE_PRIORITY: &str = "x-sluice-priority";

pub(crate) fn router(readiness: Shared) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(chat_completions::create))
        .route("/v1/completions", post(completions::create))
        .route("/v1/embeddings", post(embeddings::create))
        .route("/v1/models", get(models::list))
        // Names hold slashes and colons: `org/model`, `llama3:8b`.
        .route("/v1/models/{*id}", get(models::retrieve))
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .with_state(readiness)
}

/// Answers one request at `endpoint`.
async fn respond(readiness: Shared, endpoint: Endpoint, request: Request) -> Response {
    let pipeline = match joined(&readiness) {
        Ok(pipeline) => pipeline,
        Err(problem) => return problem_response(&problem),
    };
    let (parts, body) = request.into_parts();
    let request_id = parts
        .extensions
        .get::<RequestId>()
        .map_or_else(|| RequestId::of(&parts.headers).name(), RequestId::name);
    let mut report = Report::new(Arc::clone(&request_id), endpoint);
    let call = Call {
        endpoint,
        credentials: credentials(&parts.headers),
        request_id: &request_id,
        headers: &parts.headers,
        priority: parts
            .headers
            .get(X_SLUICE_PRIORITY)
            .map(http::HeaderValue::as_bytes),
        body: read_body(
            declared_length(&parts.headers),
            body,
            pipeline.config.limits.body,
        ),
    };

    let answered = tokio::select! {
        biased;
        answered = answer(pipeline, call, &mut report) => answered,
        // The drain has run out: whatever is held goes back with the dropped future.
        () = pipeline.cut.cancelled() => Err(Problem::Draining),
    };
    let answer = match answered {
        Ok(answer) => answer,
        Err(problem) => {
            report.end(error::end(&problem));
            let (reason, limit) = error::reason(&problem);
            metrics::refused(reason, limit);
            let response = problem_response(&problem);
            report.set_status(response.status());
            return response;
        }
    };
    report.set_status(StatusCode::OK);
    let headers = answer_headers::of(&answer);
    let body = match answer.body {
        AnswerBody::Whole(bytes) => axum::body::Body::from(bytes),
        AnswerBody::Stream(open) => axum::body::Body::from_stream(open.relay(report).into_stream()),
    };
    (headers, body).into_response()
}

fn joined(readiness: &Shared) -> Result<&Arc<Pipeline>, Problem> {
    readiness.pipeline().ok_or(Problem::NotJoined)
}

async fn unknown_route(method: Method, uri: Uri) -> Response {
    problem_response(&Problem::UnknownRoute {
        method: method.to_string(),
        path: uri.path().to_owned(),
    })
}

async fn wrong_method(method: Method, uri: Uri) -> Response {
    problem_response(&Problem::WrongMethod {
        method: method.to_string(),
        path: uri.path().to_owned(),
    })
}
