//! A streamed answer, piece by piece.

use std::fmt;

use serde_json::Value;

use super::{Finish, Proof};
use crate::relay::StreamFaultKind;
use crate::{ErrorBody, Usage};

/// One step of a streamed answer. `choice` counts the answers from 0, `call` the tool calls of one answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Comes first, if at all; a repeated one changes nothing.
    Start {
        id: Option<String>,
        model: Option<String>,
    },
    Text {
        choice: u32,
        text: String,
    },
    Refusal {
        choice: u32,
        text: String,
    },
    Thinking {
        choice: u32,
        text: String,
    },
    /// Of the thoughts before it.
    ThinkingSignature {
        choice: u32,
        signature: Proof,
    },
    RedactedThinking {
        choice: u32,
        data: Proof,
    },
    /// A call begins. Once for each `call`; numbers are dense and ascend.
    ToolCall {
        choice: u32,
        call: u32,
        id: String,
        name: String,
        signature: Option<Proof>,
    },
    /// A piece of the call's arguments. Pieces of several calls may alternate.
    ToolArguments {
        choice: u32,
        call: u32,
        json: String,
    },
    /// Of the text beside it, in OpenAI's form.
    Logprobs {
        choice: u32,
        logprobs: Value,
    },
    /// The answer has come to its end, in good order.
    Finish {
        choice: u32,
        finish: Finish,
        stop_sequence: Option<String>,
    },
    /// What is known so far; the last one counts.
    Usage(Usage),
    /// Nothing comes after it.
    Done,
}

/// Reads an upstream's stream, frame by frame.
///
/// A frame is one server-sent event's data, one line of NDJSON, one element of a JSON array, or one message of an AWS
/// event stream: see `framing`. Bytes that are no frame of the dialect are a fault, except keep-alives.
pub trait StreamReader: fmt::Debug + Send {
    /// Appends what `frame` tells to `events`.
    ///
    /// # Errors
    ///
    /// An error that the upstream sent in its stream, or a frame that is not of this dialect.
    fn read(&mut self, frame: &[u8], events: &mut Vec<Event>) -> Result<(), StreamFaultKind>;
}

/// Writes a stream for a client.
pub trait StreamWriter: fmt::Debug + Send {
    /// Frames have gone to the client that were not written here; only a dialect whose frames depend on those before cares.
    fn begin(&mut self) {}

    /// Appends the client's words for `event`. [`Event::Usage`] and [`Event::Done`] never come here.
    fn write(&mut self, event: Event, out: &mut Vec<u8>);

    /// Ends a stream whose answer is whole; called once, after every answer's [`Event::Finish`].
    fn finish(&mut self, usage: Option<Usage>, out: &mut Vec<u8>);

    /// Tells of an error in the middle of the stream; nothing is written after it, and no end is made up.
    fn cut(&mut self, error: &ErrorBody<'_>, out: &mut Vec<u8>);
}
