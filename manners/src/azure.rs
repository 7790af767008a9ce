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
    let query = match place.api_version {
        Some(version) => format!("?api-version={}", encode(version)),
        None => String::new(),
    };
    // Versions of the newer way are no dates: `preview`, or none at all.
    let is_older_way = place
        .api_version
        .is_some_and(|version| version.starts_with(|first: char| first.is_ascii_digit()));
    let mut given = segments(place.base_url);
    let is_complete = given.any(|segment| segment == "deployments" || is_version(segment));
    if is_complete {
        return format!("{asked}{query}");
    }
    let root = match segments(place.base_url).last() {
        Some("openai") => "",
        _ => "/openai",
    };
    match is_older_way {
        true if has_deployment(place.endpoint) => {
            let deployment = encode(place.model);
            format!("{root}/deployments/{deployment}{asked}{query}")
        }
        true => format!("{root}{asked}{query}"),
        false => format!("{root}/v1{asked}{query}"),
    }
}

/// Whether the older way has it below the deployment; what came later finds the deployment in the body.
fn has_deployment(endpoint: Endpoint) -> bool {
    !matches!(
        endpoint,
        Endpoint::Responses | Endpoint::Moderations | Endpoint::ImageVariations
    )
}

pub(super) fn authorize(
    headers: &mut HeaderMap,
    secret: &Secret<String>,
) -> Result<(), CredentialError> {
    show(headers, API_KEY, secret)
}
