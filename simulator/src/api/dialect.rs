//! Whose API a request speaks: its credentials, and the manners of its JSON.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request;

use crate::fields::Manners;

use super::errors::ApiError;
use super::query;

/// Where the request needs no key and brings none: the oracle counts it under this name.
const NOBODY: &str = "anonymous";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    OpenAi,
    Azure,
    Anthropic,
    Gemini,
    /// Gemini where answers are elements of one JSON array, errors too.
    GeminiArray,
    Ollama,
    Bedrock,
}

/// Whom an answer is for: it makes the form of errors, ids and headers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addressee {
    pub(crate) dialect: Dialect,
    /// The request's number.
    pub(crate) id: u64,
}

impl Dialect {
    /// The key that the request comes with, as this API takes it.
    pub(super) fn secret(self, head: &request::Parts) -> Result<Cow<'_, str>, ApiError> {
        let headers = &head.headers;
        let secret = match self {
            Self::OpenAi => bearer(headers).map(Cow::Borrowed),
            Self::Azure => either(header(headers, "api-key"), bearer(headers))?,
            // With both, the real one takes this.
            Self::Anthropic => header(headers, "x-api-key")
                .or_else(|| bearer(headers))
                .map(Cow::Borrowed),
            Self::Gemini | Self::GeminiArray => match header(headers, "x-goog-api-key") {
                Some(secret) => Some(Cow::Borrowed(secret)),
                None => query::field(head.uri.query(), "key"),
            },
            Self::Ollama => Some(Cow::Borrowed(bearer(headers).unwrap_or(NOBODY))),
            Self::Bedrock => either(access_key_id(headers), bearer(headers))?,
        };
        secret.ok_or_else(|| ApiError::no_key(self))
    }

    pub(super) fn manners(self) -> Manners {
        match self {
            Self::OpenAi | Self::Azure | Self::Ollama | Self::Bedrock => Manners {
                null_is_absent: true,
                takes_snake_case: false,
            },
            Self::Gemini | Self::GeminiArray => Manners {
                null_is_absent: true,
                takes_snake_case: true,
            },
            Self::Anthropic => Manners {
                null_is_absent: false,
                takes_snake_case: false,
            },
        }
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = headers.get(name)?.to_str().ok()?;
    (!value.is_empty()).then_some(value)
}

/// The secret in `Authorization`.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, secret) = header(headers, AUTHORIZATION.as_str())?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !secret.is_empty()).then_some(secret)
}

/// Who signed with `SigV4`; the signature itself cannot be checked without the secret.
fn access_key_id(headers: &HeaderMap) -> Option<&str> {
    let authorization = header(headers, AUTHORIZATION.as_str())?;
    let parts = authorization.strip_prefix("AWS4-HMAC-SHA256 ")?;
    let part = |name: &str| {
        let mut parts = parts.split(',').map(str::trim);
        parts.find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
    };
    let is_signed = part("SignedHeaders").is_some()
        && part("Signature").is_some_and(|signature| signature.len() == 64)
        && headers.contains_key("x-amz-date");
    let (id, scope) = part("Credential")?.split_once('/')?;
    let is_scoped = scope.split('/').count() == 4 && scope.ends_with("/bedrock/aws4_request");
    (is_signed && is_scoped && !id.is_empty()).then_some(id)
}

/// Two credentials in one request are one too many.
fn either<'a>(
    one: Option<&'a str>,
    other: Option<&'a str>,
) -> Result<Option<Cow<'a, str>>, ApiError> {
    match (one, other) {
        (Some(_), Some(_)) => Err(ApiError::two_keys()),
        (secret, None) | (None, secret) => Ok(secret.map(Cow::Borrowed)),
    }
}
