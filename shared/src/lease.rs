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
    /// Refuse at once where the claim would have to wait (fail-over attempts, probes).
    pub no_queue: bool,
    pub purpose: Purpose,
}

/// What a lease is wanted for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// A request's first attempt; earns the cluster its share of retries.
    #[default]
    Request,
    /// Another attempt of a request: granted only within the cluster's retry budget.
    Retry,
    /// A probe that makes the provider work: ignores the key's health, never its limits. Names one candidate.
    Probe,
    /// The same for one that costs the provider nothing (`models`, `path`): charges concurrency and QPS only.
    LightProbe,
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
    /// The cluster's retry budget is spent: one attempt more would add load where there is trouble already.
    RetryBudget,
    /// Every candidate's provider asked to be left alone for a while (429).
    Throttled,
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
    /// The provider could not be reached: every charge is refunded, and the key's health knows.
    Unreachable,
    /// The account has no money or quota left (402, `insufficient_quota`, …): waiting does not help.
    Exhausted,
    /// A probe came back, well or not: what it found is told by `judge`.
    Probed,
}

/// What really happened, told to the store when a lease ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    pub outcome: Outcome,
    /// Prompt and output tokens; `None` keeps the estimate.
    pub tokens: Option<u32>,
    /// Dispatch to first content byte, of a stream.
    pub first_byte: Option<Duration>,
    /// Dispatch to last byte ÷ output tokens, of a plain answer.
    pub token_time: Option<Duration>,
    /// When the provider said to come back.
    pub retry_after: Option<Duration>,
    /// What the provider said of its own limits for this key.
    pub reported: Vec<Reported>,
}

impl Settlement {
    /// One that says nothing but how it ended.
    pub fn of(outcome: Outcome) -> Self {
        Self {
            outcome,
            tokens: None,
            first_byte: None,
            token_time: None,
            retry_after: None,
            reported: Vec::new(),
        }
    }
}

/// One of the provider's own windows for a key, from its rate-limit headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reported {
    /// [`WindowKind::code`](crate::catalog::WindowKind::code).
    pub kind: u8,
    /// 0: not told.
    pub limit: u64,
    pub remaining: u64,
    /// Until the provider forgets what was used.
    pub resets_in_ms: u32,
}
