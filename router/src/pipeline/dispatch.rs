//! Lease and request → the upstream's answer, at its first content byte.
//!
//! Nothing has reached the client until then, so every failure here may go round again at another candidate; whether
//! it does is for `answer` to say.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use tokio::time::{Instant, timeout, timeout_at};

use crate::dialect::{ReplyFault, StreamRelay, UpstreamError, inspect_reply};
use crate::pipeline::Pipeline;
use crate::pipeline::failure::Failure;
use crate::pipeline::settle::{Charge, HeldLease};
use crate::upstream::{Attempt, FailureClass, UpstreamReply};

/// The largest plain answer that is taken: 2,048 embeddings of 3,072 numbers are about 80 MB of text.
const REPLY_MAX: usize = 128 * 1024 * 1024;

/// Of a refusal's body.
const REFUSAL_MAX: usize = 64 * 1024;

/// How long a refusal's body may take after its headers: it costs the client time, and somebody else the slot.
const REFUSAL_TIME: Duration = Duration::from_millis(500);

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

/// Sends the request to the candidate that `lease` grants; the answer's last byte has to come by `deadline`.
pub(crate) async fn dispatch(
    pipeline: &Pipeline,
    lease: &mut HeldLease,
    request_id: &str,
    client_headers: &HeaderMap,
    deadline: Instant,
) -> Result<Reply, Failure> {
    if !lease.is_dispatchable() {
        return Err(Failure::no_answer(FailureClass::LeaseLost));
    }
    let lost = lease.lost();
    tokio::select! {
        biased;
        reply = exchange(pipeline, lease, request_id, client_headers, deadline) => reply,
        () = lost => Err(Failure::lost_midway()),
    }
}

async fn exchange(
    pipeline: &Pipeline,
    lease: &mut HeldLease,
    request_id: &str,
    client_headers: &HeaderMap,
    deadline: Instant,
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
        deadline,
    };
    let mut reply = pipeline.upstream.send(attempt).await.map_err(|error| {
        warn(lease, &error.to_string());
        Failure::unanswered(&error, lease.since_sent())
    })?;
    lease.note_reported(std::mem::take(&mut reply.reported));

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
        warn(
            lease,
            &format!("no usable answer: {}", failure.class.name()),
        );
    }
    answered
}

/// Reads a plain answer to its end.
async fn read(reply: UpstreamReply, lease: &mut HeldLease) -> Result<WholeReply, Failure> {
    lease.mark_first_byte();
    let headers = reply.headers.clone();
    let body = reply.read_all(REPLY_MAX).await?;
    lease.mark_last_byte();
    let inspected = inspect_reply(lease.ask().endpoint(), &body);
    match &inspected.fault {
        None => {}
        Some(ReplyFault::Upstream(error)) => return Err(Failure::of_error(error, lease)),
        Some(ReplyFault::NotJson | ReplyFault::NoAnswer) => {
            return Err(Failure::no_answer(FailureClass::BadAnswer));
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
    let n_choices = ask.n_choices(&lease.model().overrides);
    let mut events = StreamRelay::new(ask.endpoint(), ask.wants_usage(), n_choices);
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
                return Err(Failure::no_answer(FailureClass::BrokenOff));
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
    // Without the body status and headers have to do.
    let body = match timeout(REFUSAL_TIME, reply.read_all(REFUSAL_MAX)).await {
        Ok(body) => body.unwrap_or_default(),
        Err(_) => Bytes::new(),
    };
    warn(lease, &format!("status {}", status.as_u16()));
    Failure::refused(status, &body, retry_after, lease)
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
