//! Error bodies, one shape per dialect.

use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::api::dialect::{Addressee, Dialect};
use crate::api::headers;

use super::ApiError;

const AMAZON_ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// The body of `error`, or the data of the event that tells it in a stream.
pub(crate) fn error_body(error: &ApiError, addressee: Addressee) -> Value {
    let ApiError {
        status,
        kind,
        code,
        param,
        message,
        ..
    } = error;
    match addressee.dialect {
        Dialect::OpenAi => json!({
            "error": {"message": message, "type": kind, "param": param, "code": code},
        }),
        Dialect::Azure => json!({
            "error": {
                "message": message,
                "type": null,
                "param": param,
                "code": code.as_deref().unwrap_or(status.as_str()),
                "status": status.as_u16(),
            },
        }),
        Dialect::Anthropic => {
            let mut body = json!({
                "type": "error",
                "error": {"type": anthropic_type(*status), "message": message},
                "request_id": headers::request_id(addressee.id),
            });
            if let Some(code) = code {
                body["error"]["details"] = json!({"error_code": code});
            }
            body
        }
        Dialect::Gemini => gemini(error),
        Dialect::GeminiArray => Value::Array(vec![gemini(error)]),
        Dialect::Ollama => json!({"error": message}),
        Dialect::Bedrock => json!({"message": message}),
    }
}

pub(super) fn add_headers(headers: &mut HeaderMap, error: &ApiError, dialect: Dialect) {
    if dialect == Dialect::Bedrock {
        let name = HeaderValue::from_str(amazon_type(error));
        let name = name.unwrap_or(HeaderValue::from_static("InternalServerException"));
        headers.insert(AMAZON_ERROR_TYPE, name);
    }
}

fn anthropic_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        409 => "conflict_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        408 | 504 => "timeout_error",
        503 | 529 => "overloaded_error",
        500..=599 => "api_error",
        _ => "invalid_request_error",
    }
}

fn gemini(error: &ApiError) -> Value {
    let status = match error.status.as_u16() {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        500..=599 => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    };
    let mut details = Vec::new();
    if let Some(reason) = &error.code
        && error.param.is_none()
    {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": reason.to_uppercase(),
            "domain": "googleapis.com",
        }));
    }
    if let Some(field) = &error.param {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"field": field, "description": error.message}],
        }));
    }
    if let Some(wait) = error.retry_after {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": format!("{}s", wait.as_secs_f64()),
        }));
    }
    let mut body = json!({
        "error": {"code": error.status.as_u16(), "message": error.message, "status": status},
    });
    if !details.is_empty() {
        body["error"]["details"] = details.into();
    }
    body
}

/// The name of Bedrock's exception, which may be set by hand.
fn amazon_type(error: &ApiError) -> &str {
    if let Some(code) = error.code.as_deref()
        && code.ends_with("Exception")
    {
        return code;
    }
    match error.status.as_u16() {
        401 | 403 => "AccessDeniedException",
        404 => "ResourceNotFoundException",
        408 => "ModelTimeoutException",
        424 => "ModelErrorException",
        429 => "ThrottlingException",
        503 => "ServiceUnavailableException",
        500..=599 => "InternalServerException",
        _ => "ValidationException",
    }
}
