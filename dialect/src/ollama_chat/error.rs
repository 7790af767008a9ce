//! Errors as this dialect's clients know them.

use crate::ErrorBody;

/// `status` is the HTTP status that it is sent with.
pub(crate) fn error_body(error: &ErrorBody<'_>, _status: u16, _request_id: &str) -> String {
    error.to_json()
}
