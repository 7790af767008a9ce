//! Events → a stream for a client.
//!
//! Google's SDKs take an `event:` line, a comment, a `[DONE]` or `data:` without its space for a broken answer: there is
//! nothing but `data: ` and a chunk. Calls are whole in a chunk, so their arguments are collected first. The reasons to
//! finish wait for the usage and go out with it.

mod calls;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use self::calls::Calls;
use super::error::{error_body, status_of};
use super::finish;
use super::logprobs::LogprobsResult;
use super::outgoing::{Answer, Candidate, Content, Part, told, told_call};
use super::usage::UsageMetadata;
use crate::canon::{AnswerFacts, Event, Finish, StreamVariant, StreamWriter};
use crate::{ErrorBody, Usage, one_line};

#[derive(Debug)]
pub(crate) struct Writer {
    facts: AnswerFacts,
    /// As the upstream names it.
    model: Option<String>,
    choices: BTreeMap<u32, Progress>,
    /// Whether the array has an element.
    is_begun: bool,
}

/// How far one answer has come.
#[derive(Debug, Default)]
struct Progress {
    calls: Calls,
    has_signed_call: bool,
    /// Waits for the next chunk, to stand beside its text.
    logprobs: Option<LogprobsResult>,
    finish: Finish,
}

impl Writer {
    pub(crate) fn new(facts: AnswerFacts) -> Self {
        Self {
            facts,
            model: None,
            choices: BTreeMap::new(),
            is_begun: false,
        }
    }

    /// Writes a chunk with one part of one answer.
    fn write_part(&mut self, choice: u32, part: Part<'_>, out: &mut Vec<u8>) {
        let progress = self.choices.entry(choice).or_default();
        let candidate = Candidate {
            content: Some(Content::of_model(vec![part])),
            index: choice,
            logprobs_result: progress.logprobs.take(),
            ..Candidate::default()
        };
        self.write_chunk(vec![candidate], None, out);
    }

    fn write_chunk(
        &mut self,
        candidates: Vec<Candidate<'_>>,
        usage: Option<Usage>,
        out: &mut Vec<u8>,
    ) {
        let chunk = Answer {
            candidates,
            usage_metadata: usage.map(UsageMetadata::from),
            model_version: self.model.as_deref().unwrap_or(&self.facts.model),
            response_id: &self.facts.request_id,
        };
        write_frame(self.facts.variant, &mut self.is_begun, &chunk, out);
    }

    /// Writes the calls that are known to be whole: all of them, if the answer is finished.
    fn write_calls(&mut self, choice: u32, is_finished: bool, out: &mut Vec<u8>) {
        let progress = self.choices.entry(choice).or_default();
        let mut is_signed = progress.has_signed_call;
        for call in progress.calls.take_whole(is_finished) {
            if let Some(part) = told_call(&call, &mut is_signed) {
                self.write_part(choice, part, out);
            }
        }
        self.choices.entry(choice).or_default().has_signed_call = is_signed;
    }

    fn note_logprobs(&mut self, choice: u32, mut logprobs: Value) {
        let progress = self.choices.entry(choice).or_default();
        let more = LogprobsResult::of_openai(&mut logprobs);
        progress.logprobs.get_or_insert_default().append(more);
    }
}

impl StreamWriter for Writer {
    fn write(&mut self, event: Event, out: &mut Vec<u8>) {
        match event {
            Event::Start { model, .. } => self.model = self.model.take().or(model),
            Event::Text { choice, text } | Event::Refusal { choice, text } => {
                if !text.is_empty() {
                    self.write_calls(choice, false, out);
                    self.write_part(choice, Part::text(&text), out);
                }
            }
            Event::Thinking { choice, text } => {
                if !text.is_empty() {
                    self.write_calls(choice, false, out);
                    self.write_part(choice, Part::thinking(&text, None), out);
                }
            }
            Event::ThinkingSignature { choice, signature } => {
                self.write_part(choice, Part::thinking("", Some(told(&signature))), out);
            }
            Event::ToolCall {
                choice,
                call,
                id,
                name,
                signature,
            } => {
                self.write_calls(choice, false, out);
                let progress = self.choices.entry(choice).or_default();
                progress.calls.begin(call, id, name, signature);
            }
            Event::ToolArguments { choice, call, json } => {
                let progress = self.choices.entry(choice).or_default();
                progress.calls.add_arguments(call, &json);
            }
            Event::Logprobs { choice, logprobs } => self.note_logprobs(choice, logprobs),
            Event::Finish { choice, finish, .. } => {
                self.write_calls(choice, true, out);
                self.choices.entry(choice).or_default().finish = finish;
            }
            // What only its provider can read.
            Event::RedactedThinking { .. } => {}
            Event::Usage(_) | Event::Done => {}
        }
    }

    fn finish(&mut self, usage: Option<Usage>, out: &mut Vec<u8>) {
        let mut choices: Vec<u32> = self.choices.keys().copied().collect();
        if choices.is_empty() {
            choices.push(0);
        }
        let mut candidates = Vec::new();
        for choice in choices {
            self.write_calls(choice, true, out);
            let progress = self.choices.remove(&choice).unwrap_or_default();
            let finish_message = progress.calls.into_malformed();
            let finish_reason = match &finish_message {
                Some(_) => finish::MALFORMED_CALL,
                None => finish::reason_of(progress.finish),
            };
            candidates.push(Candidate {
                // Readers of a chunk's text expect some.
                content: Some(Content::of_model(vec![Part::text("")])),
                finish_reason: Some(finish_reason),
                finish_message,
                index: choice,
                logprobs_result: progress.logprobs,
            });
        }
        self.write_chunk(candidates, usage, out);
        if self.facts.variant == StreamVariant::Array {
            out.extend_from_slice(b"\n]\n");
        }
    }

    fn begin(&mut self) {
        self.is_begun = true;
    }

    fn cut(&mut self, error: &ErrorBody<'_>, out: &mut Vec<u8>) {
        let body = error_body(error, status_of(error.kind), &self.facts.request_id);
        begin_frame(self.facts.variant, &mut self.is_begun, out);
        out.extend_from_slice(body.as_bytes());
        end_frame(self.facts.variant, out);
    }
}

fn write_frame(
    variant: StreamVariant,
    is_begun: &mut bool,
    chunk: &impl Serialize,
    out: &mut Vec<u8>,
) {
    begin_frame(variant, is_begun, out);
    one_line::write(chunk, out);
    end_frame(variant, out);
}

fn begin_frame(variant: StreamVariant, is_begun: &mut bool, out: &mut Vec<u8>) {
    let is_first = !std::mem::replace(is_begun, true);
    let start: &[u8] = match (variant, is_first) {
        (StreamVariant::Array, true) => b"[",
        (StreamVariant::Array, false) => b"\n,\r\n",
        (StreamVariant::Usual | StreamVariant::Generate, _) => b"data: ",
    };
    out.extend_from_slice(start);
}

fn end_frame(variant: StreamVariant, out: &mut Vec<u8>) {
    if variant != StreamVariant::Array {
        out.extend_from_slice(b"\r\n\r\n");
    }
}

#[cfg(test)]
mod tests;
