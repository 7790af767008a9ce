//! Errors as this dialect's clients know them.

use serde::Serialize;

use crate::{ErrorBody, ErrorType};

/// `status` is the HTTP status that it is sent with: it decides the type, as in Anthropic's own answers. Neither the
/// field at fault nor a code has a place; the message names the first.
pub(crate) fn error_body(error: &ErrorBody<'_>, status: u16, request_id: &str) -> String {
    body(type_of_status(status), error.message, request_id)
}

/// The same for the middle of a stream, which has no status of its own any more.
pub(super) fn error_event_data(error: &ErrorBody<'_>, request_id: &str) -> String {
    body(type_of_kind(error.kind), error.message, request_id)
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'a str,
    error: Inner<'a>,
    request_id: &'a str,
}

#[derive(Serialize)]
struct Inner<'a> {
    r#type: &'a str,
    message: &'a str,
}

fn body(kind: &str, message: &str, request_id: &str) -> String {
    let body = Body {
        r#type: "error",
        error: Inner {
            r#type: kind,
            message,
        },
        request_id,
    };
    serde_json::to_string(&body).unwrap_or_default()
}

/// Source: <https://platform.claude.com/docs/en/api/errors>, which also uses `invalid_request_error` for any other 4xx.
fn type_of_status(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        408 | 504 => "timeout_error",
        409 => "conflict_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}

fn type_of_kind(kind: ErrorType) -> &'static str {
    match kind {
        ErrorType::InvalidRequest => "invalid_request_error",
        ErrorType::Authentication => "authentication_error",
        ErrorType::Permission => "permission_error",
        ErrorType::NotFound => "not_found_error",
        ErrorType::RateLimit => "rate_limit_error",
        ErrorType::InsufficientQuota => "billing_error",
        ErrorType::Server => "api_error",
        ErrorType::ServiceUnavailable => "overloaded_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ERROR: ErrorBody<'_> = ErrorBody {
        message: "No \"such\" model.",
        kind: ErrorType::NotFound,
        param: Some("model"),
        code: None,
    };

    #[test]
    fn an_error_has_a_type_at_both_levels_and_the_requests_id() {
        let body = error_body(&ERROR, 404, "r1");

        let expected = r#"{"type":"error","error":{"type":"not_found_error","message":"No \"such\" model."},"request_id":"r1"}"#;
        assert_eq!(body, expected);
    }

    #[test]
    fn the_status_decides_the_type() {
        let expected = [
            (400, "invalid_request_error"),
            (401, "authentication_error"),
            (402, "billing_error"),
            (403, "permission_error"),
            (404, "not_found_error"),
            (408, "timeout_error"),
            (409, "conflict_error"),
            (413, "request_too_large"),
            (422, "invalid_request_error"),
            (429, "rate_limit_error"),
            (500, "api_error"),
            (502, "api_error"),
            (503, "overloaded_error"),
            (504, "timeout_error"),
            (529, "overloaded_error"),
        ];

        for (status, kind) in expected {
            assert_eq!(type_of_status(status), kind, "{status}");
        }
    }
}
