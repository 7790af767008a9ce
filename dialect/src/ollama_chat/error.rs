//! Errors as this dialect's clients know them.

use serde_json::json;

use crate::ErrorBody;

/// `status` is the HTTP status that it is sent with; it is told nowhere else.
pub(crate) fn error_body(error: &ErrorBody<'_>, _status: u16, _request_id: &str) -> String {
    json!({"error": error.message}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorType;

    #[test]
    fn an_error_is_a_text() {
        let error = ErrorBody {
            message: "no model \"m\"",
            kind: ErrorType::NotFound,
            param: Some("model"),
            code: Some("model_not_found"),
        };

        let body = error_body(&error, 404, "id");

        assert_eq!(body, r#"{"error":"no model \"m\""}"#);
    }
}
