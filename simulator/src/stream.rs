//! A stream of server-sent events, paced like a provider that generates.
//!
//! Token `k` is due `k / tokens_per_second` after the first byte. What is due goes out together, so a pace of 0 costs
//! one frame for a short answer.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use tokio::time::{Instant, Sleep};

use crate::behaviour::{Behaviour, Break, BreakKind};
use crate::flight::Flight;
use crate::generation::{DeltaTemplate, Generation};
use crate::reply::{Breaking, ConnectionCut};

/// A frame is handed over when it has grown to this.
const FRAME_BYTES: usize = 32 * 1024;

/// What OpenAI sends in a stream that cannot go on.
const ERROR_EVENT: &[u8] =
    b"data: {\"error\":{\"message\":\"The server had an error while processing your request.\",\
    \"type\":\"server_error\",\"param\":null,\"code\":null}}\n\n";

pub(crate) struct PacedStream {
    generation: Generation,
    templates: Vec<DeltaTemplate>,
    behaviour: Behaviour,
    place_of_break: Option<Break>,
    flight: Option<Flight>,
    started: Instant,
    sleep: Option<Pin<Box<Sleep>>>,
    stage: Stage,
}

enum Stage {
    Opening,
    /// The next token to send.
    Talking(u32),
    Breaking(Breaking),
    Over,
}

impl PacedStream {
    pub(crate) fn new(generation: Generation, behaviour: Behaviour, flight: Flight) -> Self {
        Self {
            templates: generation.delta_templates(),
            place_of_break: behaviour.break_in(generation.tokens),
            generation,
            behaviour,
            flight: Some(flight),
            started: Instant::now(),
            sleep: None,
            stage: Stage::Opening,
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ConnectionCut>>> {
        let mut out = Vec::new();
        loop {
            match &mut self.stage {
                Stage::Opening => {
                    self.generation.write_opening(&mut out);
                    self.stage = Stage::Talking(0);
                }
                Stage::Talking(next) => {
                    let token = *next;
                    if let Some(place) = self.place_of_break
                        && place.after == token
                    {
                        match place.kind {
                            BreakKind::End | BreakKind::Error => {
                                if place.kind == BreakKind::Error {
                                    out.extend_from_slice(ERROR_EVENT);
                                }
                                self.finish();
                                self.stage = Stage::Over;
                                if !out.is_empty() {
                                    return frame(out);
                                }
                            }
                            BreakKind::Cut | BreakKind::Reset | BreakKind::Stall => {
                                self.stage = Stage::Breaking(Breaking::new(place.kind));
                            }
                        }
                        continue;
                    }
                    if let Some(garbage) = self.behaviour.garbage.take_if(|it| it.after == token) {
                        garbage.write(&mut out);
                        if out.len() >= FRAME_BYTES {
                            return frame(out);
                        }
                    }
                    let due = self.behaviour.pace(token);
                    if out.len() >= FRAME_BYTES {
                        return frame(out);
                    }
                    if !self.is_due(due) {
                        if !out.is_empty() {
                            return frame(out);
                        }
                        ready!(self.poll_until(cx, due));
                    }
                    if token == self.generation.tokens {
                        self.generation.write_end(&mut out);
                        self.finish();
                        self.stage = Stage::Over;
                        return frame(out);
                    }
                    for template in &self.templates {
                        template.write(&mut out, token);
                    }
                    self.stage = Stage::Talking(token + 1);
                }
                Stage::Breaking(breaking) => {
                    if !out.is_empty() {
                        return frame(out);
                    }
                    let cut = ready!(breaking.poll_cut(cx));
                    self.finish();
                    self.stage = Stage::Over;
                    return Poll::Ready(Some(Err(cut)));
                }
                Stage::Over => return Poll::Ready(None),
            }
        }
    }

    fn is_due(&self, due: Duration) -> bool {
        due.is_zero() || self.started.elapsed() >= due
    }

    fn poll_until(&mut self, cx: &mut Context<'_>, due: Duration) -> Poll<()> {
        let due = self.started + due;
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if sleep.deadline() != due {
            sleep.as_mut().reset(due);
        }
        sleep.as_mut().poll(cx)
    }

    fn finish(&mut self) {
        if let Some(flight) = self.flight.take() {
            flight.finish();
        }
    }
}

fn frame(bytes: Vec<u8>) -> Poll<Option<Result<Frame<Bytes>, ConnectionCut>>> {
    Poll::Ready(Some(Ok(Frame::data(bytes.into()))))
}
