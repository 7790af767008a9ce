//! How one key's requests are answered: the options, patched while the simulator runs.
//!
//! [`patch`] is what `PUT /behaviour/{key}` may say, [`faults`] what an answer is broken with, [`dress`] how the bytes of
//! one that is right are written. `docs/simulator.md` lists every field.

mod dress;
mod faults;
mod patch;

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use crate::options::{ErrorKind, Options};

pub(crate) use self::dress::{Dress, Encoding, LineEnd};
pub(crate) use self::faults::{Break, BreakKind, Breaks, Failure, Garbage, Refusal};
pub(crate) use self::patch::BehaviourPatch;

/// What `retry-after` says where nothing was set.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The behaviour in force for one key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Behaviour {
    first_byte: Duration,
    jitter: Duration,
    pub(crate) tokens_per_second: f64,
    pub(crate) tokens: u32,
    error_rate: f64,
    error_kind: ErrorKind,
    pub(crate) seed: Option<u64>,
    breaks: Breaks,
    pub(crate) garbage: Option<Garbage>,
    pub(crate) dress: Dress,
    status: Option<StatusCode>,
    code: Option<Arc<str>>,
    body: Option<Arc<str>>,
    retry_after: Option<Duration>,
    /// `None` is what the API of the request does.
    retry_after_headers: Option<RetryAfterHeaders>,
    /// Whether answers tell their usage.
    pub(crate) usage: bool,
    /// The total that the usage tells, whatever was generated.
    pub(crate) reported_tokens: Option<u32>,
    /// Whether answers tell what is left of the key's limits.
    pub(crate) rate_limit_headers: bool,
    /// How long a connection stays open after the end of an answer.
    pub(crate) idle_close: Option<Duration>,
}

/// Which headers tell when to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RetryAfterHeaders {
    Both,
    /// `retry-after` only.
    Seconds,
    /// `retry-after-ms` only.
    Millis,
    /// None, as providers do that expect their clients to guess.
    None,
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
            seed,
            cut_after,
            reset_after,
            end_after,
            error_after,
            stall_after,
            idle_close,
            accept_delay: _,
            second_listen: _,
            keys: _,
        } = *options;
        Self {
            first_byte,
            jitter,
            tokens_per_second,
            tokens,
            error_rate,
            error_kind,
            seed,
            breaks: Breaks {
                cut_after,
                reset_after,
                end_after,
                error_after,
                stall_after,
            },
            garbage: None,
            dress: Dress::default(),
            status: None,
            code: None,
            body: None,
            retry_after: None,
            retry_after_headers: None,
            usage: true,
            reported_tokens: None,
            rate_limit_headers: true,
            idle_close,
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
            return Some(self.refusal(status, self.retry_after));
        }
        if self.body.is_some() {
            return Some(self.refusal(StatusCode::OK, None));
        }
        if chance >= self.error_rate {
            return None;
        }
        Some(match self.error_kind {
            ErrorKind::Status(StatusCode::TOO_MANY_REQUESTS) => {
                let wait = self.retry_after.unwrap_or(RETRY_AFTER);
                self.refusal(StatusCode::TOO_MANY_REQUESTS, Some(wait))
            }
            ErrorKind::Status(status) => self.refusal(status, self.retry_after),
            ErrorKind::Reset => Failure::Reset,
            ErrorKind::Html => Failure::Html,
        })
    }

    /// Where a stream of `tokens` content chunks breaks: at the earliest of the settings, if it gets that far.
    pub(crate) fn break_in(&self, tokens: u32) -> Option<Break> {
        self.breaks.earliest(tokens)
    }

    fn refusal(&self, status: StatusCode, retry_after: Option<Duration>) -> Failure {
        Failure::Refusal(Refusal {
            status,
            code: self.code.clone(),
            body: self.body.clone(),
            retry_after,
            retry_after_headers: self.retry_after_headers,
        })
    }
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
            error_kind: ErrorKind::Status(StatusCode::TOO_MANY_REQUESTS),
            tokens: 7,
            ..Behaviour::new(&Options::default())
        };
        assert_eq!(behaviour, expected);
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

    #[test]
    fn a_body_without_a_status_comes_under_200() {
        let failure = patched(r#"{"body":"<html>"}"#).failure(1.0);

        let Some(Failure::Refusal(refusal)) = failure else {
            panic!("{failure:?}");
        };
        assert_eq!(refusal.status, StatusCode::OK);
    }
}
