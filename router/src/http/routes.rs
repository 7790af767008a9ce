//! The data port's routes: who answers what, in which language. All that tells or does something wants a caller.

mod anthropic;
mod gemini;
mod models;
mod ollama;
mod openai;
mod responses;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use dialect::canon::StreamVariant;
use dialect::{Endpoint, PathFacts};
use http::StatusCode;

use crate::http::addressee::Addressee;
use crate::http::answer_headers;
use crate::http::body::{declared_length, read_json};
use crate::http::credentials::credentials;
use crate::http::error::{self, problem_response};
use crate::http::form::read_form;
use crate::http::health;
use crate::http::readiness::Readiness;
use crate::metrics;
use crate::pipeline::problem::Problem;
use crate::pipeline::report::Report;
use crate::pipeline::{Answer, AnswerBody, Call, Pipeline, answer};

type Shared = Arc<Readiness>;

/// `x-sluice-priority`: 0 to 10, never above the client key's own.
const X_SLUICE_PRIORITY: &str = "x-sluice-priority";

pub(crate) fn router(readiness: Shared) -> Router {
    Router::new()
        .merge(openai::routes())
        .merge(responses::routes())
        .merge(anthropic::routes())
        .merge(gemini::routes())
        .merge(ollama::routes())
        .merge(models::routes())
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .with_state(readiness)
}

/// What a route knows of a request before its body is read.
#[derive(Clone, Debug)]
struct Asked {
    endpoint: Endpoint,
    path: PathFacts,
    variant: StreamVariant,
}

impl Asked {
    fn at(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            path: PathFacts::default(),
            variant: StreamVariant::Usual,
        }
    }
}

/// Answers one request.
async fn respond(readiness: Shared, asked: Asked, request: Request) -> Response {
    let Asked {
        endpoint,
        path,
        variant,
    } = asked;
    let addressee = Addressee::speaking(endpoint.dialect(), &request);
    let pipeline = match joined(&readiness) {
        Ok(pipeline) => pipeline,
        Err(problem) => return problem_response(&problem, &addressee),
    };
    let (parts, body) = request.into_parts();
    let mut report = Report::new(Arc::clone(&addressee.request_id), endpoint.name());
    let brought = credentials(&parts.headers, &parts.uri);
    let call = Call {
        endpoint,
        path,
        variant,
        credentials: brought.credentials(),
        request_id: &addressee.request_id,
        headers: &parts.headers,
        priority: parts
            .headers
            .get(X_SLUICE_PRIORITY)
            .map(http::HeaderValue::as_bytes),
        body: async {
            let limit = pipeline.config.limits.body;
            match takes_form(endpoint) {
                true => read_form(&parts.headers, body, limit).await,
                false => read_json(declared_length(&parts.headers), body, limit).await,
            }
        },
    };

    let answered = tokio::select! {
        biased;
        answered = answer(pipeline, call, &mut report) => answered,
        // The drain has run out: whatever is held goes back with the dropped future.
        () = pipeline.cut.cancelled() => Err(Problem::Draining),
    };
    match answered {
        Ok(answer) => answer_response(answer, report, endpoint, variant),
        Err(problem) => refused_response(&problem, report, &addressee),
    }
}

fn answer_response(
    answer: Answer,
    mut report: Report,
    endpoint: Endpoint,
    variant: StreamVariant,
) -> Response {
    report.set_status(StatusCode::OK);
    let headers = answer_headers::of(&answer, endpoint, variant);
    let body = match answer.body {
        AnswerBody::Whole(bytes) => axum::body::Body::from(bytes),
        AnswerBody::Stream(open) => axum::body::Body::from_stream(open.relay(report).into_stream()),
    };
    (headers, body).into_response()
}

fn refused_response(problem: &Problem, mut report: Report, addressee: &Addressee) -> Response {
    report.end(error::end(problem));
    let (reason, limit) = error::reason(problem);
    metrics::refused(reason, limit);
    let response = problem_response(problem, addressee);
    report.set_status(response.status());
    response
}

/// Whether requests come as forms with files.
fn takes_form(endpoint: Endpoint) -> bool {
    matches!(
        endpoint,
        Endpoint::ImageEdits
            | Endpoint::ImageVariations
            | Endpoint::Transcriptions
            | Endpoint::Translations
    )
}

fn joined(readiness: &Shared) -> Result<&Arc<Pipeline>, Problem> {
    readiness.pipeline().ok_or(Problem::NotJoined)
}

async fn unknown_route(request: Request) -> Response {
    let problem = Problem::UnknownRoute {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
    };
    problem_response(&problem, &Addressee::of(&request))
}

async fn wrong_method(request: Request) -> Response {
    let problem = Problem::WrongMethod {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
    };
    problem_response(&problem, &Addressee::of(&request))
}
