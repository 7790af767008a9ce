//! Lease and request → the upstream's answer, at its first content byte.
//!
//! Nothing has reached the client until then, so every failure here may go round again at another candidate; whether
//! it does is for `answer` to say.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use tokio::time::{Instant, timeout, timeout_at};

use crate::pipeline::Pipeline;
use crate::pipeline::failure::{Failure, RefusedReply};
use crate::pipeline::relay::KEEP_ALIVE;
use crate::pipeline::settle::{Charge, HeldLease};
use crate::upstream::{Attempt, FailureClass, UpstreamReply};
use dialect::canon::AnswerFacts;
use dialect::{Endpoint, Exchange, Operation, ReplyFault, StreamRelay, UpstreamError, Usage};

/// The largest plain answer that is taken: 2,048 embeddings of 3,072 numbers are about 80 MB of text.
pub(crate) const REPLY_MAX: usize = 128 * 1024 * 1024;

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
    /// Whether the upstream's bytes go on as they are.
    pub(crate) is_faithful: bool,
    pub(crate) body: Bytes,
    pub(crate) charge: Charge,
}

/// A stream that has begun to say something.
#[derive(Debug)]
pub(crate) struct OpenStream {
    pub(crate) reply: UpstreamReply,
    /// Whether the upstream's bytes go on as they are.
    pub(crate) is_faithful: bool,
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
    let exchange = lease
        .wording()
        .exchange(lease.model(), lease.candidate())
        .map_err(Failure::unspeakable)?;
    lease.mark_sent();
    let candidate = lease.candidate();
    let form = lease.wording().form();
    let form = form
        .map(|form| form.for_upstream(&candidate.upstream_model, lease.model().overrides.fields()));
    let attempt = Attempt {
        base_url: &candidate.provider.base_url,
        provider_headers: &candidate.provider.headers,
        secret: &candidate.secret,
        manners: candidate.provider.manners,
        api_version: candidate.provider.api_version.as_deref(),
        model: &candidate.upstream_model,
        exchange: &exchange,
        form: form.as_ref(),
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
    let answered = match way_of(&reply, &exchange) {
        Way::Whole => read(reply, &exchange, lease).await.map(Reply::Whole),
        Way::Events => {
            let events = exchange.stream(facts(lease));
            open(reply, &exchange, events, lease).await
        }
        Way::Sound => {
            let sound = exchange.sound(facts(lease));
            open(reply, &exchange, sound, lease).await
        }
        Way::Wrong => Err(misplaced(reply, lease).await),
    };
    match &answered {
        Ok(reply) if exchange.upstream() == Endpoint::Responses && exchange.is_faithful() => {
            let head = match reply {
                Reply::Whole(whole) => &whole.body,
                Reply::Stream(stream) => &stream.head,
            };
            pipeline.responses.note(head, &lease.candidate().label);
        }
        Ok(_) => {}
        Err(failure) => {
            let class = failure.class.name();
            warn(lease, &format!("no usable answer: {class}"));
        }
    }
    answered
}

/// How an answer comes.
enum Way {
    Whole,
    Events,
    Sound,
    /// Another document than was asked for.
    Wrong,
}

fn way_of(reply: &UpstreamReply, exchange: &Exchange) -> Way {
    let wants_stream = exchange.is_stream() || exchange.is_sound();
    let is_page = reply.is_of_type("text/html");
    if !wants_stream {
        Way::Whole
    } else if reply.is_stream_of(exchange.framing()) {
        Way::Events
    } else if is_page || !exchange.may_come_whole() {
        Way::Wrong
    } else if exchange.is_sound() && !reply.is_of_type("application/json") {
        Way::Sound
    } else {
        Way::Whole
    }
}

/// What is in the place of a stream, which mostly is an error.
async fn misplaced(reply: UpstreamReply, lease: &HeldLease) -> Failure {
    match reply.read_all(REFUSAL_MAX).await {
        Ok(body) => Failure::of_error(&UpstreamError::parse(&body).unwrap_or_default(), lease),
        Err(error) => error.into(),
    }
}

/// Reads a plain answer to its end.
async fn read(
    reply: UpstreamReply,
    exchange: &Exchange,
    lease: &mut HeldLease,
) -> Result<WholeReply, Failure> {
    lease.mark_first_byte();
    let headers = reply.headers.clone();
    let body = reply.read_all(REPLY_MAX).await?;
    lease.mark_last_byte();
    let answered = exchange.answer(body, facts(lease), lease.counter());
    let answered = answered.map_err(|fault| match fault {
        ReplyFault::Upstream(error) => Failure::of_error(&error, lease),
        ReplyFault::NotJson | ReplyFault::NoAnswer => Failure::no_answer(FailureClass::BadAnswer),
    })?;
    let charge = match answered.usage {
        Some(usage) => Charge::Reported(usage),
        // Providers count for nothing.
        None if exchange.operation() == Operation::TokenCount => Charge::Reported(Usage::default()),
        // What one in the background will cost is told to whoever looks it up.
        None => lease.charge_so_far(answered.completion_tokens),
    };
    Ok(WholeReply {
        headers,
        is_faithful: exchange.is_faithful(),
        body: answered.body,
        charge,
    })
}

fn facts(lease: &HeldLease) -> AnswerFacts {
    AnswerFacts {
        prompt_tokens: lease.ask().prompt_tokens(lease.counter()),
        ..lease.wording().facts().clone()
    }
}

/// Reads a stream to its first content, holding back what comes before: a role, an empty delta.
///
/// A client whose answer is still thought about is not kept waiting for its headers beyond [`KEEP_ALIVE`]: proxies would
/// hang up. From then on it is kept alive, and a failure is told in the stream.
async fn open(
    mut reply: UpstreamReply,
    exchange: &Exchange,
    mut events: StreamRelay,
    lease: &mut HeldLease,
) -> Result<Reply, Failure> {
    let mut head = BytesMut::new();
    let mut hold_until = Instant::now() + KEEP_ALIVE;
    let mut has_begun = false;
    loop {
        let Ok(chunk) = timeout_at(hold_until, reply.next_chunk()).await else {
            break;
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
        if !head.is_empty() && !std::mem::replace(&mut has_begun, true) {
            hold_until = hold_until.min(Instant::now() + HOLD_TIME_MAX);
        }
    }
    Ok(Reply::Stream(Box::new(OpenStream {
        reply,
        is_faithful: exchange.is_faithful(),
        events,
        head: head.freeze(),
    })))
}

/// Reads an upstream's refusal and says whether it is about the request or about the key.
async fn refusal(reply: UpstreamReply, lease: &HeldLease) -> Failure {
    let refusal = read_refusal(reply).await;
    warn(lease, &format!("status {}", refusal.status.as_u16()));
    let client = lease.wording().endpoint().dialect();
    Failure::refused(&refusal, client, lease.candidate())
}

pub(crate) async fn read_refusal(reply: UpstreamReply) -> RefusedReply {
    let status = reply.status;
    let retry_after = reply.retry_after;
    let kind = reply.error_kind.clone();
    // Without the body status and headers have to do.
    let body = match timeout(REFUSAL_TIME, reply.read_all(REFUSAL_MAX)).await {
        Ok(body) => body.unwrap_or_default(),
        Err(_) => Bytes::new(),
    };
    RefusedReply {
        status,
        body,
        kind,
        retry_after,
    }
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
