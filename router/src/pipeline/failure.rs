//! Why an attempt came to nothing: for the key's health, for the next attempt, and for the client if there is none.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use shared::config::Dialect;
use shared::lease::Outcome;

use crate::fleet::FleetCandidate;
use crate::pipeline::leak;
use crate::pipeline::problem::{NoAnswer, Problem, UpstreamWord};
use crate::pipeline::settle::HeldLease;
use crate::upstream::{BodyError, Disposition, FailureClass, SendError, classify, classify_error};
use dialect::{BadRequest, ErrorType, StreamFault, StreamFaultKind, UpstreamError};

/// A connection that breaks this soon after a request, without a byte of an answer, was most likely being closed as idle
/// by the upstream while the request was written.
const STALE_WITHIN: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Failure {
    /// What the client is told if nothing helps.
    pub(crate) problem: Problem,
    pub(crate) class: FailureClass,
    /// What the key's health should know of it.
    pub(crate) outcome: Outcome,
    /// When the provider said to come back.
    pub(crate) retry_after: Option<Duration>,
    /// Whether the connection, not the candidate, was at fault: the same candidate may be asked once more.
    pub(crate) is_stale_connection: bool,
}

/// An upstream's refusal as it came in.
#[derive(Debug)]
pub(crate) struct RefusedReply {
    pub(crate) status: StatusCode,
    /// May be cut short.
    pub(crate) body: Bytes,
    /// What kind of error it is, where a header tells.
    pub(crate) kind: Option<String>,
    pub(crate) retry_after: Option<Duration>,
}

impl Failure {
    pub(crate) fn no_answer(class: FailureClass) -> Self {
        Self {
            problem: no_answer_of(class).into(),
            class,
            outcome: class.outcome(),
            retry_after: None,
            is_stale_connection: false,
        }
    }

    /// The candidate's dialect cannot express the request; `rank` keeps such candidates out.
    pub(crate) fn unspeakable(refusal: BadRequest) -> Self {
        Self {
            problem: refusal.into(),
            outcome: Outcome::Unsent,
            ..Self::no_answer(FailureClass::BadRequest)
        }
    }

    /// The lease of an `exclusive` model was lost after the request was sent.
    pub(crate) fn lost_midway() -> Self {
        Self {
            outcome: Outcome::ClientAbort,
            ..Self::no_answer(FailureClass::LeaseLost)
        }
    }

    pub(crate) fn unanswered(error: &SendError, since_sent: Duration) -> Self {
        let is_stale_connection = match error {
            SendError::Closed => true,
            SendError::Reset(_) => since_sent < STALE_WITHIN,
            SendError::Connect(_)
            | SendError::Unbuildable(_)
            | SendError::Timeout(_)
            | SendError::Encoded(_) => false,
        };
        let failure = Self::no_answer(error.class());
        let outcome = match failure.outcome {
            Outcome::Unreachable => Outcome::Unreachable,
            _ if error.is_unsent() => Outcome::Unsent,
            outcome => outcome,
        };
        Self {
            outcome,
            is_stale_connection,
            ..failure
        }
    }

    /// An upstream's refusal, by its status or, under status 200, by its body; `client` is the dialect of whoever asks.
    pub(crate) fn refused(
        refusal: &RefusedReply,
        client: Dialect,
        candidate: &FleetCandidate,
    ) -> Self {
        let RefusedReply {
            status,
            body,
            kind,
            retry_after,
        } = refusal;
        let disposition = classify(*status, body, kind.as_deref(), *retry_after);
        let word = match is_clients_own(body, client, candidate) {
            true => Some(UpstreamWord::Verbatim(body.clone())),
            false => UpstreamError::parse(body).map(|error| reworded(error, disposition.class)),
        };
        Self::told(disposition, Some(*status), word, candidate)
    }

    /// An error that came under status 200.
    pub(crate) fn of_error(error: &UpstreamError, lease: &HeldLease) -> Self {
        let disposition = classify_error(error);
        let status = error
            .status
            .and_then(|status| StatusCode::from_u16(status).ok());
        let word = reworded(error.clone(), disposition.class);
        Self::told(disposition, status, Some(word), lease.candidate())
    }

    pub(crate) fn of_fault(fault: &StreamFault, lease: &HeldLease) -> Self {
        match &fault.kind {
            StreamFaultKind::Upstream(error) => Self::of_error(error, lease),
            StreamFaultKind::TooLong | StreamFaultKind::Malformed => {
                Self::no_answer(FailureClass::BadAnswer)
            }
        }
    }

    fn told(
        disposition: Disposition,
        status: Option<StatusCode>,
        word: Option<UpstreamWord>,
        candidate: &FleetCandidate,
    ) -> Self {
        let Disposition { class, retry_after } = disposition;
        let is_leaking = word.as_ref().is_some_and(|word| {
            let has_secret = |text: &[u8]| leak::has_secret_of(text, candidate);
            match word {
                UpstreamWord::Verbatim(body) => has_secret(body),
                UpstreamWord::Reworded { message, code, .. } => {
                    let code = code.as_deref().unwrap_or_default();
                    has_secret(message.as_bytes()) || has_secret(code.as_bytes())
                }
            }
        });
        let problem = match shown_status(class, status) {
            Some(status) if !is_leaking => Problem::Upstream {
                status,
                word,
                retry_after,
                is_final: false,
            },
            Some(_) => NoAnswer::Unusable.into(),
            None => no_answer_of(class).into(),
        };
        Self {
            problem,
            retry_after,
            ..Self::no_answer(class)
        }
    }

    /// Whether nothing of the request reached the provider.
    pub(crate) fn is_unsent(&self) -> bool {
        matches!(self.outcome, Outcome::Unsent | Outcome::Unreachable)
    }

    /// Whether the router itself waited no longer for a request that may have been sent.
    pub(crate) fn is_out_of_patience(&self) -> bool {
        matches!(
            self.problem,
            Problem::NoAnswer {
                why: NoAnswer::TimedOut,
                ..
            }
        )
    }

    /// Of two failed attempts, whose problem to tell the client; the later of two equal ones.
    pub(crate) fn or_more_telling(self, earlier: Option<Self>) -> Self {
        match earlier {
            Some(earlier) if earlier.telling() > self.telling() => earlier,
            Some(_) | None => self,
        }
    }

    /// What the client is told; `is_final` if it should not try again by itself.
    pub(crate) fn into_problem(mut self, is_asked_enough: bool) -> Problem {
        if let Problem::Upstream { is_final, .. } | Problem::NoAnswer { is_final, .. } =
            &mut self.problem
        {
            *is_final = is_asked_enough;
        }
        self.problem
    }

    /// The more a client can make of it, the more: its own mistake, when to come back, what an upstream said, what
    /// happened on the way, and last what only an operator can mend.
    fn telling(&self) -> u8 {
        if matches!(self.problem, Problem::Upstream { .. }) {
            return match self.class {
                FailureClass::BadRequest => 12,
                FailureClass::RateLimited => 11,
                FailureClass::Overloaded => 10,
                FailureClass::TooLargeHere => 8,
                // Whoever could not be asked may have it.
                FailureClass::UnknownHere => 2,
                _ => 9,
            };
        }
        match self.class {
            FailureClass::TimedOut => 7,
            FailureClass::BrokenOff | FailureClass::BadAnswer => 6,
            FailureClass::Unreachable | FailureClass::Unsent => 5,
            FailureClass::KeyRejected => 4,
            FailureClass::Exhausted => 3,
            FailureClass::Misconfigured => 1,
            FailureClass::LeaseLost => 0,
            // Theirs is an upstream's word that repeated a secret.
            FailureClass::ServerError
            | FailureClass::Overloaded
            | FailureClass::RateLimited
            | FailureClass::TooLargeHere
            | FailureClass::UnknownHere
            | FailureClass::BadRequest => 6,
        }
    }
}

impl From<BodyError> for Failure {
    fn from(error: BodyError) -> Self {
        Self::no_answer(error.class())
    }
}

/// What to say of a class that has no word of an upstream which could be passed on.
fn no_answer_of(class: FailureClass) -> NoAnswer {
    match class {
        FailureClass::Unreachable | FailureClass::Unsent => NoAnswer::Unreachable,
        FailureClass::TimedOut => NoAnswer::TimedOut,
        FailureClass::KeyRejected => NoAnswer::KeyRejected,
        FailureClass::Exhausted => NoAnswer::Exhausted,
        FailureClass::Misconfigured => NoAnswer::Misconfigured,
        FailureClass::LeaseLost => NoAnswer::LeaseLost,
        FailureClass::BrokenOff
        | FailureClass::BadAnswer
        | FailureClass::ServerError
        | FailureClass::Overloaded
        | FailureClass::RateLimited
        | FailureClass::TooLargeHere
        | FailureClass::UnknownHere
        | FailureClass::BadRequest => NoAnswer::Unusable,
    }
}

/// The status that clients see; `None` for what is between the router and its providers.
///
/// It is the upstream's own where that says the same to a client as it said to the router: a client would take 401 and
/// 403 for a fault of its own key, and knows neither Groq's 498 nor Anthropic's 529.
fn shown_status(class: FailureClass, status: Option<StatusCode>) -> Option<StatusCode> {
    let told = |default| Some(status.unwrap_or(default));
    match class {
        FailureClass::RateLimited => Some(StatusCode::TOO_MANY_REQUESTS),
        FailureClass::Overloaded => Some(StatusCode::SERVICE_UNAVAILABLE),
        FailureClass::TooLargeHere => told(StatusCode::PAYLOAD_TOO_LARGE),
        FailureClass::TimedOut => told(StatusCode::GATEWAY_TIMEOUT),
        FailureClass::ServerError => told(StatusCode::INTERNAL_SERVER_ERROR),
        FailureClass::BadRequest | FailureClass::UnknownHere => {
            Some(match status.map(|status| status.as_u16()) {
                Some(400 | 404..=406 | 408..=428 | 430..=499) => status?,
                _ => StatusCode::BAD_REQUEST,
            })
        }
        FailureClass::Unreachable
        | FailureClass::Unsent
        | FailureClass::BrokenOff
        | FailureClass::BadAnswer
        | FailureClass::KeyRejected
        | FailureClass::Exhausted
        | FailureClass::Misconfigured
        | FailureClass::LeaseLost => None,
    }
}

/// Whether an upstream's refusal is in the words of the client's own dialect.
fn is_clients_own(body: &[u8], client: Dialect, candidate: &FleetCandidate) -> bool {
    let is_same = match candidate.provider.dialect {
        // They share one shape of errors.
        Dialect::OpenaiChat | Dialect::OpenaiResponses => {
            matches!(client, Dialect::OpenaiChat | Dialect::OpenaiResponses)
        }
        upstream => upstream == client,
    };
    is_same && UpstreamError::is_shaped_for(client, body)
}

/// An upstream's error, for the client's dialect to tell.
fn reworded(error: UpstreamError, class: FailureClass) -> UpstreamWord {
    let kind = match class {
        FailureClass::BadRequest => ErrorType::InvalidRequest,
        FailureClass::RateLimited | FailureClass::TooLargeHere => ErrorType::RateLimit,
        FailureClass::Overloaded => ErrorType::ServiceUnavailable,
        _ => ErrorType::Server,
    };
    UpstreamWord::Reworded {
        message: error.message,
        kind,
        code: error.code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_status(class: FailureClass, status: u16, expected: Option<u16>) {
        let status = StatusCode::from_u16(status).unwrap();
        let shown = shown_status(class, Some(status)).map(|status| status.as_u16());
        assert_eq!(shown, expected, "{class:?} {status}");
    }

    #[test]
    fn clients_see_the_upstreams_status_unless_it_would_mislead_them() {
        use FailureClass::*;

        check_status(BadRequest, 400, Some(400));
        check_status(BadRequest, 422, Some(422));
        check_status(BadRequest, 404, Some(404));
        // A prompt that was flagged; a context that was too long.
        check_status(BadRequest, 403, Some(400));
        check_status(BadRequest, 429, Some(400));
        check_status(BadRequest, 500, Some(400));
        check_status(RateLimited, 498, Some(429));
        check_status(TooLargeHere, 413, Some(413));
        check_status(Overloaded, 529, Some(503));
        check_status(Overloaded, 429, Some(503));
        check_status(ServerError, 502, Some(502));
        check_status(KeyRejected, 401, None);
        check_status(KeyRejected, 400, None);
        check_status(Exhausted, 429, None);
        check_status(Misconfigured, 404, None);
        check_status(BadAnswer, 302, None);
    }

    fn word(class: FailureClass, status: u16) -> Failure {
        Failure {
            problem: Problem::Upstream {
                status: StatusCode::from_u16(status).unwrap(),
                word: None,
                retry_after: None,
                is_final: false,
            },
            ..Failure::no_answer(class)
        }
    }

    #[test]
    fn the_most_telling_failure_wins_whichever_came_first() {
        use FailureClass::*;

        let least_to_most = || {
            [
                Failure::no_answer(LeaseLost),
                Failure::no_answer(Misconfigured),
                word(UnknownHere, 400),
                Failure::no_answer(Exhausted),
                Failure::no_answer(KeyRejected),
                Failure::no_answer(Unreachable),
                Failure::no_answer(BadAnswer),
                Failure::no_answer(TimedOut),
                word(TooLargeHere, 413),
                word(ServerError, 500),
                word(Overloaded, 503),
                word(RateLimited, 429),
                word(BadRequest, 400),
            ]
        };

        for (less, more) in least_to_most()
            .into_iter()
            .zip(least_to_most().into_iter().skip(1))
        {
            let expected = more.class;
            let (less_again, more_again) = (word_of(&less), word_of(&more));
            assert_eq!(more.or_more_telling(Some(less)).class, expected);
            assert_eq!(less_again.or_more_telling(Some(more_again)).class, expected);
        }
    }

    /// The same failure again.
    fn word_of(failure: &Failure) -> Failure {
        match &failure.problem {
            Problem::Upstream { status, .. } => word(failure.class, status.as_u16()),
            _ => Failure::no_answer(failure.class),
        }
    }

    #[test]
    fn of_equal_failures_the_later_is_told() {
        let earlier = word(FailureClass::ServerError, 500);

        let told = word(FailureClass::ServerError, 502).or_more_telling(Some(earlier));

        let Problem::Upstream { status, .. } = told.problem else {
            panic!("an upstream's word")
        };
        assert_eq!(status, 502);
    }

    #[test]
    fn only_a_connection_that_broke_at_once_is_taken_for_a_stale_one() {
        let is_stale = |error: SendError, seconds| {
            Failure::unanswered(&error, Duration::from_secs(seconds)).is_stale_connection
        };
        let reset = || SendError::Reset("x".to_owned());

        assert!(is_stale(SendError::Closed, 9));
        assert!(is_stale(reset(), 0));
        assert!(!is_stale(reset(), 1));
        assert!(!is_stale(SendError::Connect("x".to_owned()), 0));
        assert!(!is_stale(SendError::Timeout(Duration::ZERO), 0));
    }

    #[test]
    fn what_was_never_sent_is_refunded() {
        let outcome = |error| Failure::unanswered(&error, Duration::ZERO).outcome;
        let text = || "x".to_owned();

        assert_eq!(outcome(SendError::Connect(text())), Outcome::Unreachable);
        assert_eq!(outcome(SendError::Unbuildable(text())), Outcome::Unsent);
        assert_eq!(outcome(SendError::Closed), Outcome::Unsent);
        assert_eq!(outcome(SendError::Reset(text())), Outcome::Failed);
        assert_eq!(outcome(SendError::Encoded(text())), Outcome::Failed);
    }
}
