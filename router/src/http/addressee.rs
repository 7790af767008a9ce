//! Who is answered: in which language, and about which request.

use std::sync::Arc;

use axum::extract::Request;
use http::{HeaderMap, Uri};
use shared::config::Dialect;

use crate::http::request_id::RequestId;

#[derive(Clone, Debug)]
pub(crate) struct Addressee {
    pub(crate) dialect: Dialect,
    pub(crate) request_id: Arc<str>,
}

impl Addressee {
    /// Of a request that no route has claimed yet.
    pub(crate) fn of<B>(request: &http::Request<B>) -> Self {
        Self {
            dialect: dialect_of(request.uri(), request.headers()),
            request_id: request_id(request),
        }
    }

    /// Of a request at a route of `dialect`.
    pub(crate) fn speaking(dialect: Dialect, request: &Request) -> Self {
        Self {
            dialect,
            request_id: request_id(request),
        }
    }
}

fn request_id<B>(request: &http::Request<B>) -> Arc<str> {
    match request.extensions().get::<RequestId>() {
        Some(request_id) => request_id.name(),
        None => RequestId::of(request.headers()).name(),
    }
}

/// The language of whoever asks for `uri`. Paths are of one dialect each, but for lists of models, which three have in
/// the same place: there headers tell, which their SDKs always send.
pub(crate) fn dialect_of(uri: &Uri, headers: &HeaderMap) -> Dialect {
    let path = uri.path();
    let is_below = |prefix: &str| {
        path.strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ':']))
    };
    if is_below("/v1beta/openai") || is_below("/openai") || is_below("/api/v0") {
        Dialect::OpenaiChat
    } else if is_below("/v1beta") {
        Dialect::GeminiGenerate
    } else if is_below("/api") || path == "/" {
        Dialect::OllamaChat
    } else if is_below("/v1/messages") {
        Dialect::AnthropicMessages
    } else if is_below("/v1/responses") {
        Dialect::OpenaiResponses
    } else if is_below("/v1/models") && path.contains(':') && names_method(path) {
        Dialect::GeminiGenerate
    } else if headers.contains_key("anthropic-version") {
        Dialect::AnthropicMessages
    } else if headers.contains_key("x-goog-api-key") || query_value(uri, "key").is_some() {
        Dialect::GeminiGenerate
    } else {
        Dialect::OpenaiChat
    }
}

/// Whether a path ends with one of Gemini's methods: a model's name may have a colon too.
fn names_method(path: &str) -> bool {
    path.rsplit_once(':').is_some_and(|(_, method)| {
        method.ends_with("Content") || method.ends_with("Contents") || method == "countTokens"
    })
}

/// The value of a query parameter, percent-decoded.
pub(crate) fn query_value(uri: &Uri, name: &str) -> Option<String> {
    let query = uri.query()?;
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(known, _)| *known == name)?;
    let value = value.replace('+', " ");
    percent_encoding::percent_decode_str(&value)
        .decode_utf8()
        .ok()
        .map(Into::into)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(uri: &str, header: Option<&'static str>, expected: Dialect) {
        let mut headers = HeaderMap::new();
        if let Some(header) = header {
            headers.insert(header, HeaderValue::from_static("x"));
        }
        assert_eq!(
            dialect_of(&uri.parse().unwrap(), &headers),
            expected,
            "{uri}"
        );
    }

    #[test]
    fn the_path_tells_the_language() {
        check("/v1/chat/completions", None, Dialect::OpenaiChat);
        check("/v1/responses/x", None, Dialect::OpenaiResponses);
        check(
            "/v1/messages/count_tokens",
            None,
            Dialect::AnthropicMessages,
        );
        check(
            "/v1beta/models/m:generateContent",
            None,
            Dialect::GeminiGenerate,
        );
        check(
            "/v1/models/m:generateContent",
            None,
            Dialect::GeminiGenerate,
        );
        check("/v1beta/openai/chat/completions", None, Dialect::OpenaiChat);
        check(
            "/openai/deployments/d/chat/completions",
            None,
            Dialect::OpenaiChat,
        );
        check("/api/chat", None, Dialect::OllamaChat);
        check("/api/v0/models", None, Dialect::OpenaiChat);
        check("/apiary", None, Dialect::OpenaiChat);
        check("/", None, Dialect::OllamaChat);
    }

    #[test]
    fn headers_tell_who_wants_a_list_of_models() {
        check("/v1/models", None, Dialect::OpenaiChat);
        check("/v1/models/llama3:8b", None, Dialect::OpenaiChat);
        check(
            "/v1/models",
            Some("anthropic-version"),
            Dialect::AnthropicMessages,
        );
        check(
            "/v1/models",
            Some("x-goog-api-key"),
            Dialect::GeminiGenerate,
        );
        check("/v1/models?key=x", None, Dialect::GeminiGenerate);
    }
}
