//! Problem → what a client sees of it: OpenAI's status, body and headers.

use std::time::Duration;

use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use shared::catalog::LimitKind;
use shared::lease::{Refusal, RefusalReason};

use crate::dialect::{BadRequest, ErrorBody, ErrorType};
use crate::http::answer_headers::write_quotas;
use crate::pipeline::admit::Quota;
use crate::pipeline::problem::{NoAnswer, Problem, RefusedLimit};
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

/// An error as OpenAI words it.
struct Shape {
    status: StatusCode,
    kind: ErrorType,
    code: Option<&'static str>,
    param: Option<String>,
    message: String,
}

/// Makes the response that tells a client of `problem`.
pub(crate) fn problem_response(problem: &Problem) -> Response {
    let mut headers = HeaderMap::new();
    let (status, body) = match problem {
        Problem::Upstream {
            status,
            body: Some(body),
            ..
        } => (*status, body.clone()),
        problem => {
            let shape = shape(problem);
            (shape.status, shape.body())
        }
    };
    write_headers(&mut headers, problem);
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
        Problem::NotJoined => "store_away",
        Problem::Draining => "draining",
        Problem::Upstream { .. } => "upstream",
        Problem::NoAnswer { why, .. } => no_answer_words(*why).0,
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

impl Shape {
    fn new(
        status: StatusCode,
        kind: ErrorType,
        code: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            status,
            kind,
            code: Some(code),
            param: None,
            message: message.into(),
        }
    }

    fn invalid(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self::new(status, ErrorType::InvalidRequest, code, message)
    }

    fn limited(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            ErrorType::RateLimit,
            "rate_limit_exceeded",
            message,
        )
    }

    fn unavailable(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            ErrorType::ServiceUnavailable,
            code,
            message,
        )
    }

    fn body(&self) -> Bytes {
        ErrorBody {
            message: &self.message,
            kind: self.kind,
            param: self.param.as_deref(),
            code: self.code,
        }
        .to_bytes()
    }
}

fn shape(problem: &Problem) -> Shape {
    match problem {
        Problem::Unauthenticated => Shape::invalid(
            StatusCode::UNAUTHORIZED,
            "invalid_api_key",
            "Incorrect API key provided. Send one `Authorization: Bearer` header with your client key.",
        ),
        Problem::BadRequest(BadRequest {
            message,
            param,
            code,
        }) => Shape {
            status: StatusCode::BAD_REQUEST,
            kind: ErrorType::InvalidRequest,
            code: *code,
            param: param.clone(),
            message: message.clone(),
        },
        Problem::BodyTooLarge { limit } => Shape::invalid(
            StatusCode::PAYLOAD_TOO_LARGE,
            "request_too_large",
            format!("The request's body is larger than {limit} bytes."),
        ),
        Problem::BodyTimeout => Shape::invalid(
            StatusCode::REQUEST_TIMEOUT,
            "request_timeout",
            "The request's body did not come in time.",
        ),
        Problem::UnknownModel { model } => Shape::invalid(
            StatusCode::NOT_FOUND,
            "model_not_found",
            format!("The model `{model}` does not exist or you do not have access to it."),
        ),
        Problem::Refused {
            refusal,
            limit,
            model,
            requested,
        } => refused_shape(refusal, limit.as_ref(), model, *requested),
        Problem::NotJoined => store_away_shape(),
        Problem::Draining => draining_shape(),
        Problem::Upstream { status, .. } => Shape::new(
            *status,
            ErrorType::Server,
            "upstream_error",
            format!("The upstream answered with status {}.", status.as_u16()),
        ),
        Problem::NoAnswer { why, .. } => {
            let (code, message) = no_answer_words(*why);
            Shape::unavailable(code, message)
        }
        Problem::UnknownRoute { method, path } => Shape::invalid(
            StatusCode::NOT_FOUND,
            "unknown_url",
            format!("Unknown request URL: {method} {path}. Please check the URL for typos."),
        ),
        Problem::WrongMethod { method, path } => Shape::invalid(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_supported",
            format!("Not allowed to {method} on {path}."),
        ),
        Problem::Internal => Shape::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            ErrorType::Server,
            "internal_error",
            "The router had an internal error.",
        ),
    }
}

fn refused_shape(
    refusal: &Refusal,
    limit: Option<&RefusedLimit>,
    model: &str,
    requested: u32,
) -> Shape {
    let named = limit.map_or_else(String::new, |limit| format!(" on {}", limit_words(limit)));
    match refusal.reason {
        RefusalReason::TooLarge { .. } => {
            let limit = limit.map_or(0, |limit| limit.limit);
            Shape::limited(format!(
                "Request too large for `{model}`{named}: Limit {limit}, Requested {requested}. It can never be admitted; ask for fewer tokens.",
            ))
        }
        RefusalReason::Limit { .. } => {
            let limit = limit.map_or(0, |limit| limit.limit);
            Shape::limited(format!(
                "Rate limit reached for `{model}`{named}: Limit {limit}, Requested {requested}.",
            ))
        }
        RefusalReason::QueueFull => Shape::limited(format!(
            "Rate limit reached for `{model}`: its queue is full.",
        )),
        RefusalReason::Shed => Shape::limited(format!(
            "Rate limit reached for `{model}`: requests of higher priority filled its queue.",
        )),
        RefusalReason::Deadline => Shape::limited(format!(
            "Rate limit reached for `{model}`: no room came up while the request waited in the queue.",
        )),
        RefusalReason::Unavailable => Shape::unavailable(
            "no_upstream_available",
            format!("No upstream of `{model}` can be used now."),
        ),
        RefusalReason::Throttled => Shape::limited(format!(
            "Rate limit reached for `{model}`: its providers asked to be left alone for a while.",
        )),
        RefusalReason::RetryBudget => Shape::unavailable(
            "retry_budget_spent",
            format!("An upstream of `{model}` failed, and the cluster's retry budget is spent."),
        ),
        RefusalReason::StoreAway => store_away_shape(),
        RefusalReason::Draining => draining_shape(),
    }
}

fn store_away_shape() -> Shape {
    Shape::unavailable(
        "state_store_away",
        "The router cannot reach its state store and admits nothing until it does.",
    )
}

fn draining_shape() -> Shape {
    Shape::unavailable(
        "draining",
        "This router is shutting down; another replica will answer.",
    )
}

fn no_answer_words(why: NoAnswer) -> (&'static str, &'static str) {
    match why {
        NoAnswer::Unreachable => (
            "upstream_unreachable",
            "No upstream could be reached for this request.",
        ),
        NoAnswer::TimedOut => ("upstream_timeout", "The upstream did not answer in time."),
        NoAnswer::Unusable => (
            "upstream_bad_answer",
            "The upstream broke off, or its answer was not what was asked for.",
        ),
        NoAnswer::KeyRejected => (
            "upstream_key_rejected",
            "The upstream does not take this router's credentials.",
        ),
        NoAnswer::Exhausted => (
            "upstream_quota_exhausted",
            "This router's account at the upstream has no quota left.",
        ),
        NoAnswer::Misconfigured => (
            "upstream_misconfigured",
            "The upstream does not know what this router asked it for.",
        ),
        NoAnswer::LeaseLost => (
            "lease_lost",
            "The router lost its hold of the upstream's key before the request was sent.",
        ),
    }
}

fn limit_words(limit: &RefusedLimit) -> String {
    let kind = match limit.kind {
        LimitKind::Concurrency => "concurrent requests",
        LimitKind::Window(kind) => match kind.name() {
            "qps" => "requests per second (QPS)",
            "rpm" => "requests per min (RPM)",
            "tpm" => "tokens per min (TPM)",
            "rpd" => "requests per day (RPD)",
            _ => "tokens per day (TPD)",
        },
    };
    format!("{kind} of {} `{}`", limit.scope.name(), limit.name)
}

fn write_headers(headers: &mut HeaderMap, problem: &Problem) {
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
            write_limit(headers, refusal, limit.as_ref(), model);
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
        write_quotas(headers, &[spent]);
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
