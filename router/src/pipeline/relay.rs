//! Upstream events + lease → the client's bytes.
//!
//! The lease rides in here: whoever drops a [`Relay`] settles it and cancels the upstream. A stream that breaks off ends
//! with an error event and an aborted body, never with `[DONE]` and never cleanly: clients take a clean end for a
//! complete answer.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{Stream, unfold};
use shared::config::Dialect;
use shared::lease::Outcome;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::pipeline::dispatch::OpenStream;
use crate::pipeline::failure::Failure;
use crate::pipeline::report::{End, Report};
use crate::pipeline::settle::{Charge, HeldLease};
use crate::upstream::{FailureClass, UpstreamReply};
use dialect::{ErrorBody, ErrorType, StreamFault, StreamRelay, wire};

/// How long an upstream that has finished its answer may take to report usage.
const USAGE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long one that has said `[DONE]` may take to close the stream; only then its connection can be used again.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(250);

/// How often a client is told that its silent stream lives: below the 30 s after which the most impatient proxies hang up.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long the error event has to get out: what is still buffered when a body fails is thrown away.
const LAST_WORD_TIME: Duration = Duration::from_millis(50);

/// A stream on its way to the client.
pub(crate) struct Relay {
    /// `None` once it was settled.
    held: Option<Held>,
    events: StreamRelay,
    /// Completes when an `exclusive` model's lease may be somebody else's.
    lost: BoxFuture<'static, ()>,
    /// Cancelled when the drain has run out.
    cut: CancellationToken,
    report: Report,
    /// What the client's dialect says between two frames.
    keep_alive: Bytes,
    state: State,
}

/// The body was broken off on purpose: the connection is closed without the chunked body's end.
#[derive(Debug, thiserror::Error)]
#[error("the upstream's stream broke off")]
pub(crate) struct BrokenOff;

/// The slot, and what fills it.
struct Held {
    reply: UpstreamReply,
    /// `None` where no slot was taken.
    lease: Option<HeldLease>,
}

enum State {
    /// What was held back goes first.
    Head(Bytes),
    Flowing,
    /// The error event was sent.
    Broken,
    Done,
}

/// Why a stream breaks off.
enum Break {
    Upstream(Box<Failure>),
    Draining,
    LeaseLost,
}

impl Break {
    fn of(class: FailureClass) -> Self {
        Self::Upstream(Box::new(Failure::no_answer(class)))
    }
}

impl Relay {
    pub(crate) fn new(
        stream: OpenStream,
        lease: Option<HeldLease>,
        dialect: Dialect,
        cut: CancellationToken,
        report: Report,
    ) -> Self {
        let OpenStream {
            reply,
            is_faithful: _,
            events,
            head,
        } = stream;
        Self {
            lost: match &lease {
                Some(lease) => lease.lost(),
                None => std::future::pending().boxed(),
            },
            keep_alive: wire::keep_alive(dialect),
            held: Some(Held { reply, lease }),
            events,
            cut,
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
                sleep(LAST_WORD_TIME).await;
                self.state = State::Done;
                return Some(Err(BrokenOff));
            }
            State::Done => {
                self.state = State::Done;
                return None;
            }
        }
        loop {
            let next = timeout(KEEP_ALIVE, self.next_chunk()).await;
            let Ok(next) = next else {
                match self.events.has_frames() {
                    true => return Some(Ok(self.keep_alive.clone())),
                    false => continue,
                }
            };
            let passed = match next {
                Ok(Some(chunk)) => self.events.feed(chunk),
                Ok(None) => return self.finish().map(Ok),
                Err(why) => return Some(Ok(self.break_off(&why, Bytes::new()))),
            };
            match passed {
                Ok(events) => {
                    self.note_first_byte();
                    if !events.is_empty() {
                        return Some(Ok(events));
                    }
                }
                Err(fault) => {
                    let why = self.blame(&fault);
                    return Some(Ok(self.break_off(&why, fault.passed)));
                }
            }
        }
    }

    /// Waits for the upstream; `None` is its end, in good order or behind a finished answer.
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, Break> {
        let Some(Held { reply, .. }) = &mut self.held else {
            return Ok(None);
        };
        let is_done = self.events.is_done();
        let is_finished = self.events.is_finished();
        let is_over = is_done || is_finished && !self.events.is_ended_by_close();
        let patience = if is_done {
            CLOSE_TIMEOUT
        } else {
            USAGE_TIMEOUT
        };
        tokio::select! {
            biased;
            chunk = reply.next_chunk() => match chunk.transpose() {
                Ok(chunk) => Ok(chunk.filter(|_| !is_done)),
                Err(_) if is_finished => Ok(None),
                Err(error) => Err(Break::of(error.class())),
            },
            () = sleep(patience), if is_over => Ok(None),
            () = self.cut.cancelled() => Err(Break::Draining),
            () = &mut self.lost => Err(Break::LeaseLost),
        }
    }

    /// The upstream has closed: passes on what was left, unless the answer is not whole.
    fn finish(&mut self) -> Option<Bytes> {
        let rest = match self.events.finish() {
            Ok(rest) => rest,
            Err(fault) => {
                let why = self.blame(&fault);
                return Some(self.break_off(&why, fault.passed));
            }
        };
        if !self.events.is_finished() {
            return Some(self.break_off(&Break::of(FailureClass::BrokenOff), rest));
        }
        self.state = State::Done;
        self.settle(Outcome::Served, End::Served);
        (!rest.is_empty()).then_some(rest)
    }

    /// What an error in the stream says of the key.
    fn blame(&self, fault: &StreamFault) -> Break {
        match &self.held {
            Some(Held {
                lease: Some(lease), ..
            }) => Break::Upstream(Box::new(Failure::of_fault(fault, lease))),
            Some(Held { lease: None, .. }) | None => Break::of(FailureClass::BrokenOff),
        }
    }

    /// Settles the lease and makes the event that tells the client; the aborted body comes after it.
    fn break_off(&mut self, why: &Break, passed: Bytes) -> Bytes {
        self.state = State::Broken;
        let message = match why {
            Break::Upstream(failure) if failure.class == FailureClass::TimedOut => {
                "The upstream's stream took too long and was broken off."
            }
            Break::Upstream(_) => "The upstream's stream broke off before it was finished.",
            Break::Draining => "This router is shutting down and could wait no longer.",
            Break::LeaseLost => {
                "The key of this exclusive model may have been given to somebody else."
            }
        };
        let ended = self.end(End::Cut);
        match (ended, why) {
            (Some((lease, charge)), Break::Upstream(failure)) => lease.fail(failure, charge),
            (Some((lease, charge)), Break::Draining | Break::LeaseLost) => {
                lease.end(Outcome::ClientAbort, charge);
            }
            (None, _) => {}
        }
        let event = self.events.cut(&ErrorBody {
            message,
            kind: ErrorType::Server,
            param: None,
            code: Some("stream_interrupted"),
        });
        if passed.is_empty() {
            return event;
        }
        let mut last = BytesMut::from(passed);
        last.extend_from_slice(&event);
        last.freeze()
    }

    fn note_first_byte(&mut self) {
        if self.events.has_content()
            && let Some(Held {
                lease: Some(lease), ..
            }) = &mut self.held
        {
            lease.mark_first_byte();
        }
    }

    fn settle(&mut self, outcome: Outcome, end: End) {
        if let Some((lease, charge)) = self.end(end) {
            lease.end(outcome, charge);
        }
    }

    /// Closes the upstream's stream and tells the report; what is left is the lease, if there is one, and its charge.
    fn end(&mut self, end: End) -> Option<(HeldLease, Charge)> {
        let Held { reply, lease } = self.held.take()?;
        // The provider hears of the end before somebody else gets the slot.
        drop(reply);
        let usage = self.events.usage();
        self.report
            .set_first_byte(lease.as_ref().and_then(HeldLease::first_byte));
        self.report.set_usage(usage);
        self.report.end(end);
        let lease = lease?;
        let charge = match usage {
            Some(usage) => Charge::Reported(usage),
            None => lease.charge_so_far(self.events.completion_tokens_estimate()),
        };
        Some((lease, charge))
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
