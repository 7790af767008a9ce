//! How a tick is answered.

use serde::{Deserialize, Serialize};

use super::{Status, short_list};
use crate::catalog::LimitKind;
use crate::ids::{CandidateIndex, RowIndex, Ticket};
use crate::lease::Remaining;

/// The answer to a tick. All but the first seven fields are empty unless `status` is `Done`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TickReply {
    pub status: Status,
    /// Totally orders all changes of the store since its epoch began.
    pub tick: u64,
    /// Logical milliseconds.
    pub now: i64,
    /// The server's clock when the script ran.
    pub wall: i64,
    /// The server's clock when the store last began or restarted; a change means that writes may be lost.
    pub generation: i64,
    /// The tick count at which this generation began: what was granted later, but before it, may be lost.
    pub base: u64,
    /// The session's last batch that the store knows.
    pub last: u64,
    #[serde(default)]
    pub learning_until: i64,
    /// The earliest logical time at which a waiter may become admissible by the passing of time; 0: none.
    #[serde(default)]
    pub next: i64,
    #[serde(default)]
    pub grants: Vec<Grant>,
    #[serde(default)]
    pub queued: Vec<Queued>,
    #[serde(default)]
    pub rejected: Vec<Rejected>,
    #[serde(default)]
    pub mail: Mail,
    #[serde(default)]
    pub sessions: u32,
    /// Releases that nobody held, since the epoch began: always 0.
    #[serde(default)]
    pub anomalies: u64,
    /// Leases taken back from dead sessions since the epoch began.
    #[serde(default)]
    pub reclaimed: u64,
}

/// A lease given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    pub ticket: Ticket,
    pub candidate: CandidateIndex,
    /// The key's grant number.
    pub number: u64,
    /// Logical time of the grant.
    pub granted_at: i64,
    pub tick: u64,
    /// What is left of the caller's own limits.
    #[serde(with = "short_list")]
    pub remaining: Vec<Remaining>,
}

/// A place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Queued {
    pub ticket: Ticket,
    /// Arrival order over the whole pool.
    pub sequence: i64,
    /// Waiters of the model, this one included.
    pub length: u32,
}

/// A claim refused.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rejected {
    pub ticket: Ticket,
    pub reason: RejectCode,
    pub row: RowIndex,
    pub kind: LimitKind,
    pub retry_ms: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum RejectCode {
    Limit,
    TooLarge,
    QueueFull,
    Shed,
    Unavailable,
    RetryBudget,
    Throttled,
}

impl From<RejectCode> for u8 {
    fn from(code: RejectCode) -> Self {
        code as Self
    }
}

impl TryFrom<u8> for RejectCode {
    type Error = String;

    fn try_from(code: u8) -> Result<Self, String> {
        [
            Self::Limit,
            Self::TooLarge,
            Self::QueueFull,
            Self::Shed,
            Self::Unavailable,
            Self::RetryBudget,
            Self::Throttled,
        ]
        .get(usize::from(code))
        .copied()
        .ok_or_else(|| format!("unknown reject code {code}"))
    }
}

/// What other sessions' ticks decided for this one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mail {
    pub grants: Vec<Grant>,
    pub rejected: Vec<Rejected>,
}

impl Mail {
    pub fn is_empty(&self) -> bool {
        self.grants.is_empty() && self.rejected.is_empty()
    }
}
