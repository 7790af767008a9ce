//! Refusals: what is wrong, as each API words it. [`shape`] makes a body of it, [`wording`] says what a request did wrong.

mod shape;
mod wording;

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use shared::catalog::{LimitKind, WindowKind};

use crate::behaviour::{self, RetryAfterHeaders};
use crate::fields::Invalid;
use crate::limits::Refusal;
use crate::reply::{self, Reply};

use super::dialect::{Addressee, Dialect};
use super::headers;

pub(crate) use self::shape::error_body;

/// The page of a proxy whose upstream is gone.
const BAD_GATEWAY_PAGE: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n\
    <center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n";

/// A refusal with an error body.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    /// OpenAI's type; the others have one for each status.
    kind: &'static str,
    code: Option<Cow<'static, str>>,
    param: Option<String>,
    message: String,
    retry_after: Option<Duration>,
    /// `None` is what the dialect does.
    retry_after_headers: Option<RetryAfterHeaders>,
}

impl ApiError {
    fn new(status: StatusCode, kind: &'static str, message: String) -> Self {
        Self {
            status,
            kind,
            code: None,
            param: None,
            message,
            retry_after: None,
            retry_after_headers: None,
        }
    }

    pub(super) fn invalid_request(message: String) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message)
    }

    /// A request that breaks a rule of its API.
    pub(super) fn invalid(invalid: &Invalid, dialect: Dialect) -> Self {
        let (message, code) = wording::of(invalid, dialect);
        Self {
            code: code.map(Cow::Borrowed),
            param: (!invalid.path.is_empty()).then(|| invalid.path.clone()),
            ..Self::invalid_request(message)
        }
    }

    pub(super) fn no_key(dialect: Dialect) -> Self {
        let (status, message) = wording::no_key(dialect);
        Self::new(status, "invalid_request_error", message.to_owned())
    }

    pub(super) fn two_keys() -> Self {
        let message = "The request has two credentials; send one.".to_owned();
        Self::new(StatusCode::UNAUTHORIZED, "invalid_request_error", message)
    }

    pub(super) fn unknown_key(secret: &str, dialect: Dialect) -> Self {
        let (status, message, code) = wording::unknown_key(secret, dialect);
        Self {
            code: Some(code.into()),
            ..Self::new(status, "invalid_request_error", message)
        }
    }

    pub(super) fn no_such_url(head: &http::request::Parts) -> Self {
        let message = format!("Invalid URL ({} {})", head.method, head.uri.path());
        Self::new(StatusCode::NOT_FOUND, "invalid_request_error", message)
    }

    pub(super) fn method_not_allowed(head: &http::request::Parts) -> Self {
        let message = format!("Not allowed to {} on {}.", head.method, head.uri.path());
        let kind = "invalid_request_error";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, kind, message)
    }

    pub(super) fn no_response(id: &str) -> Self {
        let message = format!("Response with id '{id}' not found.");
        Self::new(StatusCode::NOT_FOUND, "invalid_request_error", message)
    }

    pub(super) fn no_previous_response(id: &str) -> Self {
        Self {
            code: Some("previous_response_not_found".into()),
            param: Some("previous_response_id".to_owned()),
            ..Self::invalid_request(format!("Previous response with id '{id}' not found."))
        }
    }

    pub(super) fn against(param: &str, message: String) -> Self {
        Self {
            code: Some("invalid_value".into()),
            param: Some(param.to_owned()),
            ..Self::invalid_request(message)
        }
    }

    pub(super) fn too_large() -> Self {
        let message = "The request body is too large.".to_owned();
        let kind = "invalid_request_error";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, kind, message)
    }

    /// A limit's refusal, worded as OpenAI words it.
    pub(super) fn over_limit(refusal: &Refusal, model: &str) -> Self {
        let Refusal {
            limit,
            allowed,
            used,
            requested,
            retry_after_us,
        } = *refusal;
        let (kind, on) = match limit {
            LimitKind::Concurrency => ("requests", "concurrent requests"),
            LimitKind::Window(WindowKind::Qps) => ("requests", "requests per second (RPS)"),
            LimitKind::Window(WindowKind::Rpm) => ("requests", "requests per min (RPM)"),
            LimitKind::Window(WindowKind::Tpm) => ("tokens", "tokens per min (TPM)"),
            LimitKind::Window(WindowKind::Rpd) => ("requests", "requests per day (RPD)"),
            LimitKind::Window(WindowKind::Tpd) => ("tokens", "tokens per day (TPD)"),
        };
        let retry_after = retry_after_us.map(Duration::from_micros);
        let message = match retry_after {
            Some(wait) => format!(
                "Rate limit reached for {model} on {on}: Limit {allowed}, Used {used}, Requested {requested}. \
                 Please try again in {}s.",
                wait.as_secs_f64()
            ),
            None => format!(
                "Request too large for {model} on {on}: Limit {allowed}, Requested {requested}. \
                 The input or output tokens must be reduced in order to run successfully."
            ),
        };
        Self {
            code: Some("rate_limit_exceeded".into()),
            retry_after,
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, kind, message)
        }
    }

    /// An error that somebody asked for; its type is what OpenAI sends with this status and code.
    pub(super) fn simulated(refusal: &behaviour::Refusal) -> Self {
        let (kind, code) = match refusal.status.as_u16() {
            401 => ("invalid_request_error", Some("invalid_api_key")),
            402 => ("billing_error", None),
            403 => ("permission_error", None),
            404 => ("invalid_request_error", Some("model_not_found")),
            429 => ("requests", Some("rate_limit_exceeded")),
            503 => ("service_unavailable_error", Some("server_is_overloaded")),
            529 => ("overloaded_error", None),
            500..=599 => ("server_error", None),
            _ => ("invalid_request_error", None),
        };
        let kind = match refusal.code.as_deref() {
            Some("insufficient_quota") => "insufficient_quota",
            _ => kind,
        };
        let status = refusal.status;
        let message = format!("The simulated provider was told to answer {status}.");
        let asked = refusal.code.as_deref().map(|code| code.to_owned().into());
        Self {
            code: asked.or(code.map(Cow::Borrowed)),
            retry_after: refusal.retry_after,
            retry_after_headers: refusal.retry_after_headers,
            ..Self::new(status, kind, message)
        }
    }

    /// What a stream says that cannot go on.
    pub(crate) fn mid_stream() -> Self {
        let message = "The server had an error while processing your request.".to_owned();
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", message)
    }

    pub(crate) fn into_reply(self, addressee: Addressee) -> Reply {
        let mut reply = reply::json(self.status, &error_body(&self, addressee));
        shape::add_headers(reply.headers_mut(), &self, addressee.dialect);
        let which = self.retry_after_headers;
        match self.retry_after {
            Some(wait) => headers::with_retry_after(reply, wait, which, addressee.dialect),
            None => reply,
        }
    }
}

/// The answer that `refusal` describes, by its own body or by the dialect's error.
pub(super) fn refused(refusal: &behaviour::Refusal, addressee: Addressee) -> Reply {
    let Some(body) = &refusal.body else {
        return ApiError::simulated(refusal).into_reply(addressee);
    };
    let content_type = match body.trim_start().as_bytes() {
        [b'{' | b'[', ..] => "application/json",
        [b'<', ..] => "text/html",
        [b'd', b'a', b't', b'a', b':', ..] | [b'e', b'v', b'e', b'n', b't', b':', ..] => {
            "text/event-stream"
        }
        _ => "text/plain",
    };
    let bytes = Bytes::copy_from_slice(body.as_bytes());
    let reply = reply::with_bytes(refusal.status, content_type, bytes, None);
    let which = refusal.retry_after_headers;
    match refusal.retry_after {
        Some(wait) => headers::with_retry_after(reply, wait, which, addressee.dialect),
        None => reply,
    }
}

pub(super) fn bad_gateway_page() -> Reply {
    let page = Bytes::from_static(BAD_GATEWAY_PAGE.as_bytes());
    reply::with_bytes(StatusCode::BAD_GATEWAY, "text/html", page, None)
}
