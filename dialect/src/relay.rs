//! A streamed answer on its way from the upstream to the client.

mod output;
mod passing;
mod progress;

use bytes::{Bytes, BytesMut};
use serde::de::IgnoredAny;

use crate::canon::{Event, StreamReader, StreamWriter};
use crate::error::{ErrorBody, UpstreamError};
use crate::framing::{Cursor, FRAME_BYTES_MAX, FrameError, Framing};
use crate::openai_chat::{ChunkReader, has_content};
use crate::{Endpoint, Usage};

use self::output::Output;
pub use self::passing::Passing;
use self::progress::Progress;

/// Passes whole frames on, as they are or in another dialect, and learns from them what the lease's settlement needs.
///
/// Fed at any split of the bytes it puts out the same.
#[derive(Debug)]
pub struct StreamRelay {
    framing: Framing,
    way: Way,
    /// The client's words for a premature end.
    last_word: Box<dyn StreamWriter>,
    /// The beginning of a frame whose end has not arrived.
    held: BytesMut,
    cursor: Cursor,
    progress: Progress,
}

/// How frames become the client's.
#[derive(Debug)]
enum Way {
    /// OpenAI chat to itself: keys are looked for, and hardly anything is parsed. The chunk that only reports usage is
    /// taken out unless the client asked for it; the router always asks, since such a stream reports its usage nowhere
    /// else.
    Scan {
        reader: Box<ChunkReader>,
        keep_usage_chunk: bool,
    },
    /// Any other dialect to itself: frames are understood, and go on as they are.
    Observe(Box<dyn StreamReader>),
    Translate(Box<dyn StreamReader>),
    /// Events that nobody here reads, but for those that say that the answer is whole.
    Pass(Passing),
    /// Bytes that are no events at all: the upstream's close is their end.
    Raw,
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
    /// A frame of more than 1 MiB, or 32 MiB where it may be an image.
    TooLong,
    /// A frame that is none of the upstream's dialect.
    Malformed,
}

/// What becomes of one frame.
enum Fate {
    Pass,
    TakeOut,
    Replace(Vec<u8>),
    Fault(StreamFaultKind),
}

impl StreamRelay {
    /// OpenAI chat (or text completions) to itself. `n_choices` is the number of answers that were asked for: they come
    /// interleaved, and each has an end of its own.
    pub fn scan(
        endpoint: Endpoint,
        keep_usage_chunk: bool,
        n_choices: usize,
        last_word: Box<dyn StreamWriter>,
    ) -> Self {
        let way = Way::Scan {
            reader: Box::new(ChunkReader::new(endpoint)),
            keep_usage_chunk,
        };
        Self::new(Framing::Sse, way, n_choices, last_word)
    }

    /// A dialect to itself, byte for byte.
    pub fn observe(
        framing: Framing,
        reader: Box<dyn StreamReader>,
        n_choices: usize,
        last_word: Box<dyn StreamWriter>,
    ) -> Self {
        Self::new(framing, Way::Observe(reader), n_choices, last_word)
    }

    /// One dialect to another.
    pub fn translate(
        framing: Framing,
        reader: Box<dyn StreamReader>,
        n_choices: usize,
        writer: Box<dyn StreamWriter>,
    ) -> Self {
        Self::new(framing, Way::Translate(reader), n_choices, writer)
    }

    /// Events that go on as they are.
    pub fn pass(what: Passing, last_word: Box<dyn StreamWriter>) -> Self {
        Self::new(Framing::Sse, Way::Pass(what), 1, last_word)
    }

    /// Bytes that go on as they come: sound.
    pub fn raw(last_word: Box<dyn StreamWriter>) -> Self {
        Self::new(Framing::Sse, Way::Raw, 1, last_word)
    }

    fn new(framing: Framing, way: Way, n_choices: usize, last_word: Box<dyn StreamWriter>) -> Self {
        Self {
            framing,
            way,
            last_word,
            held: BytesMut::new(),
            cursor: framing.cursor(),
            progress: Progress::new(n_choices),
        }
    }

    /// Takes the next bytes of the upstream and returns those to send on: whole frames, the unfinished one held back.
    ///
    /// Copies nothing where `bytes` begins and ends with a frame and all of them pass.
    ///
    /// # Errors
    ///
    /// The upstream's error, and what is no frame. The relay takes nothing after either.
    pub fn feed(&mut self, bytes: Bytes) -> Result<Bytes, StreamFault> {
        if matches!(self.way, Way::Raw) {
            self.progress.has_content |= !bytes.is_empty();
            return Ok(bytes);
        }
        let len_max = self.frame_len_max();
        let buffer = match self.held.is_empty() {
            true => bytes,
            false => {
                self.held.extend_from_slice(&bytes);
                // Only with the frame's end at hand is the buffer taken apart: until then it just grows.
                if self.cursor.frame_end(&self.held, len_max) == Ok(None) {
                    return Ok(Bytes::new());
                }
                self.cursor = self.framing.cursor();
                self.held.split().freeze()
            }
        };

        let mut output = Output::new(buffer);
        let fault = loop {
            match self.cursor.frame_end(output.rest(), len_max) {
                Ok(None) => break None,
                Err(FrameError::TooLong) => break Some(StreamFaultKind::TooLong),
                Err(FrameError::Malformed) => break Some(StreamFaultKind::Malformed),
                Ok(Some(len)) => {
                    self.cursor = self.framing.cursor();
                    let fate = self.judge(output.rest().get(..len).unwrap_or_default());
                    match fate {
                        Fate::Pass => output.pass(len),
                        Fate::TakeOut => output.take_out(len),
                        Fate::Replace(other) => output.replace(len, &other),
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

    /// The upstream closed in good order: returns the last frame if only its end was missing, and the client's end of a
    /// whole answer.
    ///
    /// What else is held back is half a frame, and is dropped.
    ///
    /// # Errors
    ///
    /// As [`Self::feed`].
    pub fn finish(&mut self) -> Result<Bytes, StreamFault> {
        self.cursor = self.framing.cursor();
        if matches!(self.way, Way::Raw) {
            self.progress.is_done = self.progress.has_content;
        }
        let last = self.held.split().freeze();
        let payload = self.framing.payload(&last);
        let is_whole = payload.is_some_and(|payload| {
            is_done_mark(&payload) || serde_json::from_slice::<IgnoredAny>(&payload).is_ok()
        });
        let fate = match is_whole {
            true => self.judge(&last),
            false => Fate::TakeOut,
        };
        let mut output = match fate {
            Fate::Pass => return Ok(last),
            Fate::TakeOut => Vec::new(),
            Fate::Replace(other) => other,
            Fate::Fault(kind) => {
                return Err(StreamFault {
                    passed: Bytes::new(),
                    kind,
                });
            }
        };
        if self.is_finished() {
            self.end(&mut output);
        }
        Ok(Bytes::from(output))
    }

    /// The client's words for an error in the middle of the stream. The stream has to be broken after them: most SDKs
    /// take a clean end for a whole answer.
    ///
    /// Empty where there are no words: nothing that is said in the middle of a sound would be understood.
    pub fn cut(&mut self, error: &ErrorBody<'_>) -> Bytes {
        if matches!(self.way, Way::Raw) {
            return Bytes::new();
        }
        let mut output = Vec::new();
        self.last_word.cut(error, &mut output);
        Bytes::from(output)
    }

    /// Whether an event with something to read has passed, not only a role or an empty delta.
    ///
    /// From then on the answer cannot come from another upstream. An answer that finishes without a word counts.
    pub fn has_content(&self) -> bool {
        self.progress.has_content
    }

    /// Whether the answer is whole: its end mark or a finish reason of every choice was seen. A stream that ends before
    /// was cut.
    pub fn is_finished(&self) -> bool {
        self.progress.is_finished()
    }

    /// Whether the stream's end mark was seen: nothing comes after it.
    pub fn is_done(&self) -> bool {
        self.progress.is_done
    }

    /// Whether only the upstream's close is the end: an answer that looks whole may have another one behind it.
    pub fn is_ended_by_close(&self) -> bool {
        matches!(self.way, Way::Pass(_) | Way::Raw)
    }

    /// Whether something may be said between two frames.
    pub fn has_frames(&self) -> bool {
        !matches!(self.way, Way::Raw)
    }

    /// The last usage that was reported and can be believed.
    pub fn usage(&self) -> Option<Usage> {
        self.progress.usage
    }

    /// Output tokens so far, for a stream that was cut before it reported them.
    pub fn completion_tokens_estimate(&self) -> u32 {
        self.progress.completion_tokens()
    }

    fn judge(&mut self, frame: &[u8]) -> Fate {
        let Some(payload) = self.framing.payload(frame) else {
            // Keep-alives of the upstream's dialect may break a client of another.
            return match self.way {
                Way::Scan { .. } | Way::Observe(_) | Way::Pass(_) | Way::Raw => Fate::Pass,
                Way::Translate(_) => Fate::TakeOut,
            };
        };
        let progress = &mut self.progress;
        let (reader, is_translating) = match &mut self.way {
            Way::Scan {
                reader,
                keep_usage_chunk,
            } => return scan_chunk(reader, *keep_usage_chunk, progress, &payload),
            Way::Pass(what) => return pass_event(*what, progress, &payload),
            Way::Raw => return Fate::Pass,
            Way::Observe(reader) => {
                self.last_word.begin();
                (reader, false)
            }
            Way::Translate(reader) => (reader, true),
        };
        let mut events = Vec::new();
        if let Err(kind) = reader.read(&payload, &mut events) {
            return Fate::Fault(kind);
        }
        events.iter().for_each(|event| progress.note(event));
        if !is_translating {
            return Fate::Pass;
        }
        let mut output = Vec::new();
        for event in events {
            match event {
                Event::Usage(_) | Event::Done => {}
                event => self.last_word.write(event, &mut output),
            }
        }
        if self.progress.is_done {
            self.end(&mut output);
        }
        Fate::Replace(output)
    }

    /// Gemini's streams and those of Responses may hold an image, which is never translated; chunks of a chat are text.
    fn frame_len_max(&self) -> usize {
        match self.way {
            Way::Observe(_) | Way::Pass(_) => passing::EVENT_BYTES_MAX,
            Way::Scan { .. } | Way::Translate(_) | Way::Raw => FRAME_BYTES_MAX,
        }
    }

    /// Ends the client's stream, once, where it is not the upstream's own.
    fn end(&mut self, output: &mut Vec<u8>) {
        let is_translating = matches!(self.way, Way::Translate(_));
        if is_translating && !std::mem::replace(&mut self.progress.is_ended, true) {
            self.last_word.finish(self.progress.usage, output);
        }
    }
}

/// Judges a chunk of OpenAI's by the keys in it.
fn scan_chunk(
    reader: &ChunkReader,
    keep_usage_chunk: bool,
    progress: &mut Progress,
    data: &[u8],
) -> Fate {
    if is_done_mark(data) {
        progress.is_done = true;
        return Fate::Pass;
    }
    if let Some(error) = reader.error(data) {
        return Fate::Fault(StreamFaultKind::Upstream(Box::new(error)));
    }
    for choice in reader.finished(data) {
        progress.finished.insert(choice);
        progress.has_content = true;
    }
    progress.note_content(reader.content_len(data));
    if !progress.has_content {
        progress.has_content = has_content(data);
    }
    let Some(report) = reader.usage(data) else {
        return Fate::Pass;
    };
    progress.usage = report.usage.or(progress.usage);
    match report.is_alone && !keep_usage_chunk {
        true => Fate::TakeOut,
        false => Fate::Pass,
    }
}

/// Judges an event that nobody here reads.
fn pass_event(what: Passing, progress: &mut Progress, data: &[u8]) -> Fate {
    progress.has_content = true;
    if is_done_mark(data) {
        progress.is_done = true;
        return Fate::Pass;
    }
    let seen = what.look_at(data);
    if let Some(error) = seen.error {
        return Fate::Fault(StreamFaultKind::Upstream(Box::new(error)));
    }
    if seen.is_last {
        progress.finished.insert(0);
    }
    progress.usage = seen.usage.or(progress.usage);
    Fate::Pass
}

fn is_done_mark(data: &[u8]) -> bool {
    data.trim_ascii() == b"[DONE]"
}
