//! What a session and the store say to each other: operations in, replies out.
//!
//! On the way to Redis every struct is a MessagePack array in the order of its fields, as the scripts index them;
//! a field is therefore only ever added at the end. The recorder writes the same types as JSON objects.

use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, LimitKind, Row};
use crate::ids::{CandidateIndex, Fence, ModelIndex, ReplicaName, RowIndex, SessionId, Ticket};
use crate::lease::{Outcome, Purpose, Remaining, Reported};

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

/// How the store answered a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Status {
    #[default]
    Done,
    /// The store is empty: boot again.
    NoEpoch,
    /// The session is unknown: it was reaped, or the store lost it.
    Gone,
    /// The batch is older than the last one: a delayed copy.
    Old,
    /// The store lost batches that it had acknowledged.
    Rollback,
    /// The catalog changed: fetch it, then send the same batch again.
    Catalog,
    /// Another process with this replica's name is alive.
    Duplicate,
    /// The session still holds leases.
    Busy,
    /// A newer leader acts: this one's writes change nothing.
    Fenced,
    /// What the call was made for has changed meanwhile: look again.
    Stale,
}

impl Status {
    const ALL: [Self; 10] = [
        Self::Done,
        Self::NoEpoch,
        Self::Gone,
        Self::Old,
        Self::Rollback,
        Self::Catalog,
        Self::Duplicate,
        Self::Busy,
        Self::Fenced,
        Self::Stale,
    ];
}

impl From<Status> for u8 {
    fn from(status: Status) -> Self {
        status as Self
    }
}

impl TryFrom<u8> for Status {
    type Error = String;

    fn try_from(code: u8) -> Result<Self, String> {
        Self::ALL
            .get(usize::from(code))
            .copied()
            .ok_or_else(|| format!("unknown status {code}"))
    }
}

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
    /// See [`TickReply::base`].
    pub base: u64,
    pub learning_until: i64,
}

/// One call of a publish: the rows that it changes; the last one carries the catalog too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PublishStep {
    pub fence: Fence,
    /// The start of the server, and the catalog in force, that it was made for.
    pub generation: i64,
    pub base: u64,
    /// Buckets that the window string holds from now on.
    pub buckets: u32,
    pub rows: Vec<RowChange>,
    pub catalog: Option<Catalog>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RowChange {
    pub index: RowIndex,
    pub row: Row,
    /// A key whose credential changed: what is known of its health is forgotten.
    pub is_other_key: bool,
}

/// Asks for the leadership, or renews it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidacy {
    /// One incarnation of a coordinator: an opaque uuid.
    pub owner: String,
    /// Where its admin port answers, for people who look for the leader.
    pub address: String,
    /// Give the leadership back instead.
    pub resigns: bool,
}

/// Who leads.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Leadership {
    /// Empty: nobody.
    pub owner: String,
    pub address: String,
    /// Grows with every change of leader, also over a store that lost its data.
    pub fence: Fence,
    /// Until the leadership falls free unless renewed; 0: it is free.
    pub remaining_ms: i64,
}

/// What a coordinator, or an operator, finds of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Verdict {
    /// Probes succeeded: it serves again, whatever it was out for.
    Up,
    /// Probes succeeded that cost the provider nothing: a key without money stays out.
    Reachable,
    /// Probes failed: it is ejected, unless it is the last usable key of a model.
    Down,
    /// An operator: serves again, its health forgotten.
    Enable,
    /// An operator: gets nothing new, what runs finishes; probes go on.
    Drain,
    /// An operator: gets nothing new, and is not probed.
    Disable,
}

impl Verdict {
    const ALL: [Self; 6] = [
        Self::Up,
        Self::Reachable,
        Self::Down,
        Self::Enable,
        Self::Drain,
        Self::Disable,
    ];
}

impl From<Verdict> for u8 {
    fn from(verdict: Verdict) -> Self {
        verdict as Self
    }
}

impl TryFrom<u8> for Verdict {
    type Error = String;

    fn try_from(code: u8) -> Result<Self, String> {
        Self::ALL
            .get(usize::from(code))
            .copied()
            .ok_or_else(|| format!("unknown verdict {code}"))
    }
}

/// Tells the store what was found of a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// [`Fence::NONE`]: an operator's own word, whoever leads.
    pub fence: Fence,
    pub row: RowIndex,
    /// The key's state version when the probe began; what it found of an earlier state is `Stale`. `None`: whatever.
    pub version: Option<u64>,
    pub verdict: Verdict,
}

/// Lists that are mostly empty: `false` says so to the scripts, who pay for every table that they unpack.
pub(super) mod short_list {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Short<T> {
        Empty(#[expect(dead_code, reason = "only its type tells")] bool),
        Full(Vec<T>),
    }

    pub(in crate::state) fn serialize<T: Serialize, S: Serializer>(
        list: &[T],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        if list.is_empty() && !serializer.is_human_readable() {
            return serializer.serialize_bool(false);
        }
        list.serialize(serializer)
    }

    pub(in crate::state) fn deserialize<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
    where
        T: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(match Short::deserialize(deserializer)? {
            Short::Empty(_) => Vec::new(),
            Short::Full(list) => list,
        })
    }
}
