//! Errors as this dialect's clients know them.

use serde_json::json;

use crate::{ErrorBody, ErrorType};

/// `status` is the HTTP status that it is sent with.
pub(crate) fn error_body(error: &ErrorBody<'_>, status: u16, _request_id: &str) -> String {
    json!({"error": {"code": status, "message": error.message, "status": rpc_status(status)}})
        .to_string()
}

/// The HTTP status of an error that comes when another was already sent.
pub(super) fn status_of(kind: ErrorType) -> u16 {
    match kind {
        ErrorType::InvalidRequest => 400,
        ErrorType::Authentication => 401,
        ErrorType::Permission => 403,
        ErrorType::NotFound => 404,
        ErrorType::RateLimit | ErrorType::InsufficientQuota => 429,
        ErrorType::Server => 500,
        ErrorType::ServiceUnavailable => 503,
    }
}

/// As `google/rpc/code.proto` maps them, the other way round.
fn rpc_status(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        402 => "FAILED_PRECONDITION",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        501 => "UNIMPLEMENTED",
        502 | 503 | 529 => "UNAVAILABLE",
        408 | 504 => "DEADLINE_EXCEEDED",
        400..=499 => "INVALID_ARGUMENT",
        _ => "INTERNAL",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, expected: &str) {
        let error = ErrorBody {
            message: "no \"such\" model",
            kind: ErrorType::NotFound,
            param: Some("model"),
            code: Some("model_not_found"),
        };

        assert_eq!(error_body(&error, status, "id"), expected);
    }

    #[test]
    fn an_error_has_its_status_as_a_number_and_as_googles_word() {
        check(
            404,
            r#"{"error":{"code":404,"message":"no \"such\" model","status":"NOT_FOUND"}}"#,
        );
        check(
            413,
            r#"{"error":{"code":413,"message":"no \"such\" model","status":"INVALID_ARGUMENT"}}"#,
        );
        check(
            504,
            r#"{"error":{"code":504,"message":"no \"such\" model","status":"DEADLINE_EXCEEDED"}}"#,
        );
        check(
            500,
            r#"{"error":{"code":500,"message":"no \"such\" model","status":"INTERNAL"}}"#,
        );
    }
}
