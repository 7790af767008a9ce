//! The manners of providers: at which address each is asked, and how a key is shown to it.
//!
//! One file for each family. What a request says is the dialect's business; here is only what stands around it. No I/O:
//! routers and coordinators send the requests.

mod anthropic;
mod azure;
mod bedrock;
mod gemini;
mod ollama;
mod openai;

use std::time::SystemTime;

use dialect::canon::StreamVariant;
use dialect::{Endpoint, StoredAction};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use shared::config::{Dialect, Manners};
use shared::secret::Secret;
use thiserror::Error;

/// Where an upstream is asked.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The provider's, without a trailing slash. It may end with the version, or with what else every path of the
    /// provider begins with: that is not repeated.
    pub base_url: &'a str,
    /// The provider's own, not the client's.
    pub endpoint: Endpoint,
    pub manners: Manners,
    /// Azure's.
    pub api_version: Option<&'a str>,
    /// The upstream's name for the model.
    pub model: &'a str,
    pub is_stream: bool,
    pub variant: StreamVariant,
}

/// A request that is complete but for its credential.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    pub dialect: Dialect,
    pub manners: Manners,
    pub secret: &'a Secret<String>,
    /// As it will be sent.
    pub url: &'a str,
    /// As it will be sent.
    pub body: &'a [u8],
    pub client_headers: &'a HeaderMap,
    /// Whether the client's bytes go through.
    pub is_faithful: bool,
    pub now: SystemTime,
}

/// Why a key cannot be shown; only the configuration can be at fault. Says nothing of the key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CredentialError {
    #[error("the key cannot be sent in a header")]
    NotForHeaders,
    #[error(
        "the key is neither a Bedrock API key nor `ACCESS_KEY_ID:SECRET_ACCESS_KEY[:SESSION_TOKEN]`"
    )]
    NotAmazons,
    #[error("the request cannot be signed: {0}")]
    Unsignable(String),
}

/// What follows the provider's `base_url`, query and all.
pub fn path(place: &Place<'_>) -> String {
    match place.endpoint.dialect() {
        Dialect::OpenaiChat | Dialect::OpenaiResponses => match place.manners {
            Manners::Azure => azure::path(place),
            _ => openai::path(place.endpoint).to_owned(),
        },
        Dialect::AnthropicMessages => anthropic::path(place),
        Dialect::GeminiGenerate => gemini::path(place),
        Dialect::OllamaChat => ollama::path(place).to_owned(),
        Dialect::BedrockConverse => bedrock::path(place),
    }
}

/// A response that a provider has stored.
#[derive(Clone, Copy, Debug)]
pub struct StoredResponse<'a> {
    /// As for [`Place`].
    pub base_url: &'a str,
    pub manners: Manners,
    /// Azure's.
    pub api_version: Option<&'a str>,
    pub id: &'a str,
    pub action: StoredAction,
    /// What the client asks about it, in a query.
    pub query: Option<&'a str>,
}

/// Where a stored response is asked for, after the provider's `base_url`: below the address at which it was made.
pub fn stored_path(stored: &StoredResponse<'_>) -> String {
    let made_at = path(&Place {
        base_url: stored.base_url,
        endpoint: Endpoint::Responses,
        manners: stored.manners,
        api_version: stored.api_version,
        model: "",
        is_stream: false,
        variant: StreamVariant::Usual,
    });
    let (root, version) = match made_at.split_once('?') {
        Some((root, version)) => (root, Some(version)),
        None => (made_at.as_str(), None),
    };
    let action = match stored.action {
        StoredAction::Retrieve | StoredAction::Delete => "",
        StoredAction::Cancel => "/cancel",
        StoredAction::InputItems => "/input_items",
    };
    let mut path = format!("{root}/{}{action}", encode(stored.id));
    let queries = [version, stored.query].into_iter().flatten();
    for (query, mark) in queries.zip(['?', '&']) {
        path.push(mark);
        path.push_str(query);
    }
    path
}

/// Where a provider lists its models, after its `base_url`; `None` if it has no such list for keys like ours.
pub fn models_path(
    dialect: Dialect,
    manners: Manners,
    api_version: Option<&str>,
    base_url: &str,
) -> Option<String> {
    let path = match dialect {
        Dialect::OpenaiChat | Dialect::OpenaiResponses => match manners {
            Manners::Azure => azure::models_path(base_url, api_version),
            _ => "/models".to_owned(),
        },
        Dialect::AnthropicMessages => format!("{}/models", anthropic::version(base_url)),
        Dialect::GeminiGenerate => format!("{}/models", gemini::version(base_url)),
        Dialect::OllamaChat => ollama::below(base_url, "/api/tags").to_owned(),
        // That list is the control plane's, with a host of its own.
        Dialect::BedrockConverse => return None,
    };
    Some(path)
}

/// Adds the key to `headers`, and what else the provider wants to know before it reads on.
///
/// # Errors
///
/// A key that cannot be shown.
pub fn authorize(headers: &mut HeaderMap, outgoing: &Outgoing<'_>) -> Result<(), CredentialError> {
    let secret = outgoing.secret;
    match outgoing.dialect {
        Dialect::OpenaiChat | Dialect::OpenaiResponses => match outgoing.manners {
            Manners::Azure => azure::authorize(headers, secret),
            _ => bear(headers, secret),
        },
        Dialect::AnthropicMessages => anthropic::authorize(headers, outgoing),
        Dialect::GeminiGenerate => gemini::authorize(headers, secret),
        // Ollama asks for no key; the proxies before it do.
        Dialect::OllamaChat => bear(headers, secret),
        Dialect::BedrockConverse => bedrock::authorize(headers, outgoing),
    }
}

fn bear(headers: &mut HeaderMap, secret: &Secret<String>) -> Result<(), CredentialError> {
    let bearer = Secret::new(format!("Bearer {}", secret.expose()));
    show(headers, AUTHORIZATION, &bearer)
}

fn show(
    headers: &mut HeaderMap,
    name: HeaderName,
    secret: &Secret<String>,
) -> Result<(), CredentialError> {
    let mut value =
        HeaderValue::from_str(secret.expose()).map_err(|_| CredentialError::NotForHeaders)?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

/// The parts of a base URL's path.
fn segments(base_url: &str) -> impl Iterator<Item = &str> {
    let after_scheme = base_url
        .split_once("://")
        .map_or(base_url, |(_, rest)| rest);
    let path = after_scheme.split_once('/').map_or("", |(_, path)| path);
    path.split('/').filter(|segment| !segment.is_empty())
}

/// `v1`, `v1beta`, `v4`.
fn is_version(segment: &str) -> bool {
    matches!(segment.as_bytes(), [b'v', b'0'..=b'9', ..])
}

/// All that is not free of meaning everywhere (RFC 3986 §2.3) is written with `%`.
fn encode(segment: &str) -> PercentEncode<'_> {
    const RESERVED: AsciiSet = NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    utf8_percent_encode(segment, &RESERVED)
}

#[cfg(test)]
mod tests;
