//! An upstream's stream → events.
//!
//! Deltas tell what is new; the events that repeat a whole part or item are read for servers that send no deltas.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::read_reply::{Item, logprobs_of, read_item, read_response};
use crate::ReplyFault;
use crate::canon::{Event, Finish, Proof, StreamReader, ToolCall};
use crate::error::UpstreamError;
use crate::relay::StreamFaultKind;

#[derive(Debug, Default)]
pub(crate) struct Reader {
    has_started: bool,
    /// By their numbers.
    calls: Vec<Call>,
    /// What was told so far.
    told: BTreeSet<PartAt>,
    /// Thoughts whose end has not been seen.
    open_thought: Option<PartAt>,
    /// Whether thoughts came with a proof.
    has_proof: bool,
}

#[derive(Debug)]
struct Call {
    output_index: u64,
    has_arguments: bool,
}

/// Which part of which item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct PartAt {
    output_index: u64,
    kind: PartKind,
    index: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum PartKind {
    Text,
    Refusal,
    Summary,
    /// Thoughts themselves, as open models show them.
    Reasoning,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Completed,
    Incomplete,
    Failed,
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(rename = "type", default, borrow)]
    kind: Cow<'a, str>,
}

/// A piece of a part, or the whole of it.
#[derive(Deserialize)]
struct Piece {
    #[serde(default)]
    output_index: u64,
    content_index: Option<u64>,
    summary_index: Option<u64>,
    delta: Option<String>,
    text: Option<String>,
    refusal: Option<String>,
    arguments: Option<String>,
    logprobs: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct ItemFrame<'a> {
    #[serde(default)]
    output_index: u64,
    #[serde(borrow)]
    item: &'a RawValue,
}

#[derive(Deserialize)]
struct ResponseFrame<'a> {
    #[serde(borrow)]
    response: &'a RawValue,
}

#[derive(Deserialize)]
struct Head {
    id: Option<String>,
    model: Option<String>,
}

impl StreamReader for Reader {
    fn read(&mut self, frame: &[u8], events: &mut Vec<Event>) -> Result<(), StreamFaultKind> {
        // Not of this dialect, but sent by some; the last event has come before.
        if frame.trim_ascii() == b"[DONE]" {
            return Ok(());
        }
        let Kind { kind } = parse(frame)?;
        match &*kind {
            "response.output_text.delta" => self.read_piece(frame, PartKind::Text, true, events),
            "response.output_text.done" => self.read_piece(frame, PartKind::Text, false, events),
            "response.refusal.delta" => self.read_piece(frame, PartKind::Refusal, true, events),
            "response.refusal.done" => self.read_piece(frame, PartKind::Refusal, false, events),
            "response.reasoning_summary_text.delta" => {
                self.read_piece(frame, PartKind::Summary, true, events)
            }
            "response.reasoning_text.delta" => {
                self.read_piece(frame, PartKind::Reasoning, true, events)
            }
            "response.function_call_arguments.delta" => self.read_arguments(frame, true, events),
            "response.function_call_arguments.done" => self.read_arguments(frame, false, events),
            "response.output_item.added" => self.read_item(frame, false, events),
            "response.output_item.done" => self.read_item(frame, true, events),
            "response.created" | "response.queued" | "response.in_progress" => {
                let ResponseFrame { response } = parse(frame)?;
                let Head { id, model } = parse(response.get().as_bytes())?;
                self.start(id, model, events);
                Ok(())
            }
            "response.completed" => self.read_end(frame, End::Completed, events),
            "response.incomplete" => self.read_end(frame, End::Incomplete, events),
            "response.failed" => self.read_end(frame, End::Failed, events),
            "error" => Err(error_event(frame)),
            "" => Err(UpstreamError::parse(frame).map_or(StreamFaultKind::Malformed, upstream)),
            _ => Ok(()),
        }
    }
}

impl Reader {
    fn start(&mut self, id: Option<String>, model: Option<String>, events: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.has_started, true) {
            events.push(Event::Start { id, model });
        }
    }

    fn read_piece(
        &mut self,
        frame: &[u8],
        kind: PartKind,
        is_delta: bool,
        events: &mut Vec<Event>,
    ) -> Result<(), StreamFaultKind> {
        let piece: Piece = parse(frame)?;
        let index = piece.content_index.or(piece.summary_index);
        let at = PartAt {
            output_index: piece.output_index,
            kind,
            index: index.unwrap_or_default(),
        };
        if is_delta || !self.told.contains(&at) {
            let whole = piece.text.or(piece.refusal);
            let text = piece.delta.or(whole).ok_or(StreamFaultKind::Malformed)?;
            self.tell(at, text, piece.logprobs.unwrap_or_default(), events);
        }
        Ok(())
    }

    fn tell(&mut self, at: PartAt, text: String, logprobs: Vec<Value>, events: &mut Vec<Event>) {
        let is_thought = matches!(at.kind, PartKind::Summary | PartKind::Reasoning);
        if text.is_empty() && logprobs.is_empty() {
            return;
        }
        // A server may send both; the first is enough.
        if is_thought && self.has_other_thoughts(at) {
            return;
        }
        self.start(None, None, events);
        self.told.insert(at);
        let open_thought = self.open_thought.take();
        if is_thought {
            self.open_thought = Some(at);
            let text = match open_thought {
                Some(open) if open != at => format!("\n\n{text}"),
                _ => text,
            };
            events.push(Event::Thinking { choice: 0, text });
            return;
        }
        if !logprobs.is_empty() {
            events.push(Event::Logprobs {
                choice: 0,
                logprobs: logprobs_of(logprobs),
            });
        }
        events.push(match at.kind {
            PartKind::Refusal => Event::Refusal { choice: 0, text },
            _ => Event::Text { choice: 0, text },
        });
    }

    /// Whether the item's thoughts are told already, in the other way.
    fn has_other_thoughts(&self, at: PartAt) -> bool {
        let kind = match at.kind {
            PartKind::Summary => PartKind::Reasoning,
            _ => PartKind::Summary,
        };
        self.has_told(at.output_index, kind)
    }

    fn has_told(&self, output_index: u64, kind: PartKind) -> bool {
        let at = |index| PartAt {
            output_index,
            kind,
            index,
        };
        self.told.range(at(0)..=at(u64::MAX)).next().is_some()
    }

    fn read_arguments(
        &mut self,
        frame: &[u8],
        is_delta: bool,
        events: &mut Vec<Event>,
    ) -> Result<(), StreamFaultKind> {
        let piece: Piece = parse(frame)?;
        let json = piece.delta.or(piece.arguments);
        let json = json.ok_or(StreamFaultKind::Malformed)?;
        let mut calls = (0..).zip(&mut self.calls);
        let call = calls.find(|(_, call)| call.output_index == piece.output_index);
        let Some((number, call)) = call else {
            // Its item has not been told of; the item's end has all of it.
            return Ok(());
        };
        if !json.is_empty() && (is_delta || !call.has_arguments) {
            call.has_arguments = true;
            events.push(Event::ToolArguments {
                choice: 0,
                call: number,
                json,
            });
        }
        Ok(())
    }

    /// Reads of an item's beginning, or its end.
    fn read_item(
        &mut self,
        frame: &[u8],
        is_end: bool,
        events: &mut Vec<Event>,
    ) -> Result<(), StreamFaultKind> {
        let ItemFrame { output_index, item } = parse(frame)?;
        if item.get() == "null" {
            return Ok(());
        }
        match read_item(item).map_err(|_| StreamFaultKind::Malformed)? {
            Item::Call(call) => self.tell_call(output_index, call, is_end, events),
            Item::Thought { text, encrypted } if is_end => {
                self.end_thought(output_index, text, encrypted, events);
            }
            Item::Message { .. } | Item::Thought { .. } | Item::Other => {}
        }
        Ok(())
    }

    fn tell_call(
        &mut self,
        output_index: u64,
        told: ToolCall,
        is_end: bool,
        events: &mut Vec<Event>,
    ) {
        self.start(None, None, events);
        self.open_thought = None;
        let mut calls = self.calls.iter();
        let known = calls.position(|call| call.output_index == output_index);
        let index = known.unwrap_or(self.calls.len());
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        if known.is_none() {
            self.calls.push(Call {
                output_index,
                has_arguments: false,
            });
            events.push(Event::ToolCall {
                choice: 0,
                call: number,
                id: told.id,
                name: told.name,
                signature: None,
            });
        }
        let Some(call) = self.calls.get_mut(index) else {
            return;
        };
        // At its beginning, what it has may come again as deltas.
        if is_end && !call.has_arguments && !told.arguments.is_empty() {
            call.has_arguments = true;
            events.push(Event::ToolArguments {
                choice: 0,
                call: number,
                json: told.arguments,
            });
        }
    }

    fn end_thought(
        &mut self,
        output_index: u64,
        text: String,
        encrypted: Option<Proof>,
        events: &mut Vec<Event>,
    ) {
        let is_told = [PartKind::Summary, PartKind::Reasoning]
            .into_iter()
            .any(|kind| self.has_told(output_index, kind));
        let is_redacted = !is_told && text.is_empty();
        if !is_told {
            let at = PartAt {
                output_index,
                kind: PartKind::Summary,
                index: 0,
            };
            self.tell(at, text, Vec::new(), events);
        }
        let Some(data) = encrypted else {
            return;
        };
        self.start(None, None, events);
        self.open_thought = None;
        self.has_proof = true;
        events.push(match is_redacted {
            true => Event::RedactedThinking { choice: 0, data },
            false => Event::ThinkingSignature {
                choice: 0,
                signature: data,
            },
        });
    }

    fn read_end(
        &mut self,
        frame: &[u8],
        end: End,
        events: &mut Vec<Event>,
    ) -> Result<(), StreamFaultKind> {
        let ResponseFrame { response } = parse(frame)?;
        let reply = match (end, read_response(response)) {
            (End::Completed | End::Incomplete, Ok(reply)) => reply,
            (End::Failed, Ok(_)) => return Err(upstream(UpstreamError::default())),
            (_, Err(ReplyFault::Upstream(error))) => return Err(StreamFaultKind::Upstream(error)),
            (_, Err(_)) => return Err(StreamFaultKind::Malformed),
        };
        if self.told.is_empty() && self.calls.is_empty() && !self.has_proof {
            let has_started = std::mem::replace(&mut self.has_started, true);
            events.extend(
                reply
                    .into_events()
                    .into_iter()
                    .skip(usize::from(has_started)),
            );
            return Ok(());
        }
        let finish = reply
            .choices
            .first()
            .map_or(Finish::Stop, |choice| choice.finish);
        let finish = match (end, finish) {
            (End::Incomplete, Finish::Stop | Finish::ToolCalls) => Finish::Length,
            // Some list no output at the end.
            (_, Finish::Stop) if !self.calls.is_empty() => Finish::ToolCalls,
            (_, finish) => finish,
        };
        events.push(Event::Finish {
            choice: 0,
            finish,
            stop_sequence: None,
        });
        events.extend(reply.usage.map(Event::Usage));
        events.push(Event::Done);
        Ok(())
    }
}

fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, StreamFaultKind> {
    serde_json::from_slice(json).map_err(|_| StreamFaultKind::Malformed)
}

/// The error in an `error` event: beside its type, or in a field of its own.
fn error_event(frame: &[u8]) -> StreamFaultKind {
    let event: Value = serde_json::from_slice(frame).unwrap_or_default();
    let error = event.get("error").filter(|error| error.is_object());
    let error = UpstreamError::of_error(error.unwrap_or(&event)).unwrap_or_default();
    upstream(UpstreamError {
        // The event's own type says nothing of the error.
        kind: error.kind.filter(|kind| kind != "error"),
        ..error
    })
}

fn upstream(error: UpstreamError) -> StreamFaultKind {
    StreamFaultKind::Upstream(Box::new(error))
}

#[cfg(test)]
mod tests;
