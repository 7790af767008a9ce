//! How one key's requests are answered: the options, patched while the simulator runs.

use std::time::Duration;

use http::StatusCode;
use serde::{Deserialize, Deserializer};

use crate::options::{ErrorKind, Options};

/// What `retry-after` says where nothing was set.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The behaviour in force for one key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Behaviour {
    first_byte: Duration,
    jitter: Duration,
    pub(crate) tokens_per_second: f64,
    pub(crate) tokens: u32,
    error_rate: f64,
    error_kind: ErrorKind,
    cut_after: Option<u32>,
    stall_after: Option<u32>,
    status: Option<StatusCode>,
    retry_after: Option<Duration>,
    /// Whether answers tell their usage.
    pub(crate) usage: bool,
    /// The total that the usage tells, whatever was generated.
    pub(crate) reported_tokens: Option<u32>,
}

/// What `PUT /behaviour/{key}` may change. An absent field leaves the default; each `PUT` replaces the one before.
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
    cut_after: Option<u32>,
    stall_after: Option<u32>,
    status: Option<u16>,
    #[serde(deserialize_with = "duration")]
    retry_after: Option<Duration>,
    usage: Option<bool>,
    reported_tokens: Option<u32>,
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
}

/// A failure instead of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Status {
        status: StatusCode,
        retry_after: Option<Duration>,
    },
    Html,
    Reset,
}

/// Where an answer breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Break {
    /// Content chunks before it.
    pub(crate) after: u32,
    pub(crate) kind: BreakKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BreakKind {
    /// The connection ends without the end of the body.
    Cut,
    /// Nothing more is sent.
    Stall,
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
        Ok(patch)
    }
}

impl Behaviour {
    pub(crate) fn new(options: &Options) -> Self {
        let Options {
            first_byte,
            jitter,
            tokens_per_second,
            tokens,
            error_rate,
            error_kind,
            cut_after,
            stall_after,
            keys: _,
        } = *options;
        Self {
            first_byte,
            jitter,
            tokens_per_second,
            tokens,
            error_rate,
            error_kind,
            cut_after,
            stall_after,
            status: None,
            retry_after: None,
            usage: true,
            reported_tokens: None,
        }
    }

    pub(crate) fn patched(self, patch: &BehaviourPatch) -> Self {
        let BehaviourPatch {
            first_byte,
            jitter,
            tokens_per_second,
            tokens,
            error_rate,
            error_kind,
            cut_after,
            stall_after,
            status,
            retry_after,
            usage,
            reported_tokens,
        } = *patch;
        let status = status.and_then(|status| StatusCode::from_u16(status).ok());
        Self {
            first_byte: first_byte.unwrap_or(self.first_byte),
            jitter: jitter.unwrap_or(self.jitter),
            tokens_per_second: tokens_per_second.unwrap_or(self.tokens_per_second),
            tokens: tokens.unwrap_or(self.tokens),
            error_rate: error_rate.unwrap_or(self.error_rate),
            error_kind: error_kind.unwrap_or(self.error_kind),
            cut_after: cut_after.or(self.cut_after),
            stall_after: stall_after.or(self.stall_after),
            status: status.or(self.status),
            retry_after: retry_after.or(self.retry_after),
            usage: usage.unwrap_or(self.usage),
            reported_tokens: reported_tokens.or(self.reported_tokens),
        }
    }

    /// The wait for the first byte; `chance` from 0 to 1 places it within the jitter.
    pub(crate) fn first_byte(&self, chance: f64) -> Duration {
        let earliest = self.first_byte.saturating_sub(self.jitter);
        let latest = self.first_byte.saturating_add(self.jitter);
        let spread = (latest - earliest).as_secs_f64() * chance;
        earliest.saturating_add(Duration::try_from_secs_f64(spread).unwrap_or_default())
    }

    /// How long `tokens` tokens take after the first byte.
    pub(crate) fn pace(&self, tokens: u32) -> Duration {
        if self.tokens_per_second <= 0.0 {
            return Duration::ZERO;
        }
        // A pace too slow for a duration is as good as silence.
        Duration::try_from_secs_f64(f64::from(tokens) / self.tokens_per_second)
            .unwrap_or(Duration::from_secs(u32::MAX.into()))
    }

    /// The failure that a request meets; `chance` from 0 to 1 decides against the error rate.
    pub(crate) fn failure(&self, chance: f64) -> Option<Failure> {
        if let Some(status) = self.status {
            let retry_after = self.retry_after;
            return Some(Failure::Status {
                status,
                retry_after,
            });
        }
        if chance >= self.error_rate {
            return None;
        }
        Some(match self.error_kind {
            ErrorKind::ServerError => Failure::Status {
                status: StatusCode::INTERNAL_SERVER_ERROR,
                retry_after: self.retry_after,
            },
            ErrorKind::RateLimit => Failure::Status {
                status: StatusCode::TOO_MANY_REQUESTS,
                retry_after: Some(self.retry_after.unwrap_or(RETRY_AFTER)),
            },
            ErrorKind::Reset => Failure::Reset,
            ErrorKind::Html => Failure::Html,
        })
    }

    /// Where an answer of `tokens` content chunks breaks: at the earlier of the two settings, if it gets that far.
    pub(crate) fn break_in(&self, tokens: u32) -> Option<Break> {
        let cut = self.cut_after.map(|after| Break {
            after,
            kind: BreakKind::Cut,
        });
        let stall = self.stall_after.map(|after| Break {
            after,
            kind: BreakKind::Stall,
        });
        [cut, stall]
            .into_iter()
            .flatten()
            .filter(|place| place.after <= tokens)
            .min_by_key(|place| place.after)
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

/// A string as on the command line; the two that are numbers may also be written as such.
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

    fn patched(json: &str) -> Behaviour {
        let patch = BehaviourPatch::parse(json.as_bytes()).unwrap();
        Behaviour::new(&Options::default()).patched(&patch)
    }

    #[test]
    fn a_patch_changes_what_it_names_and_nothing_else() {
        let behaviour = patched(r#"{"first_byte":"2s","error_kind":429,"tokens":7}"#);

        let expected = Behaviour {
            first_byte: Duration::from_secs(2),
            error_kind: ErrorKind::RateLimit,
            tokens: 7,
            ..Behaviour::new(&Options::default())
        };
        assert_eq!(behaviour, expected);
    }

    #[track_caller]
    fn refused(json: &str, sentence: &str) {
        let error = BehaviourPatch::parse(json.as_bytes()).unwrap_err();

        assert!(error.to_string().contains(sentence), "{error}");
    }

    #[test]
    fn a_wrong_patch_is_refused_with_its_field() {
        refused(r#"{"latency":"1s"}"#, "unknown field `latency`");
        refused(r#"{"first_byte":"soon"}"#, "`soon`");
        refused(r#"{"error_kind":"502"}"#, "use `500`, `429`");
        refused(r#"{"error_rate":2}"#, "`error_rate` (2)");
        refused(r#"{"tokens_per_second":-1}"#, "`tokens_per_second` (-1)");
        refused(r#"{"status":200}"#, "`status` (200)");
    }

    #[test]
    fn the_first_byte_stays_within_the_jitter() {
        let behaviour = patched(r#"{"first_byte":"100ms","jitter":"30ms"}"#);

        assert_eq!(behaviour.first_byte(0.0), Duration::from_millis(70));
        assert_eq!(behaviour.first_byte(1.0), Duration::from_millis(130));
    }

    #[test]
    fn a_break_comes_only_in_answers_that_get_so_far() {
        let behaviour = patched(r#"{"cut_after":5,"stall_after":3}"#);

        let stall = Break {
            after: 3,
            kind: BreakKind::Stall,
        };
        assert_eq!(behaviour.break_in(10), Some(stall));
        assert_eq!(behaviour.break_in(2), None);
    }
}
