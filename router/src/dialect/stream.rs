//! A streamed answer on its way from the upstream to the client.

mod chunk;

use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};
use serde::de::IgnoredAny;

use self::chunk::ChunkReader;
use super::error::{ErrorBody, ErrorType, UpstreamError};
use super::sse::{self, Cursor, EventTooLong};
use super::tokens::estimate_tokens;
use super::{Endpoint, Usage};

/// Passes whole events on, byte for byte, and learns from them what the lease's settlement needs.
///
/// Fed at any split of the bytes it puts out the same. The chunk that only reports usage is taken out unless the
/// client asked for it; the router always asks, since a stream reports its usage nowhere else.
#[derive(Debug)]
pub struct StreamRelay {
    keep_usage_chunk: bool,
    reader: ChunkReader,
    /// The beginning of an event whose end has not arrived.
    held: BytesMut,
    cursor: Cursor,
    has_content: bool,
    /// How many choices the answer has, and those that came to their end.
    n_choices: usize,
    finished: BTreeSet<u64>,
    is_done: bool,
    usage: Option<Usage>,
    /// Events with content; most providers send one token in each.
    n_content_events: usize,
    n_content_bytes: usize,
}

/// Why a stream cannot go on. It ended for the client where `passed` ends.
#[derive(Debug, PartialEq, Eq)]
pub struct StreamFault {
    /// The whole events before the fault; still to be sent on.
    pub passed: Bytes,
    pub kind: StreamFaultKind,
}

#[derive(Debug, PartialEq, Eq)]
pub enum StreamFaultKind {
    /// The upstream sent an error event. It is not passed on: it may name the upstream's account.
    Upstream(Box<UpstreamError>),
    /// An event of more than 1 MiB.
    EventTooLong,
}

/// What becomes of one event.
enum Fate {
    Pass,
    TakeOut,
    Fault(StreamFaultKind),
}

impl StreamRelay {
    /// `n_choices` is the number of answers that were asked for: they come interleaved, and each has an end of its own.
    pub fn new(endpoint: Endpoint, keep_usage_chunk: bool, n_choices: usize) -> Self {
        Self {
            keep_usage_chunk,
            reader: ChunkReader::new(endpoint),
            held: BytesMut::new(),
            cursor: Cursor::default(),
            has_content: false,
            n_choices,
            finished: BTreeSet::new(),
            is_done: false,
            usage: None,
            n_content_events: 0,
            n_content_bytes: 0,
        }
    }

    /// Takes the next bytes of the upstream and returns those to send on: whole events, the unfinished one held back.
    ///
    /// Copies nothing where `bytes` begins and ends with an event and all of them pass.
    ///
    /// # Errors
    ///
    /// The upstream's error event, and an event too long to wait for. The relay takes nothing after either.
    pub fn feed(&mut self, bytes: Bytes) -> Result<Bytes, StreamFault> {
        let buffer = match self.held.is_empty() {
            true => bytes,
            false => {
                self.held.extend_from_slice(&bytes);
                // Only with the event's end at hand is the buffer taken apart: until then it just grows.
                if self.cursor.event_end(&self.held) == Ok(None) {
                    return Ok(Bytes::new());
                }
                self.cursor = Cursor::default();
                self.held.split().freeze()
            }
        };

        let mut output = Output::new(buffer);
        let fault = loop {
            match self.cursor.event_end(output.rest()) {
                Ok(None) => break None,
                Err(EventTooLong) => break Some(StreamFaultKind::EventTooLong),
                Ok(Some(len)) => {
                    self.cursor = Cursor::default();
                    match self.judge(output.rest().get(..len).unwrap_or_default()) {
                        Fate::Pass => output.pass(len),
                        Fate::TakeOut => output.take_out(len),
                        Fate::Fault(kind) => break Some(kind),
                    }
                }
            }
        };
        match fault {
            None => {
                self.held.extend_from_slice(output.rest());
                Ok(output.finish())
            }
            Some(kind) => Err(StreamFault {
                passed: output.finish(),
                kind,
            }),
        }
    }

    /// The upstream closed in good order: returns the last event if only its blank line was missing.
    ///
    /// What else is held back is half an event, and is dropped.
    ///
    /// # Errors
    ///
    /// As [`Self::feed`].
    pub fn finish(&mut self) -> Result<Bytes, StreamFault> {
        self.cursor = Cursor::default();
        let last = self.held.split().freeze();
        let is_whole = sse::data(&last).is_some_and(|data| {
            is_done_mark(&data) || serde_json::from_slice::<IgnoredAny>(&data).is_ok()
        });
        if !is_whole {
            return Ok(Bytes::new());
        }
        match self.judge(&last) {
            Fate::Pass => Ok(last),
            Fate::TakeOut => Ok(Bytes::new()),
            Fate::Fault(kind) => Err(StreamFault {
                passed: Bytes::new(),
                kind,
            }),
        }
    }

    /// Whether an event with something to read has passed, not only a role or an empty delta.
    ///
    /// From then on the answer cannot come from another upstream. An answer that finishes without a word counts.
    pub fn has_content(&self) -> bool {
        self.has_content
    }

    /// Whether the answer is whole: `[DONE]` or a finish reason of every choice was seen. A stream that ends before was
    /// cut.
    pub fn is_finished(&self) -> bool {
        self.is_done || self.finished.len() >= self.n_choices
    }

    /// Whether `[DONE]` was seen: nothing comes after it.
    pub fn is_done(&self) -> bool {
        self.is_done
    }

    /// The last usage that was reported and can be believed.
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// Output tokens so far, for a stream that was cut before it reported them.
    pub fn completion_tokens_estimate(&self) -> u32 {
        let events = u32::try_from(self.n_content_events).unwrap_or(u32::MAX);
        events.max(estimate_tokens(self.n_content_bytes))
    }

    fn judge(&mut self, event: &[u8]) -> Fate {
        let Some(data) = sse::data(event) else {
            return Fate::Pass;
        };
        if is_done_mark(&data) {
            self.is_done = true;
            return Fate::Pass;
        }
        if let Some(error) = self.reader.error(&data) {
            return Fate::Fault(StreamFaultKind::Upstream(Box::new(error)));
        }
        for choice in self.reader.finished(&data) {
            self.finished.insert(choice);
            self.has_content = true;
        }
        let n_content_bytes = self.reader.content_len(&data);
        if n_content_bytes > 0 {
            self.n_content_events += 1;
            self.n_content_bytes += n_content_bytes;
            self.has_content = true;
        }
        if !self.has_content {
            self.has_content = chunk::has_content(&data);
        }
        let Some(report) = self.reader.usage(&data) else {
            return Fate::Pass;
        };
        self.usage = report.usage.or(self.usage);
        match report.is_alone && !self.keep_usage_chunk {
            true => Fate::TakeOut,
            false => Fate::Pass,
        }
    }
}

fn is_done_mark(data: &[u8]) -> bool {
    data.trim_ascii() == b"[DONE]"
}

/// Cuts a buffer of events into what passes and what does not.
struct Output {
    buffer: Bytes,
    /// Of the bytes before `at`, those from `start` on pass, after what is in `joined`.
    start: usize,
    at: usize,
    /// What passed before something was taken out.
    joined: BytesMut,
}

impl Output {
    fn new(buffer: Bytes) -> Self {
        Self {
            buffer,
            start: 0,
            at: 0,
            joined: BytesMut::new(),
        }
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get(self.at..).unwrap_or_default()
    }

    fn pass(&mut self, len: usize) {
        self.at += len;
    }

    fn take_out(&mut self, len: usize) {
        let passing = self.passing();
        self.joined.extend_from_slice(&passing);
        self.at += len;
        self.start = self.at;
    }

    fn passing(&self) -> Bytes {
        self.buffer.slice(self.start..self.at)
    }

    fn finish(mut self) -> Bytes {
        let passing = self.passing();
        if self.joined.is_empty() {
            return passing;
        }
        self.joined.extend_from_slice(&passing);
        self.joined.freeze()
    }
}

/// The event that tells a client of a stream's premature end.
///
/// The stream has to be broken after it, without `[DONE]`: most SDKs take a clean end for a whole answer.
pub fn cut_stream_event(message: &str) -> Bytes {
    let error = ErrorBody {
        message,
        kind: ErrorType::Server,
        param: None,
        code: Some("stream_interrupted"),
    };
    Bytes::from(format!("data: {}\n\n", error.to_json()))
}

#[cfg(test)]
mod tests;
