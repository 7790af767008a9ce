//! The name of one request, in every answer and every log line.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use shared::config::Dialect;

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Anthropic's.
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

const LENGTH_MAX: usize = 128;

#[derive(Clone, Debug)]
pub(crate) struct RequestId(Arc<str>);

impl RequestId {
    /// Keeps the client's own, if it is visible ASCII of sane length; else makes one.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let given = headers
            .get(X_REQUEST_ID)
            .and_then(|value| value.to_str().ok())
            .filter(|id| !id.is_empty() && id.len() <= LENGTH_MAX)
            .filter(|id| id.bytes().all(|byte| byte.is_ascii_graphic()));
        Self(match given {
            Some(id) => id.into(),
            None => format!("req_{}", uuid::Uuid::new_v4().simple()).into(),
        })
    }

    pub(crate) fn name(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// Under the name that the dialect's SDKs show their users.
    pub(crate) fn write(&self, headers: &mut HeaderMap, dialect: Dialect) {
        if let Ok(value) = HeaderValue::from_str(&self.0) {
            if dialect == Dialect::AnthropicMessages {
                headers.insert(REQUEST_ID, value.clone());
            }
            headers.insert(X_REQUEST_ID, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(given: &'static str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(X_REQUEST_ID, HeaderValue::from_static(given));
        RequestId::of(&headers).name().to_string()
    }

    #[test]
    fn a_sane_request_id_is_kept() {
        assert_eq!(of("abc-123"), "abc-123");
    }

    #[test]
    fn a_request_id_that_could_break_a_log_is_replaced() {
        assert!(of("a b").starts_with("req_"));
        assert!(of("").starts_with("req_"));
    }
}
