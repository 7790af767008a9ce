//! Upstream events + lease → the client's bytes.
//!
//! The lease rides in here: whoever drops a [`Relay`] settles it and cancels the upstream. A stream that breaks off ends
//! with an error event and an aborted body, never with `[DONE]` and never cleanly: clients take a clean end for a
//! complete answer.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{Stream, unfold};
use shared::lease::Outcome;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::dialect::stream::{StreamRelay, cut_stream_event};
use crate::dialect::usage::Usage;
use crate::pipeline::dispatch::OpenStream;
use crate::pipeline::report::{End, Report};
use crate::pipeline::settle::{Charge, HeldLease};
use crate::upstream::UpstreamReply;

/// How long an upstream that has finished its answer may take to close the stream.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// A stream on its way to the client.
#[derive(Debug)]
pub(crate) struct Relay {
    reply: UpstreamReply,
    events: StreamRelay,
    /// `None` once it was settled.
    lease: Option<HeldLease>,
    lost: Lost,
    limits: RelayLimits,
    report: Report,
    state: State,
}

/// What ends a stream from our side.
#[derive(Clone, Debug)]
pub(crate) struct RelayLimits {
    /// Between two chunks.
    pub(crate) idle: Duration,
    pub(crate) deadline: Instant,
    /// The drain has run out.
    pub(crate) cut: CancellationToken,
}

/// The body was broken off on purpose: the connection is closed without the chunked body's end.
#[derive(Debug, thiserror::Error)]
#[error("the upstream's stream broke off")]
pub(crate) struct BrokenOff;

#[derive(Debug)]
enum State {
    /// What was held back goes first.
    Head(Bytes),
    Flowing,
    /// The error event was sent.
    Broken,
    Done,
}

struct Lost(BoxFuture<'static, ()>);

/// Why a stream breaks off.
#[derive(Clone, Copy)]
enum Break {
    Upstream,
    Idle,
    Deadline,
    Draining,
    LeaseLost,
}

impl Relay {
    pub(crate) fn new(
        stream: OpenStream,
        lease: HeldLease,
        limits: RelayLimits,
        report: Report,
    ) -> Self {
        let OpenStream {
            reply,
            events,
            head,
        } = stream;
        Self {
            reply,
            events,
            lost: Lost(lease.lost()),
            lease: Some(lease),
            limits,
            report,
            state: State::Head(head),
        }
    }

    pub(crate) fn into_stream(self) -> impl Stream<Item = Result<Bytes, BrokenOff>> + Send {
        unfold(self, |mut relay| async move {
            let bytes = relay.next().await?;
            Some((bytes, relay))
        })
    }

    async fn next(&mut self) -> Option<Result<Bytes, BrokenOff>> {
        match std::mem::replace(&mut self.state, State::Flowing) {
            State::Head(head) if !head.is_empty() => return Some(Ok(head)),
            State::Head(_) | State::Flowing => {}
            State::Broken => {
                self.state = State::Done;
                return Some(Err(BrokenOff));
            }
            State::Done => {
                self.state = State::Done;
                return None;
            }
        }
        loop {
            let chunk = match self.next_chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => {
                    self.state = State::Done;
                    self.settle(Outcome::Served, End::Served);
                    return None;
                }
                Err(why) => return Some(Ok(self.break_off(why))),
            };
            match self.events.feed(chunk) {
                Ok(events) if events.is_empty() => {}
                Ok(events) => {
                    if self.events.has_content()
                        && let Some(lease) = &mut self.lease
                    {
                        lease.mark_first_byte();
                    }
                    return Some(Ok(events));
                }
                Err(_) => return Some(Ok(self.break_off(Break::Upstream))),
            }
        }
    }

    /// Waits for the upstream; `None` is the end of a finished answer.
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, Break> {
        let is_finished = self.events.is_finished();
        let now = Instant::now();
        if now >= self.limits.deadline {
            return Err(Break::Deadline);
        }
        let idle = if is_finished {
            CLOSE_TIMEOUT
        } else {
            self.limits.idle
        };
        let idle_until = now + idle;
        let until = idle_until.min(self.limits.deadline);
        tokio::select! {
            biased;
            chunk = self.reply.next_chunk() => match chunk {
                Ok(Some(chunk)) => Ok(Some(chunk)),
                Ok(None) | Err(_) if is_finished => Ok(None),
                Ok(None) | Err(_) => Err(Break::Upstream),
            },
            () = sleep_until(until) => match is_finished {
                true => Ok(None),
                false if until < idle_until => Err(Break::Deadline),
                false => Err(Break::Idle),
            },
            () = self.limits.cut.cancelled() => Err(Break::Draining),
            () = &mut self.lost.0 => Err(Break::LeaseLost),
        }
    }

    /// Settles the lease and makes the event that tells the client; the aborted body comes after it.
    fn break_off(&mut self, why: Break) -> Bytes {
        self.state = State::Broken;
        let (outcome, message) = match why {
            Break::Upstream => (
                Outcome::Failed,
                "The upstream's stream broke off before it was finished.",
            ),
            Break::Idle => (
                Outcome::Failed,
                "The upstream's stream fell silent before it was finished.",
            ),
            Break::Deadline => (
                Outcome::Failed,
                "The answer took longer than `timeouts.total` allows.",
            ),
            Break::Draining => (
                Outcome::ClientAbort,
                "This router is shutting down and could wait no longer.",
            ),
            Break::LeaseLost => (
                Outcome::ClientAbort,
                "The key of this exclusive model may have been given to somebody else.",
            ),
        };
        self.settle(outcome, End::Cut);
        cut_stream_event(message)
    }

    fn settle(&mut self, outcome: Outcome, end: End) {
        let Some(lease) = self.lease.take() else {
            return;
        };
        let usage = self.events.usage();
        self.report.set_first_byte(lease.first_byte());
        self.report.set_usage(usage);
        self.report.end(end);
        let charge = self.charge(&lease, usage);
        lease.end(outcome, charge);
    }

    fn charge(&self, lease: &HeldLease, usage: Option<Usage>) -> Charge {
        match usage {
            Some(usage) => Charge::Reported(usage),
            None => Charge::Counted {
                completion_tokens: self.events.completion_tokens_estimate(lease.counter()),
            },
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // A client that leaves after the last content has got all it asked for.
        if self.events.is_finished() {
            self.settle(Outcome::Served, End::Served);
        } else {
            self.settle(Outcome::ClientAbort, End::ClientAbort);
        }
    }
}

impl std::fmt::Debug for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lost")
    }
}
