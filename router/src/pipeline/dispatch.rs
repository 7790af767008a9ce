//! Lease and request → the upstream's answer, at its first content byte.
//!
//! Nothing has reached the client until then, so every failure here may go round again at another candidate; whether
//! it does is for `answer` to say.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use shared::config::Timeouts;
use shared::lease::Outcome;
use tokio::time::{Instant, timeout_at};

use crate::dialect::reply::inspect_reply;
use crate::dialect::stream::StreamRelay;
use crate::dialect::usage::Usage;
use crate::pipeline::problem::{NoAnswer, Problem};
use crate::pipeline::settle::HeldLease;
use crate::upstream::{Attempt, SendError, UpstreamClient, UpstreamReply, classify};

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
    Stream(OpenStream),
}

#[derive(Debug)]
pub(crate) struct WholeReply {
    pub(crate) content_type: Option<HeaderValue>,
    pub(crate) body: Bytes,
    pub(crate) usage: Option<Usage>,
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
///
/// `deadline` ends the whole request; a time-out for the first content byte ends this attempt before.
pub(crate) async fn dispatch(
    upstream: &UpstreamClient,
    timeouts: &Timeouts,
    lease: &mut HeldLease,
    deadline: Instant,
) -> Result<Reply, Failure> {
    if !lease.is_dispatchable() {
        return Err(Failure::no_answer(NoAnswer::LeaseLost, Outcome::Unsent));
    }
    let lost = lease.lost();
    tokio::select! {
        reply = exchange(upstream, timeouts, lease, deadline) => reply,
        () = lost => Err(Failure::no_answer(NoAnswer::LeaseLost, Outcome::ClientAbort)),
    }
}

async fn exchange(
    upstream: &UpstreamClient,
    timeouts: &Timeouts,
    lease: &mut HeldLease,
    deadline: Instant,
) -> Result<Reply, Failure> {
    lease.mark_sent();
    let first_byte = deadline.min(Instant::now() + timeouts.first_byte);
    let candidate = lease.candidate();
    let ask = lease.ask();
    let is_stream = ask.is_stream();
    let attempt = Attempt {
        base_url: &candidate.provider.base_url,
        headers: &candidate.provider.headers,
        secret: &candidate.secret,
        endpoint: ask.endpoint(),
        body: ask.for_upstream(&candidate.upstream_model, &lease.model().overrides),
        is_stream,
    };
    let reply = timeout_at(first_byte, upstream.send(attempt)).await??;

    if !reply.status.is_success() {
        return Err(refusal(reply, lease, first_byte).await);
    }
    if is_stream {
        open(reply, lease, first_byte).await.map(Reply::Stream)
    } else {
        read(reply, lease, deadline).await.map(Reply::Whole)
    }
}

/// Reads a plain answer to its end.
async fn read(
    reply: UpstreamReply,
    lease: &mut HeldLease,
    deadline: Instant,
) -> Result<WholeReply, Failure> {
    lease.mark_first_byte();
    let content_type = reply.headers.get(CONTENT_TYPE).cloned();
    let body = timeout_at(deadline, reply.read_all(REPLY_MAX)).await??;
    let inspected = inspect_reply(lease.ask().endpoint(), &body);
    if let Some(fault) = inspected.fault {
        tracing::warn!(key = %lease.candidate().label, "Key `{}` answered with {fault}", lease.candidate().label);
        return Err(Failure::no_answer(NoAnswer::Unusable, Outcome::Failed));
    }
    Ok(WholeReply {
        content_type,
        body,
        usage: inspected.usage,
    })
}

/// Reads a stream to its first content, holding back what comes before: a role, an empty delta.
async fn open(
    mut reply: UpstreamReply,
    lease: &mut HeldLease,
    first_byte: Instant,
) -> Result<OpenStream, Failure> {
    if reply.headers.get(CONTENT_TYPE).is_some_and(is_no_stream) {
        return Err(Failure::no_answer(NoAnswer::Unusable, Outcome::Failed));
    }
    let ask = lease.ask();
    let mut events = StreamRelay::new(ask.endpoint(), ask.wants_usage());
    let mut head = BytesMut::new();
    let mut hold_until = None;
    loop {
        let until = hold_until.map_or(first_byte, |until| first_byte.min(until));
        let chunk = match timeout_at(until, reply.next_chunk()).await {
            Ok(chunk) => chunk?,
            Err(_) if hold_until.is_some() && Instant::now() < first_byte => break,
            Err(elapsed) => return Err(elapsed.into()),
        };
        let Some(chunk) = chunk else {
            if events.is_finished() {
                break;
            }
            return Err(Failure::no_answer(NoAnswer::Unusable, Outcome::Failed));
        };
        let events_out = events.feed(chunk).map_err(|fault| {
            tracing::warn!(key = %lease.candidate().label, "Key `{}` began its stream with {fault}", lease.candidate().label);
            Failure::no_answer(NoAnswer::Unusable, Outcome::Failed)
        })?;
        head.extend_from_slice(&events_out);
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

/// An answer to a stream request that says it is something else is an error body.
fn is_no_stream(content_type: &HeaderValue) -> bool {
    let content_type = content_type.as_bytes().to_ascii_lowercase();
    content_type.starts_with(b"application/json") || content_type.starts_with(b"text/html")
}

/// Reads an upstream's refusal and says whether it is about the request or about the key.
async fn refusal(reply: UpstreamReply, lease: &HeldLease, until: Instant) -> Failure {
    let status = reply.status;
    let retry_after = reply.retry_after;
    let body = match timeout_at(until, reply.read_all(REFUSAL_MAX)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) | Err(_) => Bytes::new(),
    };
    let disposition = classify(status, &body);
    let is_about_our_key = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    let problem = if is_about_our_key {
        Problem::NoAnswer(NoAnswer::KeyRejected)
    } else if leaks(&body, lease) {
        tracing::warn!(key = %lease.candidate().label, "Key `{}` was refused with a text that holds the key itself", lease.candidate().label);
        Problem::NoAnswer(NoAnswer::Unusable)
    } else {
        Problem::Upstream {
            status,
            is_json: serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok(),
            body,
            retry_after,
            is_retried: false,
        }
    };
    Failure {
        problem,
        outcome: disposition.outcome,
        is_retryable: disposition.retryable,
    }
}

/// Whether a text from upstream repeats the credential that it was sent.
fn leaks(body: &[u8], lease: &HeldLease) -> bool {
    let secret = lease.candidate().secret.expose().as_bytes();
    !secret.is_empty() && memchr::memmem::find(body, secret).is_some()
}

impl OpenStream {
    pub(crate) fn content_type(&self) -> Option<&HeaderValue> {
        self.reply.headers.get(CONTENT_TYPE)
    }
}

impl Failure {
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
    pub(crate) fn into_problem(self, n_attempts: u32) -> Problem {
        match self.problem {
            Problem::Upstream {
                status,
                body,
                is_json,
                retry_after,
                is_retried: _,
            } => Problem::Upstream {
                status,
                body,
                is_json,
                retry_after,
                is_retried: n_attempts > 1,
            },
            problem => problem,
        }
    }

    fn is_upstreams_word(&self) -> bool {
        matches!(self.problem, Problem::Upstream { .. })
    }

    fn no_answer(why: NoAnswer, outcome: Outcome) -> Self {
        Self {
            problem: Problem::NoAnswer(why),
            outcome,
            is_retryable: true,
        }
    }
}

impl From<tokio::time::error::Elapsed> for Failure {
    fn from(_: tokio::time::error::Elapsed) -> Self {
        Self::no_answer(NoAnswer::TimedOut, Outcome::Failed)
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        if error.is_unsent() {
            Self::no_answer(NoAnswer::Unreachable, Outcome::Unsent)
        } else {
            Self::no_answer(NoAnswer::Unusable, Outcome::Failed)
        }
    }
}
