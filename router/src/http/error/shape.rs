//! What each problem is called: status, kind, code and a sentence.

use std::borrow::Cow;

use bytes::Bytes;
use dialect::{BadRequest, ErrorBody, ErrorType, wire};
use http::StatusCode;
use shared::catalog::LimitKind;
use shared::lease::{Refusal, RefusalReason};

use crate::http::addressee::Addressee;
use crate::pipeline::problem::{NoAnswer, Problem, RefusedLimit, UpstreamWord};

/// An error, before a dialect words it.
pub(super) struct Shape {
    pub(super) status: StatusCode,
    kind: ErrorType,
    code: Option<Cow<'static, str>>,
    param: Option<String>,
    message: String,
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
            code: Some(code.into()),
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

    pub(super) fn body(&self, addressee: &Addressee) -> Bytes {
        let error = ErrorBody {
            message: &self.message,
            kind: self.kind,
            param: self.param.as_deref(),
            code: self.code.as_deref(),
        };
        wire::error_body(
            addressee.dialect,
            &error,
            self.status.as_u16(),
            &addressee.request_id,
        )
    }
}

pub(super) fn shape(problem: &Problem) -> Shape {
    match problem {
        Problem::Unauthenticated => Shape::invalid(
            StatusCode::UNAUTHORIZED,
            "invalid_api_key",
            "Incorrect API key provided. Send your client key once: as `Authorization: Bearer`, or where your SDK puts it.",
        ),
        Problem::BadRequest(BadRequest {
            message,
            param,
            code,
        }) => Shape {
            status: StatusCode::BAD_REQUEST,
            kind: ErrorType::InvalidRequest,
            code: code.map(Into::into),
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
        Problem::UnknownResponse { id } => Shape::invalid(
            StatusCode::NOT_FOUND,
            "response_not_found",
            format!("Response with id '{id}' not found."),
        ),
        Problem::NothingStored => Shape::invalid(
            StatusCode::NOT_FOUND,
            "response_not_found",
            "No upstream that you may use stores responses.",
        ),
        Problem::Refused {
            refusal,
            limit,
            model,
            requested,
        } => refused_shape(refusal, limit.as_ref(), model, *requested),
        Problem::NotJoined => store_away_shape(),
        Problem::Draining => draining_shape(),
        Problem::Upstream {
            status,
            word:
                Some(UpstreamWord::Reworded {
                    message,
                    kind,
                    code,
                }),
            ..
        } => Shape {
            status: *status,
            kind: *kind,
            code: code.clone().map(Into::into),
            param: None,
            message: message.clone(),
        },
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

pub(super) fn no_answer_words(why: NoAnswer) -> (&'static str, &'static str) {
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
