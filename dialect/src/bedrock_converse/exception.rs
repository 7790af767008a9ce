//! Errors, in the shapes of AWS.

use serde_json::Value;

use crate::{AwsMessage, UpstreamError};

/// The statuses that exceptions have when they arrive before the stream.
const STATUSES: [(&str, u16); 11] = [
    ("validationException", 400),
    ("serviceQuotaExceededException", 400),
    ("accessDeniedException", 403),
    ("resourceNotFoundException", 404),
    ("modelTimeoutException", 408),
    ("modelErrorException", 424),
    ("modelStreamErrorException", 424),
    ("throttlingException", 429),
    ("modelNotReadyException", 429),
    ("internalServerException", 500),
    ("serviceUnavailableException", 503),
];

/// Reads an exception out of a stream.
pub(super) fn of_message(message: &AwsMessage<'_>) -> UpstreamError {
    let body: Option<Value> = serde_json::from_slice(message.payload).ok();
    let said = body.as_ref().and_then(text);
    UpstreamError {
        message: said.unwrap_or_else(|| String::from_utf8_lossy(message.payload).into_owned()),
        kind: Some(message.kind.to_owned()),
        status: status(message.kind),
        ..UpstreamError::default()
    }
}

/// Reads a body; `None` if it tells of no error.
///
/// AWS writes `{"message", "__type"}`, mostly without the type, and its gateways `{"Output": {"__type"}}`.
pub(crate) fn error_of_body(body: &Value) -> Option<UpstreamError> {
    let body = body.get("Output").unwrap_or(body);
    // Some services put the name of a namespace before it: `com.amazon.coral.service#ThrottlingException`.
    let kind = body.get("__type").and_then(Value::as_str);
    let kind = kind.map(|kind| kind.rsplit_once('#').map_or(kind, |(_, kind)| kind));
    let message = text(body).or_else(|| kind.map(str::to_owned))?;
    Some(UpstreamError {
        message,
        kind: kind.map(str::to_owned),
        status: kind.and_then(status),
        ..UpstreamError::default()
    })
}

fn text(body: &Value) -> Option<String> {
    let text = body.get("message").or_else(|| body.get("Message"))?;
    Some(text.as_str()?.to_owned())
}

/// Names begin with a small letter in streams and with a capital elsewhere.
fn status(kind: &str) -> Option<u16> {
    let mut statuses = STATUSES.iter();
    let (_, status) = statuses.find(|(name, _)| name.eq_ignore_ascii_case(kind))?;
    Some(*status)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(body: &Value, message: &str, kind: Option<&str>, status: Option<u16>) {
        let error = error_of_body(body).unwrap();
        assert_eq!(error.message, message);
        assert_eq!((error.kind.as_deref(), error.status), (kind, status));
    }

    #[test]
    fn all_of_amazons_shapes_are_understood() {
        check(&json!({"message": "m"}), "m", None, None);
        check(
            &json!({"Message": "m", "__type": "com.amazon.coral.service#ThrottlingException"}),
            "m",
            Some("ThrottlingException"),
            Some(429),
        );
        check(
            &json!({"Output": {"__type": "com.amazon.coral.service#UnknownOperationException"}, "Version": "1.0"}),
            "UnknownOperationException",
            Some("UnknownOperationException"),
            None,
        );
    }

    #[test]
    fn what_tells_of_no_error_is_none() {
        for body in [json!({}), json!([]), json!({"message": {}}), json!("x")] {
            assert_eq!(error_of_body(&body), None, "{body}");
        }
    }

    #[test]
    fn an_exception_without_json_tells_its_text() {
        let message = AwsMessage {
            kind: "InternalError",
            is_exception: true,
            payload: b"An internal error occurred",
        };

        let error = of_message(&message);

        assert_eq!(error.message, "An internal error occurred");
        assert_eq!(error.kind.as_deref(), Some("InternalError"));
        assert_eq!(error.status, None);
    }
}
