//! Gemini: the model and what is done with it stand in the path. The base URL is the host, or ends with the version.

use dialect::Endpoint;
use dialect::canon::StreamVariant;
use http::{HeaderMap, HeaderName};
use shared::secret::Secret;

use super::{CredentialError, Place, encode, is_version, segments, show};

const API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");

pub(super) fn path(place: &Place<'_>) -> String {
    let version = version(place.base_url);
    // The API names a model by what it is a resource of: `models/gemini-3`, `tunedModels/mine`.
    let (collection, model) = match place.model.split_once('/') {
        Some((collection @ ("models" | "tunedModels"), model)) => (collection, model),
        _ => ("models", place.model),
    };
    let model = encode(model);
    let verb = verb(place);
    format!("{version}/{collection}/{model}{verb}")
}

/// Empty where the base URL has one, anywhere: Vertex AI's goes on with a project and a publisher.
pub(super) fn version(base_url: &str) -> &'static str {
    match segments(base_url).any(is_version) {
        true => "",
        false => "/v1beta",
    }
}

/// Empty for what is asked of no such provider.
fn verb(place: &Place<'_>) -> &'static str {
    match place.endpoint {
        Endpoint::GenerateContent if !place.is_stream => ":generateContent",
        Endpoint::GenerateContent => match place.variant {
            StreamVariant::Array => ":streamGenerateContent",
            _ => ":streamGenerateContent?alt=sse",
        },
        Endpoint::CountContentTokens => ":countTokens",
        Endpoint::EmbedContent => ":embedContent",
        Endpoint::BatchEmbedContents => ":batchEmbedContents",
        _ => "",
    }
}

pub(super) fn authorize(
    headers: &mut HeaderMap,
    secret: &Secret<String>,
) -> Result<(), CredentialError> {
    show(headers, API_KEY, secret)
}
