//! Azure OpenAI, in its older way with deployments and dated versions, and in its newer one, which is OpenAI's.
//!
//! The base URL is the resource's host (`https://name.openai.azure.com`), or goes on with `/openai`, `/openai/v1` or
//! `/openai/deployments/name`.

use dialect::Endpoint;
use http::{HeaderMap, HeaderName};
use shared::secret::Secret;

use super::{CredentialError, Place, encode, is_version, openai, segments, show};

const API_KEY: HeaderName = HeaderName::from_static("api-key");

pub(super) fn path(place: &Place<'_>) -> String {
    let asked = openai::path(place.endpoint);
    let query = query(place.api_version);
    let is_complete = segments(place.base_url).any(is_deployments) || has_version(place.base_url);
    if is_complete {
        return format!("{asked}{query}");
    }
    let root = root(place.base_url);
    match is_older_way(place.api_version) {
        true if has_deployment(place.endpoint) => {
            let deployment = encode(place.model);
            format!("{root}/deployments/{deployment}{asked}{query}")
        }
        true => format!("{root}{asked}{query}"),
        false => format!("{root}/v1{asked}{query}"),
    }
}

/// Where the resource lists its models, beside where it is asked.
pub(super) fn models_path(base_url: &str, api_version: Option<&str>) -> String {
    let query = query(api_version);
    if has_version(base_url) {
        return format!("/models{query}");
    }
    if segments(base_url).any(is_deployments) {
        // No deployment has a list of its own: out of its name, and of all of them.
        return format!("/../../models{query}");
    }
    let root = root(base_url);
    match is_older_way(api_version) {
        true => format!("{root}/models{query}"),
        false => format!("{root}/v1/models{query}"),
    }
}

/// What the base URL lacks of the address below which a resource is asked.
fn root(base_url: &str) -> &'static str {
    match segments(base_url).last() {
        Some("openai") => "",
        _ => "/openai",
    }
}

fn query(api_version: Option<&str>) -> String {
    match api_version {
        Some(version) => format!("?api-version={}", encode(version)),
        None => String::new(),
    }
}

/// Versions of the newer way are no dates: `preview`, or none at all.
fn is_older_way(api_version: Option<&str>) -> bool {
    api_version.is_some_and(|version| version.starts_with(|first: char| first.is_ascii_digit()))
}

fn has_version(base_url: &str) -> bool {
    segments(base_url).any(is_version)
}

fn is_deployments(segment: &str) -> bool {
    segment == "deployments"
}

/// Whether the older way has it below the deployment; what came later finds the deployment in the body.
fn has_deployment(endpoint: Endpoint) -> bool {
    !matches!(
        endpoint,
        Endpoint::Responses
            | Endpoint::CountResponseTokens
            | Endpoint::Moderations
            | Endpoint::ImageVariations
    )
}

pub(super) fn authorize(
    headers: &mut HeaderMap,
    secret: &Secret<String>,
) -> Result<(), CredentialError> {
    show(headers, API_KEY, secret)
}
