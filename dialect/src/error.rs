//! Errors: what clients are told, in the words of their dialect, and the many shapes that providers send.

use serde_json::{Value, json};
use shared::config::Dialect;

use crate::bedrock_converse;

/// What a client is told; each dialect has its own shape for it, see [`crate::wire::error_body`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorBody<'a> {
    pub message: &'a str,
    pub kind: ErrorType,
    pub param: Option<&'a str>,
    pub code: Option<&'a str>,
}

/// The `type` of an error body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorType {
    InvalidRequest,
    Authentication,
    Permission,
    NotFound,
    RateLimit,
    InsufficientQuota,
    Server,
    ServiceUnavailable,
}

impl ErrorType {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request_error",
            Self::Authentication => "authentication_error",
            Self::Permission => "permission_error",
            Self::NotFound => "not_found_error",
            Self::RateLimit => "rate_limit_error",
            Self::InsufficientQuota => "insufficient_quota",
            Self::Server => "server_error",
            Self::ServiceUnavailable => "service_unavailable_error",
        }
    }
}

impl ErrorBody<'_> {
    /// In OpenAI's shape: `{"error":{"message","type","param","code"}}`.
    pub(crate) fn to_json(self) -> String {
        let Self {
            message,
            kind,
            param,
            code,
        } = self;
        // All four keys are always there: SDKs read them without asking.
        json!({"error": {"message": message, "type": kind.as_str(), "param": param, "code": code}})
            .to_string()
    }
}

/// What a provider said went wrong, whatever shape it said it in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamError {
    pub message: String,
    /// The error's `type`, or Gemini's `status`: `RESOURCE_EXHAUSTED`.
    pub kind: Option<String>,
    /// As text, also where the provider sends a number.
    pub code: Option<String>,
    /// The HTTP status that the error itself names, for those that arrive after a 200.
    pub status: Option<u16>,
    /// A closer word than the code: Anthropic's `details.error_code`, the `reason` of Google's `ErrorInfo`.
    pub reason: Option<String>,
    /// Google's `RetryInfo`, as it is written: `34.07s`.
    pub retry_delay: Option<String>,
    /// The first quota that Google's `QuotaFailure` names: `GenerateRequestsPerDayPerProjectPerModel-FreeTier`.
    pub quota: Option<String>,
}

impl UpstreamError {
    /// Reads the body of an error reply; `None` if it tells of no error.
    pub fn parse(body: &[u8]) -> Option<Self> {
        Self::of_body(&serde_json::from_slice(body).ok()?)
    }

    pub(crate) fn of_body(body: &Value) -> Option<Self> {
        // Gemini's OpenAI-compatible endpoint wraps its errors in an array.
        let body = match body {
            Value::Array(errors) => errors.first()?,
            body => body,
        };
        match body.get("error") {
            Some(error) => Self::of_error(error),
            // Amazon has nothing around its errors.
            None => bedrock_converse::error_of_body(body),
        }
    }

    /// Reads the value of an `error` field.
    pub(crate) fn of_error(error: &Value) -> Option<Self> {
        let error = match error {
            Value::Object(error) => error,
            // Ollama sends the text alone.
            Value::String(message) => {
                return Some(Self {
                    message: message.clone(),
                    ..Self::default()
                });
            }
            // A field that some providers fill in even when all is well.
            _ => return None,
        };
        let text = |field: &str| match error.get(field)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let status = ["status", "code"]
            .into_iter()
            .filter_map(|field| text(field)?.parse().ok())
            .find(|status| (400..600).contains(status));
        let details = Details::of(error.get("details"));
        Some(Self {
            message: text("message").unwrap_or_default(),
            kind: text("type").or_else(|| text("status")),
            code: text("code"),
            status,
            reason: details.reason,
            retry_delay: details.retry_delay,
            quota: details.quota,
        })
    }

    /// Whether `body` has the shape that clients of `dialect` know, and can be passed on as it is.
    pub fn is_shaped_for(dialect: Dialect, body: &[u8]) -> bool {
        let Ok(body) = serde_json::from_slice::<Value>(body) else {
            return false;
        };
        let error = &body["error"];
        match dialect {
            Dialect::OpenaiChat | Dialect::OpenaiResponses | Dialect::BedrockConverse => {
                error["message"].is_string()
            }
            Dialect::AnthropicMessages => {
                body["type"] == "error" && error["type"].is_string() && error["message"].is_string()
            }
            Dialect::GeminiGenerate => error["message"].is_string() && error["code"].is_u64(),
            Dialect::OllamaChat => error.is_string(),
        }
    }
}

/// What providers add to an error for machines to read.
#[derive(Default)]
struct Details {
    reason: Option<String>,
    retry_delay: Option<String>,
    quota: Option<String>,
}

impl Details {
    fn of(details: Option<&Value>) -> Self {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        match details {
            Some(Value::Object(details)) => Self {
                reason: details.get("error_code").and_then(text),
                ..Self::default()
            },
            Some(Value::Array(parts)) => {
                let first =
                    |pointer: &str| parts.iter().find_map(|part| text(part.pointer(pointer)?));
                Self {
                    reason: first("/reason"),
                    retry_delay: first("/retryDelay"),
                    quota: first("/violations/0/quotaId"),
                }
            }
            _ => Self::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_all_four_fields() {
        let body = ErrorBody {
            message: "no \"such\" model",
            kind: ErrorType::NotFound,
            param: Some("model"),
            code: None,
        };

        let expected = r#"{"error":{"message":"no \"such\" model","type":"not_found_error","param":"model","code":null}}"#;
        assert_eq!(body.to_json(), expected);
    }

    #[track_caller]
    fn check(body: &str, message: &str, [kind, code, status]: [&str; 3]) {
        let error = UpstreamError::parse(body.as_bytes()).unwrap();
        let text = |text: Option<String>| text.unwrap_or_default();
        assert_eq!(error.message, message);
        assert_eq!(
            [
                text(error.kind),
                text(error.code),
                text(error.status.map(|status| status.to_string()))
            ],
            [kind, code, status]
        );
    }

    #[test]
    fn the_shapes_of_all_providers_are_understood() {
        check(
            r#"{"error":{"message":"slow","type":"rate_limit_error","param":null,"code":"slow_down"}}"#,
            "slow",
            ["rate_limit_error", "slow_down", ""],
        );
        check(
            r#"[{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}}]"#,
            "m",
            ["RESOURCE_EXHAUSTED", "429", "429"],
        );
        check(r#"{"error":"server busy"}"#, "server busy", ["", "", ""]);
        check(
            r#"{"error":{"code":"1302","message":"m"}}"#,
            "m",
            ["", "1302", ""],
        );
        check(r#"{"message":"m"}"#, "m", ["", "", ""]);
    }

    #[test]
    fn details_for_machines_are_understood() {
        let google = r#"[{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[
            {"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"RequestsPerDay"}]},
            {"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"RATE_LIMIT_EXCEEDED"},
            {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.07s"}]}}]"#;
        let anthropic = r#"{"type":"error","error":{"type":"rate_limit_error","message":"m",
            "details":{"error_code":"enforced_spend_limit_reached"}}}"#;

        let google = UpstreamError::parse(google.as_bytes()).unwrap();
        let anthropic = UpstreamError::parse(anthropic.as_bytes()).unwrap();

        assert_eq!(google.reason.as_deref(), Some("RATE_LIMIT_EXCEEDED"));
        assert_eq!(google.retry_delay.as_deref(), Some("34.07s"));
        assert_eq!(google.quota.as_deref(), Some("RequestsPerDay"));
        let reason = anthropic.reason.as_deref();
        assert_eq!(reason, Some("enforced_spend_limit_reached"));
    }

    #[test]
    fn only_the_shape_that_clients_get_is_passed_on_as_it_is() {
        use Dialect::{AnthropicMessages, GeminiGenerate, OllamaChat, OpenaiChat};

        let check = |body: &str, expected: &[Dialect]| {
            for dialect in [OpenaiChat, AnthropicMessages, GeminiGenerate, OllamaChat] {
                let is_shaped = UpstreamError::is_shaped_for(dialect, body.as_bytes());
                assert_eq!(
                    is_shaped,
                    expected.contains(&dialect),
                    "{dialect:?}: {body}"
                );
            }
        };

        check(r#"{"error":{"message":"m"}}"#, &[OpenaiChat]);
        check(r#"[{"error":{"message":"m"}}]"#, &[]);
        check(r#"{"error":"m"}"#, &[OllamaChat]);
        check("<html>", &[]);
        check(
            r#"{"type":"error","error":{"type":"api_error","message":"m"}}"#,
            &[OpenaiChat, AnthropicMessages],
        );
        check(
            r#"{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}"#,
            &[OpenaiChat, GeminiGenerate],
        );
    }

    #[test]
    fn a_reply_without_an_error_tells_of_none() {
        for body in [
            r#"{"error":null,"choices":[]}"#,
            r#"{"choices":[]}"#,
            "[]",
            "<html>",
        ] {
            assert_eq!(UpstreamError::parse(body.as_bytes()), None, "{body}");
        }
    }
}
