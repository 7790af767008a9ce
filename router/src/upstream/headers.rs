//! Headers towards providers and back: built from lists of what may pass, never copied.

use std::time::SystemTime;

use dialect::Framing;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE,
    HeaderName, HeaderValue, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use http::{HeaderMap, header};
use manners::Outgoing;
use shared::config::{Dialect, Manners};
use shared::secret::Secret;

use super::SendError;

/// Of a client's headers, those that reach the provider. No credential, cookie or organisation is among them.
const FROM_CLIENT: [HeaderName; 3] = [
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];

/// Of a provider's headers, those that reach the client. Its rate limits are the key's, not the client's.
const TO_CLIENT: [HeaderName; 3] = [
    CONTENT_TYPE,
    HeaderName::from_static("openai-processing-ms"),
    HeaderName::from_static("openai-version"),
];

/// The client gets our request id under the usual name, and the provider's under this one.
const UPSTREAM_REQUEST_ID: HeaderName = HeaderName::from_static("x-upstream-request-id");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Framing and hop-by-hop headers belong to the connection; no configuration sets them.
const OF_THE_CONNECTION: [HeaderName; 8] = [
    CONNECTION,
    CONTENT_LENGTH,
    TRANSFER_ENCODING,
    TE,
    TRAILER,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    // What comes back is passed on as it is, so it must be readable.
    ACCEPT_ENCODING,
];

const AGENT: &str = concat!("sluice/", env!("CARGO_PKG_VERSION"));

/// What the headers of a request depend on.
pub(super) struct Outline<'a> {
    pub(super) provider_headers: &'a [(String, Secret<String>)],
    pub(super) secret: &'a Secret<String>,
    pub(super) dialect: Dialect,
    pub(super) manners: Manners,
    pub(super) url: &'a str,
    pub(super) body: &'a [u8],
    /// Whether there is a body whose type has to be told.
    pub(super) is_json: bool,
    /// Whether the client's bytes go through.
    pub(super) is_faithful: bool,
    /// Of an answer in pieces.
    pub(super) framing: Framing,
    pub(super) request_id: &'a str,
    pub(super) client_headers: &'a HeaderMap,
    pub(super) now: SystemTime,
}

pub(super) fn for_upstream(outline: &Outline<'_>) -> Result<HeaderMap, SendError> {
    let mut headers = HeaderMap::with_capacity(16);
    for name in FROM_CLIENT {
        if let Some(value) = outline.client_headers.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    if outline.is_json {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    headers.insert(ACCEPT, accept(outline.framing));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    if let Ok(request_id) = HeaderValue::from_str(outline.request_id) {
        headers.insert(REQUEST_ID, request_id);
    }
    let outgoing = Outgoing {
        dialect: outline.dialect,
        manners: outline.manners,
        secret: outline.secret,
        url: outline.url,
        body: outline.body,
        client_headers: outline.client_headers,
        is_faithful: outline.is_faithful,
        now: outline.now,
    };
    manners::authorize(&mut headers, &outgoing)
        .map_err(|error| SendError::Unbuildable(error.to_string()))?;

    for (name, value) in outline.provider_headers {
        let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
            return Err(SendError::Unbuildable(format!(
                "`{name}` cannot be a header's name"
            )));
        };
        if !OF_THE_CONNECTION.contains(&header) {
            headers.insert(header, secret_value(name, value)?);
        }
    }
    Ok(headers)
}

/// Bedrock and Ollama choose by the path and by the body.
fn accept(framing: Framing) -> HeaderValue {
    HeaderValue::from_static(match framing {
        Framing::EventStream => "application/json, application/vnd.amazon.eventstream",
        Framing::Lines => "application/json, application/x-ndjson",
        Framing::Sse | Framing::Array => "application/json, text/event-stream",
    })
}

fn secret_value(name: &str, value: &Secret<String>) -> Result<HeaderValue, SendError> {
    let mut value = HeaderValue::from_str(value.expose()).map_err(|_| {
        SendError::Unbuildable(format!("the value of `{name}` cannot be sent in a header"))
    })?;
    value.set_sensitive(true);
    Ok(value)
}

pub(super) fn for_client(upstream: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    for name in TO_CLIENT {
        if let Some(value) = upstream.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    let request_id = upstream
        .get(&REQUEST_ID)
        .or_else(|| upstream.get("apim-request-id"));
    if let Some(value) = request_id {
        headers.insert(UPSTREAM_REQUEST_ID, value.clone());
    }
    headers
}

/// The encoding of a body that could not be decoded; of what could, the header is gone.
pub(super) fn encoding(upstream: &HeaderMap) -> Option<String> {
    let value = upstream.get(CONTENT_ENCODING)?;
    let encoding = String::from_utf8_lossy(value.as_bytes())
        .trim()
        .to_lowercase();
    (!encoding.is_empty() && encoding != "identity").then_some(encoding)
}

/// In lower case, without parameters; empty if there is none.
pub(super) fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE);
    let media_type = value.and_then(|value| value.as_bytes().split(|&byte| byte == b';').next());
    let media_type = media_type.unwrap_or_default().trim_ascii();
    String::from_utf8_lossy(media_type).to_ascii_lowercase()
}

/// Amazon's name of an error, without what some of its services write around it:
/// `com.amazon.coral.service#ThrottlingException:http://…`.
pub(super) fn error_kind(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("x-amzn-errortype")?.to_str().ok()?;
    let name = value.split(':').next()?;
    let name = name.rsplit('#').next()?.trim();
    (!name.is_empty()).then(|| name.to_owned())
}
