//! Problem → what a client sees of it: status, headers, and a body in the words of its dialect.

mod shape;

use std::time::Duration;

use axum::response::{IntoResponse as _, Response};
use http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue};
use shared::catalog::LimitKind;
use shared::config::Dialect;
use shared::lease::{Refusal, RefusalReason};

use crate::http::addressee::Addressee;
use crate::http::error::shape::shape;
use crate::http::quota_headers::write_quotas;
use crate::pipeline::admit::Quota;
use crate::pipeline::problem::{Problem, RefusedLimit, UpstreamWord};
use crate::pipeline::report::End;

/// `<scope kind>/<name>/<limit kind>`: which limit refused.
const X_SLUICE_LIMIT: HeaderName = HeaderName::from_static("x-sluice-limit");
/// What official clients obey before any status.
const X_SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// When to come back while no key takes our credentials or no upstream answers.
const UPSTREAM_RETRY_AFTER: Duration = Duration::from_secs(5);
/// When to come back to another replica.
const ELSEWHERE_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Makes the response that tells `addressee` of `problem`.
pub(crate) fn problem_response(problem: &Problem, addressee: &Addressee) -> Response {
    let mut headers = HeaderMap::new();
    let (status, body) = match problem {
        Problem::Upstream {
            status,
            word: Some(UpstreamWord::Verbatim(body)),
            ..
        } => (*status, body.clone()),
        problem => {
            let shape = shape(problem);
            (shape.status, shape.body(addressee))
        }
    };
    write_headers(&mut headers, problem, addressee.dialect);
    (status, headers, body).into_response()
}

/// How a request that met `problem` ended, in one word.
pub(crate) fn end(problem: &Problem) -> End {
    match problem {
        Problem::Upstream { .. } | Problem::NoAnswer { .. } | Problem::Internal => End::Failed,
        Problem::Unauthenticated
        | Problem::BadRequest(_)
        | Problem::BodyTooLarge { .. }
        | Problem::BodyTimeout
        | Problem::UnknownModel { .. }
        | Problem::UnknownResponse { .. }
        | Problem::NothingStored
        | Problem::Refused { .. }
        | Problem::NotJoined
        | Problem::Draining
        | Problem::UnknownRoute { .. }
        | Problem::WrongMethod { .. } => End::Refused,
    }
}

/// Why, in one word for the metrics, and which limit refused.
pub(crate) fn reason(problem: &Problem) -> (&'static str, String) {
    let reason = match problem {
        Problem::Unauthenticated => "unauthenticated",
        Problem::BadRequest(_) => "bad_request",
        Problem::BodyTooLarge { .. } => "body_too_large",
        Problem::BodyTimeout => "body_timeout",
        Problem::UnknownModel { .. } => "unknown_model",
        Problem::UnknownResponse { .. } | Problem::NothingStored => "unknown_response",
        Problem::NotJoined => "store_away",
        Problem::Draining => "draining",
        Problem::Upstream { .. } => "upstream",
        Problem::NoAnswer { why, .. } => shape::no_answer_words(*why).0,
        Problem::UnknownRoute { .. } => "unknown_route",
        Problem::WrongMethod { .. } => "wrong_method",
        Problem::Internal => "internal",
        Problem::Refused { refusal, .. } => match refusal.reason {
            RefusalReason::Limit { .. } => "limit",
            RefusalReason::TooLarge { .. } => "too_large",
            RefusalReason::QueueFull => "queue_full",
            RefusalReason::Shed => "shed",
            RefusalReason::Deadline => "deadline",
            RefusalReason::Unavailable => "unavailable",
            RefusalReason::RetryBudget => "retry_budget",
            RefusalReason::Throttled => "throttled",
            RefusalReason::StoreAway => "store_away",
            RefusalReason::Draining => "draining",
        },
    };
    let limit = match problem {
        Problem::Refused {
            limit: Some(limit), ..
        } => format!("{}/{}", limit.scope.name(), limit.kind.name()),
        _ => String::new(),
    };
    (reason, limit)
}

fn write_headers(headers: &mut HeaderMap, problem: &Problem, dialect: Dialect) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    match problem {
        Problem::Refused {
            refusal,
            limit,
            model,
            requested: _,
        } => {
            let is_hopeless = matches!(refusal.reason, RefusalReason::TooLarge { .. });
            write_should_retry(headers, !is_hopeless);
            if !is_hopeless {
                write_retry_after(headers, refusal.retry_after);
            }
            write_limit(headers, refusal, limit.as_ref(), model, dialect);
            if refusal.reason == RefusalReason::Draining {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
        }
        Problem::NotJoined => {
            write_should_retry(headers, true);
            write_retry_after(headers, ELSEWHERE_RETRY_AFTER);
        }
        Problem::Draining => {
            write_should_retry(headers, true);
            write_retry_after(headers, ELSEWHERE_RETRY_AFTER);
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Problem::Upstream {
            retry_after,
            is_final,
            ..
        } => {
            if let Some(retry_after) = retry_after {
                write_retry_after(headers, *retry_after);
            }
            if *is_final {
                write_should_retry(headers, false);
            }
        }
        Problem::NoAnswer { why: _, is_final } => {
            write_retry_after(headers, UPSTREAM_RETRY_AFTER);
            if *is_final {
                write_should_retry(headers, false);
            }
        }
        Problem::BodyTimeout => {
            write_should_retry(headers, false);
        }
        Problem::Unauthenticated
        | Problem::BadRequest(_)
        | Problem::BodyTooLarge { .. }
        | Problem::UnknownModel { .. }
        | Problem::UnknownResponse { .. }
        | Problem::NothingStored
        | Problem::UnknownRoute { .. }
        | Problem::WrongMethod { .. }
        | Problem::Internal => {}
    }
}

fn write_limit(
    headers: &mut HeaderMap,
    refusal: &Refusal,
    limit: Option<&RefusedLimit>,
    model: &str,
    dialect: Dialect,
) {
    let name = match (limit, &refusal.reason) {
        (Some(limit), _) => format!(
            "{}/{}/{}",
            limit.scope.name(),
            limit.name,
            limit.kind.name()
        ),
        (None, RefusalReason::QueueFull | RefusalReason::Shed | RefusalReason::Deadline) => {
            format!("model/{model}/queue")
        }
        (None, _) => return,
    };
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(X_SLUICE_LIMIT, name);
    }
    if let Some(RefusedLimit {
        kind: LimitKind::Window(kind),
        limit,
        is_callers: true,
        ..
    }) = limit
    {
        let spent = Quota {
            kind: *kind,
            limit: *limit,
            remaining: 0,
        };
        write_quotas(headers, &[spent], dialect);
    }
}

fn write_should_retry(headers: &mut HeaderMap, should_retry: bool) {
    let value = HeaderValue::from_static(if should_retry { "true" } else { "false" });
    headers.insert(X_SHOULD_RETRY, value);
}

/// Rounds whole seconds up (RFC 9110 §10.2.3): a client that obeys must not come back early.
fn write_retry_after(headers: &mut HeaderMap, retry_after: Duration) {
    let milliseconds = u64::try_from(retry_after.as_nanos().div_ceil(1_000_000))
        .unwrap_or(u64::MAX)
        .max(1);
    headers.insert(RETRY_AFTER_MS, HeaderValue::from(milliseconds));
    headers.insert(RETRY_AFTER, HeaderValue::from(milliseconds.div_ceil(1000)));
}

#[cfg(test)]
mod tests;
