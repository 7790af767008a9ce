//! Lease and request → the upstream's answer, at its first content byte.
//!
//! Nothing has reached the client until then, so every failure here may go round again at another candidate; whether
//! it does is for `answer` to say.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use shared::lease::Outcome;
use tokio::time::{Instant, timeout_at};

use crate::dialect::{
    ErrorBody, ErrorType, ReplyFault, StreamFault, StreamFaultKind, StreamRelay, UpstreamError,
    inspect_reply,
};
use crate::pipeline::Pipeline;
use crate::pipeline::problem::{NoAnswer, Problem};
use crate::pipeline::settle::{Charge, HeldLease};
use crate::upstream::{Attempt, BodyError, SendError, UpstreamReply, classify};

/// The largest plain answer that is taken: 2,048 embeddings of 3,072 numbers are about 80 MB of text.
const REPLY_MAX: usize = 128 * 1024 * 1024;

/// Of a refusal's body.
const REFUSAL_MAX: usize = 64 * 1024;

/// How much of a stream is held back until its first content, and for how long after its first event.
const HOLD_BYTES_MAX: usize = 1024;
const HOLD_TIME_MAX: Duration = Duration::from_secs(1);

/// An upstream's answer.
#[derive(Debug)]
pub(crate) enum Reply {
    Whole(WholeReply),
    Stream(Box<OpenStream>),
}

#[derive(Debug)]
pub(crate) struct WholeReply {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) charge: Charge,
}

/// A stream that has begun to say something.
#[derive(Debug)]
pub(crate) struct OpenStream {
    pub(crate) reply: UpstreamReply,
    pub(crate) events: StreamRelay,
    /// What was held back.
    pub(crate) head: Bytes,
}

/// Why an attempt came to nothing.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) problem: Problem,
    /// What the key's health should know of it.
    pub(crate) outcome: Outcome,
    /// Whether another candidate may do better.
    pub(crate) is_retryable: bool,
}

/// Sends the request to the candidate that `lease` grants.
pub(crate) async fn dispatch(
    pipeline: &Pipeline,
    lease: &mut HeldLease,
    request_id: &str,
    client_headers: &HeaderMap,
) -> Result<Reply, Failure> {
    if !lease.is_dispatchable() {
        return Err(Failure::no_answer(NoAnswer::LeaseLost, Outcome::Unsent));
    }
    let lost = lease.lost();
    tokio::select! {
        biased;
        reply = exchange(pipeline, lease, request_id, client_headers) => reply,
        () = lost => Err(Failure::no_answer(NoAnswer::LeaseLost, Outcome::ClientAbort)),
    }
}

async fn exchange(
    pipeline: &Pipeline,
    lease: &mut HeldLease,
    request_id: &str,
    client_headers: &HeaderMap,
) -> Result<Reply, Failure> {
    lease.mark_sent();
    let candidate = lease.candidate();
    let ask = lease.ask();
    let is_stream = ask.is_stream();
    let attempt = Attempt {
        base_url: &candidate.provider.base_url,
        provider_headers: &candidate.provider.headers,
        secret: &candidate.secret,
        endpoint: ask.endpoint(),
        body: &ask.for_upstream(&candidate.upstream_model, &lease.model().overrides),
        request_id,
        client_headers,
        first_byte: pipeline.config.timeouts.first_byte,
    };
    let reply = pipeline
        .upstream
        .send(attempt)
        .await
        .inspect_err(|error| warn(lease, &error.to_string()))?;

    if !reply.status.is_success() {
        return Err(refusal(reply, lease).await);
    }
    let answered = if is_stream {
        open(reply, lease)
            .await
            .map(|stream| Reply::Stream(Box::new(stream)))
    } else {
        read(reply, lease).await.map(Reply::Whole)
    };
    if let Err(failure) = &answered {
        warn(lease, &format!("no usable answer: {:?}", failure.outcome));
    }
    answered
}

/// Reads a plain answer to its end.
async fn read(reply: UpstreamReply, lease: &mut HeldLease) -> Result<WholeReply, Failure> {
    lease.mark_first_byte();
    let headers = reply.headers.clone();
    let body = reply.read_all(REPLY_MAX).await?;
    let inspected = inspect_reply(lease.ask().endpoint(), &body);
    match &inspected.fault {
        None => {}
        Some(ReplyFault::Upstream(error)) => return Err(Failure::of_error(error, lease)),
        Some(ReplyFault::NotJson | ReplyFault::NoAnswer) => {
            return Err(Failure::no_answer(NoAnswer::Unusable, Outcome::Failed));
        }
    }
    let charge = match inspected.usage {
        Some(usage) => Charge::Reported(usage),
        None => Charge::Counted {
            completion_tokens: inspected.completion_tokens_estimate(lease.counter()),
        },
    };
    Ok(WholeReply {
        headers,
        body,
        charge,
    })
}

/// Reads a stream to its first content, holding back what comes before: a role, an empty delta.
async fn open(mut reply: UpstreamReply, lease: &mut HeldLease) -> Result<OpenStream, Failure> {
    if !reply.is_event_stream() {
        let body = reply.read_all(REFUSAL_MAX).await?;
        let error = UpstreamError::parse(&body).unwrap_or_default();
        return Err(Failure::of_error(&error, lease));
    }
    let ask = lease.ask();
    let mut events = StreamRelay::new(ask.endpoint(), ask.wants_usage());
    let mut head = BytesMut::new();
    let mut hold_until: Option<Instant> = None;
    loop {
        let next = reply.next_chunk();
        let chunk = match hold_until {
            None => next.await,
            Some(hold_until) => match timeout_at(hold_until, next).await {
                Ok(chunk) => chunk,
                Err(_) => break,
            },
        };
        let Some(chunk) = chunk.transpose()? else {
            if !events.is_finished() {
                return Err(Failure::no_answer(NoAnswer::Unusable, Outcome::Failed));
            }
            break;
        };
        match events.feed(chunk) {
            Ok(passed) => head.extend_from_slice(&passed),
            Err(fault) => return Err(Failure::of_fault(&fault, lease)),
        }
        if events.has_content() {
            lease.mark_first_byte();
            break;
        }
        if head.len() > HOLD_BYTES_MAX {
            break;
        }
        if !head.is_empty() && hold_until.is_none() {
            hold_until = Some(Instant::now() + HOLD_TIME_MAX);
        }
    }
    Ok(OpenStream {
        reply,
        events,
        head: head.freeze(),
    })
}

/// Reads an upstream's refusal and says whether it is about the request or about the key.
async fn refusal(reply: UpstreamReply, lease: &HeldLease) -> Failure {
    let status = reply.status;
    let retry_after = reply.retry_after;
    // Without the body the status has to do.
    let body = reply.read_all(REFUSAL_MAX).await.unwrap_or_default();
    warn(lease, &format!("status {}", status.as_u16()));
    Failure::refused(status, body, retry_after, lease)
}

/// Whether a text from upstream repeats the credential that it was sent.
fn leaks(body: &[u8], lease: &HeldLease) -> bool {
    let secret = lease.candidate().secret.expose().as_bytes();
    !secret.is_empty() && memchr::memmem::find(body, secret).is_some()
}

fn warn(lease: &HeldLease, what: &str) {
    let key = &lease.candidate().label;
    tracing::warn!(%key, "An attempt at key `{key}` failed: {what}");
}

impl OpenStream {
    pub(crate) fn headers(&self) -> HeaderMap {
        self.reply.headers.clone()
    }
}

impl Failure {
    fn no_answer(why: NoAnswer, outcome: Outcome) -> Self {
        Self {
            problem: why.into(),
            outcome,
            is_retryable: true,
        }
    }

    fn refused(
        status: StatusCode,
        body: Bytes,
        retry_after: Option<Duration>,
        lease: &HeldLease,
    ) -> Self {
        let disposition = classify(status, &body, retry_after);
        let is_passed_on = status.is_client_error() || status.is_server_error();
        let problem = if disposition.outcome == Outcome::AuthFailed {
            NoAnswer::KeyRejected.into()
        } else if !is_passed_on || leaks(&body, lease) {
            NoAnswer::Unusable.into()
        } else {
            Problem::Upstream {
                status,
                is_json: serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok(),
                body,
                retry_after: disposition.retry_after,
                is_retried: false,
            }
        };
        Self {
            problem,
            outcome: disposition.outcome,
            is_retryable: disposition.retryable,
        }
    }

    /// An error that came under status 200.
    fn of_error(error: &UpstreamError, lease: &HeldLease) -> Self {
        let status = error
            .status
            .and_then(|status| StatusCode::from_u16(status).ok());
        let Some(status) = status else {
            return Self::no_answer(NoAnswer::Unusable, Outcome::Failed);
        };
        let kind = if status.is_client_error() {
            ErrorType::InvalidRequest
        } else {
            ErrorType::Server
        };
        let body = ErrorBody {
            message: &error.message,
            kind,
            param: None,
            code: error.code.as_deref(),
        };
        Self::refused(status, body.to_bytes(), None, lease)
    }

    fn of_fault(fault: &StreamFault, lease: &HeldLease) -> Self {
        match &fault.kind {
            StreamFaultKind::Upstream(error) => Self::of_error(error, lease),
            StreamFaultKind::EventTooLong => Self::no_answer(NoAnswer::Unusable, Outcome::Failed),
        }
    }

    /// Of two failed attempts keeps the one to tell the client: what an upstream said, else the later.
    pub(crate) fn or_more_telling(self, earlier: Option<Self>) -> Self {
        match earlier {
            Some(earlier) if earlier.is_upstreams_word() && !self.is_upstreams_word() => Self {
                problem: earlier.problem,
                ..self
            },
            Some(_) | None => self,
        }
    }

    /// What the client is told after `n_attempts`.
    pub(crate) fn into_problem(mut self, n_attempts: u32) -> Problem {
        if let Problem::Upstream { is_retried, .. } | Problem::NoAnswer { is_retried, .. } =
            &mut self.problem
        {
            *is_retried = n_attempts > 1;
        }
        self.problem
    }

    fn is_upstreams_word(&self) -> bool {
        matches!(self.problem, Problem::Upstream { .. })
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Timeout(_) => Self::no_answer(NoAnswer::TimedOut, Outcome::Failed),
            error if error.is_unsent() => Self::no_answer(NoAnswer::Unreachable, Outcome::Unsent),
            _ => Self::no_answer(NoAnswer::Unusable, Outcome::Failed),
        }
    }
}

impl From<BodyError> for Failure {
    fn from(error: BodyError) -> Self {
        let why = match error {
            BodyError::FirstByteTimeout | BodyError::IdleTimeout(_) | BodyError::TotalTimeout => {
                NoAnswer::TimedOut
            }
            BodyError::Reset(_) | BodyError::TooLong(_) => NoAnswer::Unusable,
        };
        Self::no_answer(why, Outcome::Failed)
    }
}
