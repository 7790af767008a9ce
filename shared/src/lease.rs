//! The vocabulary of admission: what is asked, what is answered, and how it ended. Plain data.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::catalog::LimitKind;
use crate::ids::{CandidateIndex, ModelIndex, RowIndex};
use crate::units::Priority;

/// What a request asks of the store: one slot and its charges, at any of the model's candidates.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    pub model: ModelIndex,
    pub priority: Priority,
    /// Estimated tokens, prompt and output, reserved until the lease is settled.
    pub tokens: u32,
    /// The caller's own limited rows (its client key's); all of them must admit, and all are charged.
    pub callers: Vec<RowIndex>,
    /// The only candidates that may serve; `None` allows all of the model's.
    pub allow: Option<Vec<CandidateIndex>>,
    /// Refuse at once where the claim would have to wait (fail-over attempts).
    pub no_queue: bool,
}

/// Why a claim got no lease.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    pub reason: RefusalReason,
    /// The earliest moment at which trying again makes sense.
    pub retry_after: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub enum RefusalReason {
    /// A limit of `row` has no room now (a claim that does not queue, or whose deadline passed).
    Limit { row: RowIndex, kind: LimitKind },
    /// The estimate exceeds the limit itself: waiting can never help.
    TooLarge { row: RowIndex, kind: LimitKind },
    /// The model's queue is at `queue.max_length`.
    QueueFull,
    /// A request of higher priority took this one's place in a full queue.
    Shed,
    /// The deadline passed in the queue.
    Deadline,
    /// No candidate of the model may be used.
    Unavailable,
    /// The store does not answer.
    StoreAway,
    /// This replica is shutting down.
    Draining,
}

/// What is left of one of the caller's limits after a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remaining {
    pub row: RowIndex,
    pub kind: LimitKind,
    pub remaining: u64,
}

/// How a request ended, as the keys' health sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    Served,
    /// Nothing reached the provider (connect failed, cancelled before dispatch): every charge is refunded.
    Unsent,
    /// The client hung up; says nothing about the key.
    ClientAbort,
    /// The provider refused the request itself (400, 413, 422, …); says nothing about the key.
    BadRequest,
    /// 429 from the provider.
    RateLimited,
    /// 401 or 403 from the provider.
    AuthFailed,
    /// 5xx, a cut stream, an error body, or no answer in time.
    Failed,
}

/// What really happened, told to the store when a lease ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settlement {
    pub outcome: Outcome,
    /// Prompt and output tokens; `None` keeps the estimate.
    pub tokens: Option<u32>,
    /// Dispatch to last byte.
    pub latency: Duration,
    /// Dispatch to first content byte.
    pub first_byte: Option<Duration>,
}
