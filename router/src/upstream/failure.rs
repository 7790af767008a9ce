//! What can go wrong with an attempt, and what follows from each.

use shared::lease::Outcome;

/// Why an attempt came to nothing; all that is decided about it is decided by this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureClass {
    /// No connection, no TLS: nothing was sent.
    Unreachable,
    /// The connection closed before any of the request was written; says nothing about the key.
    Unsent,
    /// No answer in time, or none that went on.
    TimedOut,
    /// The connection broke before the answer was whole.
    BrokenOff,
    /// 5xx.
    ServerError,
    /// The provider is busy, for whichever key: 503, 529.
    Overloaded,
    /// Something else than an answer: a web page, a redirect, no choices.
    BadAnswer,
    /// The key's rate: 429.
    RateLimited,
    /// The request is larger than this key's rate itself; waiting does not help, another key may.
    TooLargeHere,
    /// What the request goes on from is not stored in this account; another may have it.
    UnknownHere,
    /// The provider does not take the key.
    KeyRejected,
    /// The account has no money or quota left.
    Exhausted,
    /// The candidate cannot serve this at all: the provider does not know the model, or the path.
    Misconfigured,
    /// The request's own fault.
    BadRequest,
    /// The lease was no longer surely ours.
    LeaseLost,
}

impl FailureClass {
    /// What the key's health learns from it.
    pub fn outcome(self) -> Outcome {
        match self {
            Self::Unreachable => Outcome::Unreachable,
            Self::Unsent | Self::LeaseLost => Outcome::Unsent,
            Self::TimedOut
            | Self::BrokenOff
            | Self::ServerError
            | Self::Overloaded
            | Self::BadAnswer => Outcome::Failed,
            Self::RateLimited => Outcome::RateLimited,
            Self::KeyRejected => Outcome::AuthFailed,
            Self::Exhausted => Outcome::Exhausted,
            // A wrong name in our file is no illness of the key: its other models are well.
            Self::TooLargeHere | Self::UnknownHere | Self::Misconfigured | Self::BadRequest => {
                Outcome::BadRequest
            }
        }
    }

    /// Whether another candidate may do better.
    pub fn is_retryable(self) -> bool {
        self != Self::BadRequest
    }

    /// Whether there was more work than room, so that the same again at once would only add to it.
    pub fn is_overload(self) -> bool {
        matches!(self, Self::RateLimited | Self::Overloaded)
    }

    /// As a label of metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Unsent => "unsent",
            Self::TimedOut => "timed_out",
            Self::BrokenOff => "broken_off",
            Self::ServerError => "server_error",
            Self::Overloaded => "overloaded",
            Self::BadAnswer => "bad_answer",
            Self::RateLimited => "rate_limited",
            Self::TooLargeHere => "too_large_here",
            Self::UnknownHere => "unknown_here",
            Self::KeyRejected => "key_rejected",
            Self::Exhausted => "exhausted",
            Self::Misconfigured => "misconfigured",
            Self::BadRequest => "bad_request",
            Self::LeaseLost => "lease_lost",
        }
    }
}
