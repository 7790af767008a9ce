//! OpenAI's Responses API, at each of its roots: making one, counting what it would take, and those that are stored.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use dialect::canon::StreamVariant;
use dialect::{Endpoint, StoredAction};
use http::Uri;
use shared::config::Dialect;

use crate::http::addressee::Addressee;
use crate::http::credentials::credentials;
use crate::http::error::problem_response;
use crate::http::routes::openai::create;
use crate::http::routes::{Shared, answer_response, joined, refused_response};
use crate::pipeline::problem::Problem;
use crate::pipeline::report::Report;
use crate::pipeline::stored::{StoredCall, answer_stored};

/// OpenAI's own, and both of Azure's.
const ROOTS: [&str; 3] = ["/v1/responses", "/openai/v1/responses", "/openai/responses"];

/// Of a query, what is between the client and this router: its credential, and the version that each account has of its own.
const NOT_FOR_UPSTREAMS: [&str; 2] = ["key", "api-version"];

pub(super) fn routes() -> Router<Shared> {
    let mut router = Router::new();
    for root in ROOTS {
        let count = create(Endpoint::CountResponseTokens);
        router = router
            .route(root, create(Endpoint::Responses))
            .route(&format!("{root}/input_tokens"), count)
            .route(&format!("{root}/{{id}}"), get(retrieve).delete(delete))
            .route(&format!("{root}/{{id}}/cancel"), post(cancel))
            .route(&format!("{root}/{{id}}/input_items"), get(input_items));
    }
    router
}

async fn retrieve(readiness: State<Shared>, id: Path<String>, request: Request) -> Response {
    look_up(StoredAction::Retrieve, readiness, id, request).await
}

async fn delete(readiness: State<Shared>, id: Path<String>, request: Request) -> Response {
    look_up(StoredAction::Delete, readiness, id, request).await
}

async fn cancel(readiness: State<Shared>, id: Path<String>, request: Request) -> Response {
    look_up(StoredAction::Cancel, readiness, id, request).await
}

async fn input_items(readiness: State<Shared>, id: Path<String>, request: Request) -> Response {
    look_up(StoredAction::InputItems, readiness, id, request).await
}

async fn look_up(
    action: StoredAction,
    State(readiness): State<Shared>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let addressee = Addressee::speaking(Dialect::OpenaiResponses, &request);
    let pipeline = match joined(&readiness) {
        Ok(pipeline) => pipeline,
        Err(problem) => return problem_response(&problem, &addressee),
    };
    let mut report = Report::new(Arc::clone(&addressee.request_id), action.name());
    let brought = credentials(request.headers(), request.uri());
    let query = query_for_upstream(request.uri());
    let call = StoredCall {
        action,
        id: &id,
        query: query.as_deref(),
        credentials: brought.credentials(),
        request_id: &addressee.request_id,
        headers: request.headers(),
    };

    let answered = tokio::select! {
        biased;
        answered = answer_stored(pipeline, &call, &mut report) => answered,
        () = pipeline.cut.cancelled() => Err(Problem::Draining),
    };
    match answered {
        Ok(answer) => answer_response(answer, report, Endpoint::Responses, StreamVariant::Usual),
        Err(problem) => refused_response(&problem, report, &addressee),
    }
}

/// What the client asks in its query, as it is written; `None` for nothing.
fn query_for_upstream(uri: &Uri) -> Option<String> {
    let pairs = uri.query()?.split('&').filter(|pair| {
        let name = pair.split_once('=').map_or(*pair, |(name, _)| name);
        !name.is_empty() && !NOT_FOR_UPSTREAMS.contains(&name)
    });
    let query = pairs.collect::<Vec<_>>().join("&");
    (!query.is_empty()).then_some(query)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_credential_of_the_client_goes_on_in_a_query() {
        let query = |uri: &str| query_for_upstream(&uri.parse().unwrap());

        assert_eq!(
            query("/v1/responses/r?include[]=a&key=sk-1&stream=true&api-version=v1").as_deref(),
            Some("include[]=a&stream=true")
        );
        assert_eq!(query("/v1/responses/r?key=sk-1"), None);
        assert_eq!(query("/v1/responses/r"), None);
    }
}
