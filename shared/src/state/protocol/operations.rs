//! What a session asks in one tick.

use serde::{Deserialize, Serialize};

use super::short_list;
use crate::ids::{CandidateIndex, ModelIndex, RowIndex, Ticket};
use crate::lease::{Outcome, Purpose, Reported};

/// The most operations one tick carries, so that a script stays below a millisecond.
pub const BATCH_MAX: usize = 128;
/// The same, where a model has more than [`CANDIDATES_LARGE`] candidates to scan.
pub const BATCH_MAX_LARGE: usize = 32;
pub const CANDIDATES_LARGE: usize = 32;

/// One batch of a session, executed in this order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Operations {
    pub releases: Vec<Release>,
    pub cancels: Vec<Cancel>,
    pub acquires: Vec<Acquire>,
}

impl Operations {
    pub fn len(&self) -> usize {
        self.releases.len() + self.cancels.len() + self.acquires.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Ends a lease: slots back, charges corrected in the buckets where they were made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Release {
    pub model: ModelIndex,
    pub candidate: CandidateIndex,
    #[serde(with = "short_list")]
    pub callers: Vec<RowIndex>,
    /// Tokens reserved at the grant.
    pub reserved: u32,
    /// Logical time of the grant: names the buckets that were charged.
    pub granted_at: i64,
    /// Tokens really used.
    pub tokens: u32,
    pub outcome: OutcomeCode,
    /// Microseconds to the first content byte of a stream; 0: no sample.
    pub first_byte_us: u32,
    /// Microseconds per output token of a plain answer; 0: no sample.
    pub token_us: u32,
    /// When the provider said to come back; 0: it did not.
    pub retry_ms: u32,
    #[serde(with = "short_list")]
    pub reported: Vec<Reported>,
}

/// Takes a waiter out of its model's queue.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cancel {
    pub model: ModelIndex,
    pub ticket: Ticket,
}

/// Asks for a lease.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Acquire {
    pub ticket: Ticket,
    pub model: ModelIndex,
    /// 0 to 10.
    pub priority: u8,
    pub tokens: u32,
    #[serde(with = "short_list")]
    pub callers: Vec<RowIndex>,
    /// Empty: any of the model's candidates.
    #[serde(with = "short_list")]
    pub allow: Vec<CandidateIndex>,
    pub no_queue: bool,
    pub purpose: PurposeCode,
}

/// [`Purpose`] as the scripts know it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PurposeCode(pub u8);

impl PurposeCode {
    pub fn is_probe(self) -> bool {
        matches!(self, Self::PROBE | Self::LIGHT_PROBE)
    }

    pub const REQUEST: Self = Self(0);
    pub const RETRY: Self = Self(1);
    pub const PROBE: Self = Self(2);
    pub const LIGHT_PROBE: Self = Self(3);
}

impl From<Purpose> for PurposeCode {
    fn from(purpose: Purpose) -> Self {
        match purpose {
            Purpose::Request => Self::REQUEST,
            Purpose::Retry => Self::RETRY,
            Purpose::Probe => Self::PROBE,
            Purpose::LightProbe => Self::LIGHT_PROBE,
        }
    }
}

/// [`Outcome`] as the scripts know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OutcomeCode(pub u8);

impl OutcomeCode {
    pub const UNSENT: Self = Self(0);
    pub const SERVED: Self = Self(1);
    pub const CLIENT_ABORT: Self = Self(2);
    pub const BAD_REQUEST: Self = Self(3);
    pub const RATE_LIMITED: Self = Self(4);
    pub const AUTH_FAILED: Self = Self(5);
    pub const FAILED: Self = Self(6);
    pub const UNREACHABLE: Self = Self(7);
    pub const EXHAUSTED: Self = Self(8);
    pub const PROBED: Self = Self(9);
}

impl OutcomeCode {
    /// Nothing reached the provider: every charge is given back.
    pub fn refunds(self) -> bool {
        matches!(self, Self::UNSENT | Self::UNREACHABLE)
    }
}

impl From<Outcome> for OutcomeCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Unsent => Self::UNSENT,
            Outcome::Served => Self::SERVED,
            Outcome::ClientAbort => Self::CLIENT_ABORT,
            Outcome::BadRequest => Self::BAD_REQUEST,
            Outcome::RateLimited => Self::RATE_LIMITED,
            Outcome::AuthFailed => Self::AUTH_FAILED,
            Outcome::Failed => Self::FAILED,
            Outcome::Unreachable => Self::UNREACHABLE,
            Outcome::Exhausted => Self::EXHAUSTED,
            Outcome::Probed => Self::PROBED,
        }
    }
}
