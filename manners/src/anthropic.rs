//! Anthropic: the base URL is the host, and each request names the API's version.

use dialect::Endpoint;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{CredentialError, Outgoing, Place, is_version, segments, show};

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const VERSION: HeaderName = HeaderName::from_static("anthropic-version");
const BETA: HeaderName = HeaderName::from_static("anthropic-beta");

/// The version in which requests are written here: the last that takes `temperature`, `top_p` and `top_k`.
const OUR_VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");

/// Empty for what is asked of no such provider.
pub(super) fn path(place: &Place<'_>) -> String {
    let asked = match place.endpoint {
        Endpoint::Messages => "/messages",
        Endpoint::CountMessageTokens => "/messages/count_tokens",
        _ => return String::new(),
    };
    format!("{}{asked}", version(place.base_url))
}

/// Empty where the base URL ends with one.
pub(super) fn version(base_url: &str) -> &'static str {
    match segments(base_url).last().is_some_and(is_version) {
        true => "",
        false => "/v1",
    }
}

/// A client whose bytes go through says itself which version they are in, and which betas.
pub(super) fn authorize(
    headers: &mut HeaderMap,
    outgoing: &Outgoing<'_>,
) -> Result<(), CredentialError> {
    headers.insert(VERSION, OUR_VERSION);
    if outgoing.is_faithful {
        if let Some(version) = outgoing.client_headers.get(&VERSION) {
            headers.insert(VERSION, version.clone());
        }
        for beta in outgoing.client_headers.get_all(&BETA) {
            headers.append(BETA, beta.clone());
        }
    }
    show(headers, API_KEY, outgoing.secret)
}
