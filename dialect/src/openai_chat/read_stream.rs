//! An upstream's stream → events.
//!
//! Every provider of this dialect is read here, with all their liberties: calls without an index, `stop` after tool
//! calls, errors in an array or late in `x_groq`, a first chunk without choices.

mod calls;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use shared::config::Manners;

use self::calls::Calls;
use super::manners::Habits;
use super::read_reply;
use super::said::{self, Said};
use crate::UpstreamError;
use crate::canon::{Event, StreamReader};
use crate::relay::StreamFaultKind;

#[derive(Debug)]
pub(crate) struct Reader {
    habits: &'static Habits,
    is_started: bool,
    choices: BTreeMap<u32, Progress>,
}

/// What is known of one answer.
#[derive(Debug, Default)]
struct Progress {
    calls: Calls,
    is_finished: bool,
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    x_groq: Option<GroqExtension<'a>>,
    choices: Option<Vec<Choice>>,
}

#[derive(Deserialize)]
struct GroqExtension<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice {
    index: Option<u32>,
    delta: Option<Said>,
    finish_reason: Option<String>,
    logprobs: Option<Value>,
}

impl StreamReader for Reader {
    fn read(&mut self, frame: &[u8], events: &mut Vec<Event>) -> Result<(), StreamFaultKind> {
        let frame = frame.trim_ascii();
        if frame.is_empty() {
            return Ok(());
        }
        if frame == b"[DONE]" {
            for (index, choice) in &mut self.choices {
                choice.calls.begin_all(*index, events);
            }
            events.push(Event::Done);
            return Ok(());
        }
        // An array would be taken for the fields in their order; Google's endpoint sends its errors in one.
        let chunk: Option<Chunk<'_>> = match frame.starts_with(b"{") {
            true => serde_json::from_slice(frame).ok(),
            false => None,
        };
        let Some(chunk) = chunk else {
            return Err(UpstreamError::parse(frame).map_or(StreamFaultKind::Malformed, upstream));
        };

        let extension = chunk.x_groq.as_ref();
        let late_error = extension.and_then(|extension| extension.error);
        if let Some(error) = chunk.error.or(late_error).and_then(read_reply::error) {
            return Err(upstream(error));
        }
        let choices = chunk.choices.unwrap_or_default();
        // Azure's first chunk has neither choices nor an id.
        if !self.is_started && !choices.is_empty() {
            self.is_started = true;
            events.push(Event::Start {
                id: said::word(chunk.id),
                model: said::word(chunk.model),
            });
        }
        for choice in choices {
            self.read_choice(choice, events)?;
        }
        let usage = chunk
            .usage
            .or(extension.and_then(|extension| extension.usage));
        events.extend(read_reply::chat_usage(usage, self.habits).map(Event::Usage));
        Ok(())
    }
}

impl Reader {
    pub(crate) fn new(manners: Manners) -> Self {
        Self {
            habits: Habits::of(manners),
            is_started: false,
            choices: BTreeMap::new(),
        }
    }

    fn read_choice(
        &mut self,
        chunk: Choice,
        events: &mut Vec<Event>,
    ) -> Result<(), StreamFaultKind> {
        // Whoever leaves it out has one.
        let choice = chunk.index.unwrap_or_default();
        let progress = self.choices.entry(choice).or_default();
        if let Some(said) = chunk.delta {
            read_delta(said, choice, &mut progress.calls, events);
        }
        if let Some(logprobs) = chunk.logprobs {
            events.push(Event::Logprobs { choice, logprobs });
        }
        let Some(reason) = chunk.finish_reason.filter(|reason| !reason.is_empty()) else {
            return Ok(());
        };
        let finish =
            said::finish(&reason, !progress.calls.is_empty()).map_err(StreamFaultKind::Upstream)?;
        progress.calls.begin_all(choice, events);
        if !std::mem::replace(&mut progress.is_finished, true) {
            events.push(Event::Finish {
                choice,
                finish,
                stop_sequence: None,
            });
        }
        Ok(())
    }
}

fn read_delta(mut said: Said, choice: u32, calls: &mut Calls, events: &mut Vec<Event>) {
    if let Some(text) = said.take_thoughts().some() {
        events.push(Event::Thinking { choice, text });
    }
    for mut block in said.thinking_blocks.into_iter().flatten() {
        // The text of the thoughts has come before, piece by piece.
        let is_redacted = block.is_redacted();
        events.extend(block.take_proof().map(|proof| match is_redacted {
            true => Event::RedactedThinking {
                choice,
                data: proof,
            },
            false => Event::ThinkingSignature {
                choice,
                signature: proof,
            },
        }));
    }
    if let Some(text) = said.content.some() {
        calls.begin_all(choice, events);
        events.push(Event::Text { choice, text });
    }
    if let Some(text) = said.refusal.some() {
        events.push(Event::Refusal { choice, text });
    }
    if let Some(signature) = said.extra_content.signature() {
        calls.sign(signature);
    }
    for call in said.tool_calls.into_iter().flatten() {
        calls.read(call, choice, events);
    }
}

fn upstream(error: UpstreamError) -> StreamFaultKind {
    StreamFaultKind::Upstream(Box::new(error))
}

#[cfg(test)]
mod tests;
