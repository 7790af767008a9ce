//! Everything that a request can end with instead of an answer; what each looks like to a client is `http/error.rs`.

use std::time::Duration;

use bytes::Bytes;
use dialect::{BadRequest, ErrorType};
use http::StatusCode;
use shared::catalog::{LimitKind, ScopeKind};
use shared::lease::Refusal;

#[derive(Debug)]
pub(crate) enum Problem {
    /// No credential, one we do not know, or several: the same to whoever asks.
    Unauthenticated,
    BadRequest(BadRequest),
    BodyTooLarge {
        limit: usize,
    },
    /// The request's body did not come in time.
    BodyTimeout,
    /// The model does not exist, or not for this caller.
    UnknownModel {
        model: String,
    },
    /// No account that the caller may use has stored a response under this id.
    UnknownResponse {
        id: String,
    },
    /// No account that the caller may use stores responses at all.
    NothingStored,
    Refused {
        refusal: Refusal,
        /// Which limit refused, where one did.
        limit: Option<RefusedLimit>,
        /// Public name.
        model: String,
        /// Estimated tokens.
        requested: u32,
    },
    /// This replica has not joined the state store yet.
    NotJoined,
    /// This replica is shutting down.
    Draining,
    /// An upstream's own answer, status and all.
    Upstream {
        status: StatusCode,
        /// `None` where it sent nothing that could be told.
        word: Option<UpstreamWord>,
        retry_after: Option<Duration>,
        /// Several candidates were asked, or no retry was left: a client that asks again only adds to the load.
        is_final: bool,
    },
    /// No upstream gave an answer that could be passed on.
    NoAnswer {
        why: NoAnswer,
        is_final: bool,
    },
    UnknownRoute {
        method: String,
        path: String,
    },
    WrongMethod {
        method: String,
        path: String,
    },
    /// A fault of ours.
    Internal,
}

/// What an upstream said of an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UpstreamWord {
    /// In the shape that the client knows.
    Verbatim(Bytes),
    /// To be told in the client's.
    Reworded {
        message: String,
        kind: ErrorType,
        code: Option<String>,
    },
}

/// Why an upstream's answer could not be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    Unreachable,
    TimedOut,
    /// It broke off, or was not what was asked for.
    Unusable,
    /// The provider does not take our key.
    KeyRejected,
    /// Our account there has no money or quota left.
    Exhausted,
    /// The provider does not know the model, or the path, that our configuration names.
    Misconfigured,
    /// The lease was no longer surely ours.
    LeaseLost,
}

/// The limit that refused a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RefusedLimit {
    pub(crate) scope: ScopeKind,
    pub(crate) name: String,
    pub(crate) kind: LimitKind,
    pub(crate) limit: u64,
    /// Whether it is one of the caller's own.
    pub(crate) is_callers: bool,
}

impl From<BadRequest> for Problem {
    fn from(bad: BadRequest) -> Self {
        Self::BadRequest(bad)
    }
}

impl From<NoAnswer> for Problem {
    fn from(why: NoAnswer) -> Self {
        Self::NoAnswer {
            why,
            is_final: false,
        }
    }
}

impl Problem {
    pub(crate) fn bad_request(message: impl Into<String>, param: Option<&str>) -> Self {
        Self::BadRequest(BadRequest {
            message: message.into(),
            param: param.map(str::to_owned),
            code: None,
        })
    }
}
