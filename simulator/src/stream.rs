//! A stream of frames, paced like a provider that generates; [`StreamWriter`] is what each dialect makes them with.
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

use crate::answer::{Answer, Cursor, Piece};
use crate::behaviour::{Behaviour, Break, BreakKind};
use crate::flight::Flight;
use crate::reply::{Breaking, ConnectionCut};

/// A frame is handed over when it has grown to this.
const FRAME_BYTES: usize = 32 * 1024;

/// Makes a stream of an answer, in one dialect.
pub(crate) trait StreamWriter: Send {
    /// What comes before the first token.
    fn open(&mut self, answer: &Answer, out: &mut Vec<u8>);

    /// One token, and what begins or ends with it.
    fn piece(&mut self, answer: &Answer, piece: &Piece<'_>, out: &mut Vec<u8>);

    /// What comes after the last token.
    fn end(&mut self, answer: &Answer, out: &mut Vec<u8>);

    /// The error of a stream that cannot go on.
    fn error(&mut self, answer: &Answer, out: &mut Vec<u8>);

    /// What ends a frame.
    fn frame_end(&self) -> &'static [u8] {
        b"\n\n"
    }

    /// Whether the stream is made of lines.
    fn is_text(&self) -> bool {
        true
    }
}

pub(crate) struct PacedStream {
    answer: Answer,
    writer: Box<dyn StreamWriter>,
    behaviour: Behaviour,
    place_of_break: Option<Break>,
    flight: Option<Flight>,
    started: Instant,
    sleep: Option<Pin<Box<Sleep>>>,
    stage: Stage,
}

enum Stage {
    Opening,
    /// The next token to send, and how many have been sent.
    Talking(Cursor, u32),
    Breaking(Breaking),
    Over,
}

impl PacedStream {
    pub(crate) fn new(
        answer: Answer,
        writer: Box<dyn StreamWriter>,
        behaviour: Behaviour,
        flight: Flight,
    ) -> Self {
        Self {
            place_of_break: behaviour.break_in(answer.tokens()),
            answer,
            writer,
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

    /// Whether it is made of lines.
    pub(crate) fn is_text(&self) -> bool {
        self.writer.is_text()
    }

    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ConnectionCut>>> {
        let mut out = Vec::new();
        loop {
            match &mut self.stage {
                Stage::Opening => {
                    self.writer.open(&self.answer, &mut out);
                    self.stage = Stage::Talking(Cursor::default(), 0);
                }
                Stage::Talking(cursor, sent) => {
                    let (mut cursor, token) = (*cursor, *sent);
                    if let Some(place) = self.place_of_break
                        && place.after == token
                    {
                        match place.kind {
                            BreakKind::End | BreakKind::Error => {
                                if place.kind == BreakKind::Error {
                                    self.writer.error(&self.answer, &mut out);
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
                        garbage.write(&mut out, self.writer.frame_end());
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
                    match self.answer.next_piece(&mut cursor) {
                        Some(piece) => {
                            self.writer.piece(&self.answer, &piece, &mut out);
                            self.stage = Stage::Talking(cursor, token + 1);
                        }
                        None => {
                            self.writer.end(&self.answer, &mut out);
                            self.finish();
                            self.stage = Stage::Over;
                            return frame(out);
                        }
                    }
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
