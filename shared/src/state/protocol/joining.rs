//! How a session begins, and what it tells a store that forgot it.

use serde::{Deserialize, Serialize};

use super::{Acquire, Status, short_list};
use crate::ids::{CandidateIndex, ModelIndex, ReplicaName, RowIndex, SessionId};

/// Asks for a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Boot {
    pub session: SessionId,
    pub replica: ReplicaName,
}

/// What a replica tells a store that forgot its session, or lost writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Assert {
    /// The new session, and the one that it replaces.
    pub session: SessionId,
    pub replica: ReplicaName,
    pub predecessor: SessionId,
    /// What still runs.
    pub leases: Vec<AssertedLease>,
    /// Window charges that the store may have lost.
    pub charges: Vec<AssertedCharge>,
    /// Who still waits.
    pub waiters: Vec<AssertedWaiter>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AssertedLease {
    pub model: ModelIndex,
    pub candidate: CandidateIndex,
    #[serde(with = "short_list")]
    pub callers: Vec<RowIndex>,
    pub count: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AssertedCharge {
    pub model: ModelIndex,
    pub candidate: CandidateIndex,
    #[serde(with = "short_list")]
    pub callers: Vec<RowIndex>,
    /// How long ago, by the replica's monotonic clock.
    pub age_ms: i64,
    pub requests: u32,
    pub tokens: u64,
    /// Only the day windows: the shorter ones have passed.
    pub days_only: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AssertedWaiter {
    pub acquire: Acquire,
    /// The place it had: it keeps it.
    pub sequence: i64,
}

/// The answer to boot, assert and bye.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JoinReply {
    pub status: Status,
    pub tick: u64,
    pub now: i64,
    pub wall: i64,
    pub generation: i64,
    /// See [`super::TickReply::base`].
    pub base: u64,
    pub learning_until: i64,
}
