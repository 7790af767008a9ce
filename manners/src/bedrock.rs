//! Amazon Bedrock: the model stands in the path, and each request is signed (AWS Signature Version 4), unless the key is
//! one of Bedrock's own.
//!
//! What is signed: the method, host, path and body, and the time. So nothing of these may change afterwards, and a
//! request is valid for five minutes.

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SigningInstructions, SigningSettings, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use http::HeaderMap;
use http::header::HeaderName;
use shared::secret::Secret;
use url::Url;

use super::{CredentialError, Outgoing, Place, bear, encode, show};

/// Under this name Bedrock's runtime knows its signatures; its hosts have another.
const SERVICE: &str = "bedrock";

/// Where a host does not tell, such as a proxy's.
const DEFAULT_REGION: &str = "us-east-1";

const DIRECTIONS: [&str; 9] = [
    "north",
    "northeast",
    "northwest",
    "south",
    "southeast",
    "southwest",
    "east",
    "west",
    "central",
];

/// Names of models hold `:`, and those of inference profiles `/`: both are the model's, not the path's.
pub(super) fn path(place: &Place<'_>) -> String {
    let model = encode(place.model);
    let verb = match place.is_stream {
        true => "converse-stream",
        false => "converse",
    };
    format!("/model/{model}/{verb}")
}

/// Keys of AWS have a colon between their parts; those that Bedrock gives out itself have none, and are borne.
pub(super) fn authorize(
    headers: &mut HeaderMap,
    outgoing: &Outgoing<'_>,
) -> Result<(), CredentialError> {
    if !outgoing.secret.expose().contains(':') {
        return bear(headers, outgoing.secret);
    }
    let credentials = credentials(outgoing.secret)?;
    let region = region(outgoing.url)?;
    let signature = signature("POST", outgoing, credentials, &region, SERVICE)?;
    let (signed, _) = signature.into_parts();
    for header in signed {
        let name = HeaderName::try_from(header.name()).map_err(unsignable)?;
        show(headers, name, &Secret::new(header.value().to_owned()))?;
    }
    Ok(())
}

fn credentials(secret: &Secret<String>) -> Result<Credentials, CredentialError> {
    let mut parts = secret.expose().splitn(3, ':');
    let id = parts.next().filter(|id| !id.is_empty());
    let key = parts.next().filter(|key| !key.is_empty());
    let token = parts.next().filter(|token| !token.is_empty());
    let (Some(id), Some(key)) = (id, key) else {
        return Err(CredentialError::NotAmazons);
    };
    let token = token.map(str::to_owned);
    Ok(Credentials::new(id, key, token, None, "configuration"))
}

/// The headers that make up the signature: the time, a session's token, and the signature itself.
fn signature(
    method: &str,
    outgoing: &Outgoing<'_>,
    credentials: Credentials,
    region: &str,
    service: &str,
) -> Result<SigningInstructions, CredentialError> {
    let identity = credentials.into();
    let params = SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service)
        .time(outgoing.now)
        .settings(SigningSettings::default())
        .build()
        .map_err(unsignable)?
        .into();
    let body = SignableBody::Bytes(outgoing.body);
    let request =
        SignableRequest::new(method, outgoing.url, std::iter::empty(), body).map_err(unsignable)?;
    let signed = sign(request, &params).map_err(unsignable)?;
    Ok(signed.into_parts().0)
}

fn unsignable(error: impl std::error::Error) -> CredentialError {
    CredentialError::Unsignable(error.to_string())
}

/// The first part of the host that looks like a region: `bedrock-runtime.eu-central-1.amazonaws.com`, and the hosts of
/// VPC endpoints and of other partitions. Without any, [`DEFAULT_REGION`].
fn region(url: &str) -> Result<String, CredentialError> {
    let url = Url::parse(url).map_err(unsignable)?;
    // Without a host nothing could be signed, nor sent.
    let host = url
        .host_str()
        .ok_or_else(|| CredentialError::Unsignable("the URL has no host".to_owned()))?;
    let region = host.split('.').find(|label| is_region(label));
    Ok(region.unwrap_or(DEFAULT_REGION).to_owned())
}

/// `us-east-1`, `us-gov-west-1`, `ap-southeast-2`.
fn is_region(label: &str) -> bool {
    let mut parts = label.rsplit('-');
    let (Some(number), Some(direction)) = (parts.next(), parts.next()) else {
        return false;
    };
    let is_letters =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    let n_areas = parts.clone().count();
    !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && DIRECTIONS.contains(&direction)
        && (1..=2).contains(&n_areas)
        && parts.all(is_letters)
}

#[cfg(test)]
mod tests;
