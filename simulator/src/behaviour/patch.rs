//! What `PUT /behaviour/{key}` may change.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use serde::{Deserialize, Deserializer};

use crate::options::ErrorKind;

use super::{Behaviour, Breaks, Dress, Encoding, Garbage, LineEnd, RetryAfterHeaders};

/// An absent field leaves the default; each `PUT` replaces the one before.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct BehaviourPatch {
    #[serde(deserialize_with = "duration")]
    first_byte: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    jitter: Option<Duration>,
    tokens_per_second: Option<f64>,
    tokens: Option<u32>,
    error_rate: Option<f64>,
    #[serde(deserialize_with = "error_kind")]
    error_kind: Option<ErrorKind>,
    pub(crate) seed: Option<u64>,
    cut_after: Option<u32>,
    reset_after: Option<u32>,
    end_after: Option<u32>,
    error_after: Option<u32>,
    stall_after: Option<u32>,
    garbage: Option<Garbage>,
    line_end: Option<LineEnd>,
    bom: Option<bool>,
    space: Option<bool>,
    piece: Option<NonZeroUsize>,
    encoding: Option<Encoding>,
    status: Option<u16>,
    code: Option<Arc<str>>,
    body: Option<Arc<str>>,
    #[serde(deserialize_with = "duration")]
    retry_after: Option<Duration>,
    retry_after_headers: Option<RetryAfterHeaders>,
    usage: Option<bool>,
    reported_tokens: Option<u32>,
    rate_limit_headers: Option<bool>,
    #[serde(deserialize_with = "duration")]
    idle_close: Option<Duration>,
}

/// Why a patch is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidPatch {
    #[error("not a behaviour: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("`error_rate` ({0}) must be a share from 0 to 1")]
    ErrorRate(f64),
    #[error("`tokens_per_second` ({0}) must not be negative")]
    TokensPerSecond(f64),
    #[error("`status` ({0}) must be an error, 400 to 599; leave it out for answers")]
    Status(u16),
    #[error("`code` (`{0}`) needs the `status` it comes with")]
    CodeAlone(Arc<str>),
}

impl BehaviourPatch {
    pub(crate) fn parse(json: &[u8]) -> Result<Self, InvalidPatch> {
        let patch: Self = serde_json::from_slice(json)?;
        if let Some(rate) = patch.error_rate
            && !(0.0..=1.0).contains(&rate)
        {
            return Err(InvalidPatch::ErrorRate(rate));
        }
        if let Some(pace) = patch.tokens_per_second
            && pace < 0.0
        {
            return Err(InvalidPatch::TokensPerSecond(pace));
        }
        if let Some(status) = patch.status
            && !(400..600).contains(&status)
        {
            return Err(InvalidPatch::Status(status));
        }
        if let Some(code) = &patch.code
            && patch.status.is_none()
            && patch.error_rate.is_none()
        {
            return Err(InvalidPatch::CodeAlone(Arc::clone(code)));
        }
        Ok(patch)
    }
}

impl Behaviour {
    pub(crate) fn patched(&self, patch: &BehaviourPatch) -> Self {
        let BehaviourPatch {
            first_byte,
            jitter,
            tokens_per_second,
            tokens,
            error_rate,
            error_kind,
            seed,
            cut_after,
            reset_after,
            end_after,
            error_after,
            stall_after,
            garbage,
            line_end,
            bom,
            space,
            piece,
            encoding,
            status,
            code,
            body,
            retry_after,
            retry_after_headers,
            usage,
            reported_tokens,
            rate_limit_headers,
            idle_close,
        } = patch.clone();
        let breaks = Breaks {
            cut_after,
            reset_after,
            end_after,
            error_after,
            stall_after,
        };
        let status = status.and_then(|status| StatusCode::from_u16(status).ok());
        Self {
            first_byte: first_byte.unwrap_or(self.first_byte),
            jitter: jitter.unwrap_or(self.jitter),
            tokens_per_second: tokens_per_second.unwrap_or(self.tokens_per_second),
            tokens: tokens.unwrap_or(self.tokens),
            error_rate: error_rate.unwrap_or(self.error_rate),
            error_kind: error_kind.unwrap_or(self.error_kind),
            seed: seed.or(self.seed),
            breaks: breaks.or(self.breaks),
            garbage: garbage.or_else(|| self.garbage.clone()),
            dress: Dress {
                line_end: line_end.or(self.dress.line_end),
                bom: bom.unwrap_or(self.dress.bom),
                space: space.unwrap_or(self.dress.space),
                piece: piece.or(self.dress.piece),
                encoding: encoding.or(self.dress.encoding),
            },
            status: status.or(self.status),
            code: code.or_else(|| self.code.clone()),
            body: body.or_else(|| self.body.clone()),
            retry_after: retry_after.or(self.retry_after),
            retry_after_headers: retry_after_headers.or(self.retry_after_headers),
            usage: usage.unwrap_or(self.usage),
            reported_tokens: reported_tokens.or(self.reported_tokens),
            rate_limit_headers: rate_limit_headers.unwrap_or(self.rate_limit_headers),
            idle_close: idle_close.or(self.idle_close),
        }
    }
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else {
        return Ok(None);
    };
    humantime::parse_duration(&text)
        .map(Some)
        .map_err(|error| serde::de::Error::custom(format_args!("`{text}`: {error}")))
}

/// A string as on the command line; those that are numbers may also be written as such.
fn error_kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ErrorKind>, D::Error> {
    let text = match Option::<serde_json::Value>::deserialize(deserializer)? {
        None => return Ok(None),
        Some(serde_json::Value::String(text)) => text,
        Some(other) => other.to_string(),
    };
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(json: &str, sentence: &str) {
        let error = BehaviourPatch::parse(json.as_bytes()).unwrap_err();

        assert!(error.to_string().contains(sentence), "{error}");
    }

    #[test]
    fn a_wrong_patch_is_refused_with_its_field() {
        refused(r#"{"latency":"1s"}"#, "unknown field `latency`");
        refused(r#"{"first_byte":"soon"}"#, "`soon`");
        refused(r#"{"error_kind":"302"}"#, "use an error status");
        refused(r#"{"error_rate":2}"#, "`error_rate` (2)");
        refused(r#"{"tokens_per_second":-1}"#, "`tokens_per_second` (-1)");
        refused(r#"{"status":200}"#, "`status` (200)");
        refused(r#"{"code":"content_filter"}"#, "needs the `status`");
        refused(r#"{"line_end":"vt"}"#, "unknown variant `vt`");
        refused(r#"{"garbage":{"line":"data: {"}}"#, "missing field `after`");
    }
}
