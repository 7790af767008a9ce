//! Events → a stream for a client.
//!
//! Obeys what OpenAI's SDKs break on: the role comes once, so do a call's id and name; keys are left out rather than
//! null; usage comes last, and only to those who asked for it.

use std::borrow::Cow;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::shapes::{BlockShape, CallShape, ThoughtsShape, UsageShape, append, told};
use super::{answer_id, call_id, finish_reason};
use crate::canon::{AnswerFacts, Event, Finish, StreamWriter};
use crate::{ErrorBody, Usage};

#[derive(Debug)]
pub(crate) struct Writer {
    facts: AnswerFacts,
    /// What each chunk begins with, up to the opening bracket of its choices; empty until the first is written.
    head: Vec<u8>,
    choices: BTreeMap<u32, Progress>,
    n_calls: usize,
}

/// What was written of one answer.
#[derive(Debug, Default)]
struct Progress {
    has_role: bool,
    /// Held until the end, since an error may still come.
    finish: Option<Finish>,
    /// Thoughts that are not signed yet.
    thoughts: String,
    n_blocks: u32,
}

#[derive(Default, Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_blocks: Option<[BlockShape<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[CallPiece<'a>; 1]>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum CallPiece<'a> {
    Beginning(CallShape<'a>),
    Arguments {
        index: u32,
        function: ArgumentsPiece<'a>,
    },
}

#[derive(Serialize)]
struct ArgumentsPiece<'a> {
    arguments: &'a str,
}

impl Writer {
    pub(crate) fn new(facts: AnswerFacts) -> Self {
        Self {
            facts,
            head: Vec::new(),
            choices: BTreeMap::new(),
            n_calls: 0,
        }
    }

    /// The same id and model in all chunks, whatever comes later.
    fn begin(&mut self, id: Option<&str>, model: Option<&str>) {
        if !self.head.is_empty() {
            return;
        }
        self.head.extend_from_slice(b"data: {\"id\":");
        append(&mut self.head, &answer_id(id, &self.facts));
        let object = ",\"object\":\"chat.completion.chunk\",\"created\":";
        self.head.extend_from_slice(object.as_bytes());
        append(&mut self.head, &self.facts.created);
        self.head.extend_from_slice(b",\"model\":");
        append(&mut self.head, &model.unwrap_or(&self.facts.model));
        self.head.extend_from_slice(b",\"choices\":[");
    }

    fn progress(&mut self, choice: u32) -> &mut Progress {
        self.choices.entry(choice).or_default()
    }

    fn delta(&mut self, choice: u32, delta: Delta<'_>, out: &mut Vec<u8>) {
        self.chunk(choice, delta, None, None, out);
    }

    fn chunk(
        &mut self,
        choice: u32,
        mut delta: Delta<'_>,
        logprobs: Option<&Value>,
        finish: Option<Finish>,
        out: &mut Vec<u8>,
    ) {
        self.begin(None, None);
        if !std::mem::replace(&mut self.progress(choice).has_role, true) {
            delta.role = Some("assistant");
        }
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b"{\"index\":");
        append(out, &choice);
        out.extend_from_slice(b",\"delta\":");
        append(out, &delta);
        out.extend_from_slice(b",\"logprobs\":");
        append(out, &logprobs);
        out.extend_from_slice(b",\"finish_reason\":");
        append(out, &finish.map(finish_reason));
        out.extend_from_slice(match self.facts.wants_usage {
            true => b"}],\"usage\":null}\n\n",
            false => b"}]}\n\n",
        });
    }

    fn block(&mut self, choice: u32, thoughts: ThoughtsShape<'_>, out: &mut Vec<u8>) {
        let progress = self.progress(choice);
        let index = progress.n_blocks;
        progress.n_blocks += 1;
        let block = BlockShape {
            index: Some(index),
            thoughts,
        };
        let delta = Delta {
            thinking_blocks: Some([block]),
            ..Delta::default()
        };
        self.delta(choice, delta, out);
    }

    fn call(&mut self, choice: u32, call: CallPiece<'_>, out: &mut Vec<u8>) {
        let delta = Delta {
            tool_calls: Some([call]),
            ..Delta::default()
        };
        self.delta(choice, delta, out);
    }
}

impl StreamWriter for Writer {
    fn write(&mut self, event: Event, out: &mut Vec<u8>) {
        match event {
            Event::Start { id, model } => self.begin(id.as_deref(), model.as_deref()),
            Event::Text { choice, text } => {
                let delta = Delta {
                    content: Some(&text),
                    ..Delta::default()
                };
                self.delta(choice, delta, out);
            }
            Event::Refusal { choice, text } => {
                let delta = Delta {
                    refusal: Some(&text),
                    ..Delta::default()
                };
                self.delta(choice, delta, out);
            }
            Event::Thinking { choice, text } => {
                self.progress(choice).thoughts.push_str(&text);
                let delta = Delta {
                    reasoning_content: Some(&text),
                    ..Delta::default()
                };
                self.delta(choice, delta, out);
            }
            Event::ThinkingSignature { choice, signature } => {
                let thoughts = std::mem::take(&mut self.progress(choice).thoughts);
                let signed = ThoughtsShape::Thinking {
                    thinking: &thoughts,
                    signature: told(&signature),
                };
                self.block(choice, signed, out);
            }
            Event::RedactedThinking { choice, data } => {
                let data = told(&data);
                let redacted = ThoughtsShape::RedactedThinking { data };
                self.block(choice, redacted, out);
            }
            Event::ToolCall {
                choice,
                call,
                mut id,
                name,
                signature,
            } => {
                if id.is_empty() {
                    id = call_id(self.n_calls, &self.facts);
                }
                self.n_calls += 1;
                let beginning = CallShape {
                    index: Some(call),
                    ..CallShape::new(Cow::Borrowed(&id), &name, "", signature.as_ref().map(told))
                };
                self.call(choice, CallPiece::Beginning(beginning), out);
            }
            Event::ToolArguments { choice, call, json } => {
                let piece = CallPiece::Arguments {
                    index: call,
                    function: ArgumentsPiece { arguments: &json },
                };
                self.call(choice, piece, out);
            }
            Event::Logprobs { choice, logprobs } => {
                self.chunk(choice, Delta::default(), Some(&logprobs), None, out);
            }
            Event::Finish { choice, finish, .. } => {
                self.progress(choice).finish.get_or_insert(finish);
            }
            Event::Usage(_) | Event::Done => {}
        }
    }

    fn finish(&mut self, usage: Option<Usage>, out: &mut Vec<u8>) {
        if self.choices.is_empty() {
            self.progress(0);
        }
        let ends: Vec<_> = self
            .choices
            .iter()
            .map(|(choice, progress)| (*choice, progress.has_role, progress.finish))
            .collect();
        for (choice, has_role, finish) in ends {
            let delta = Delta {
                content: (!has_role).then_some(""),
                ..Delta::default()
            };
            self.chunk(choice, delta, None, Some(finish.unwrap_or_default()), out);
        }
        if let Some(usage) = usage.filter(|_| self.facts.wants_usage) {
            out.extend_from_slice(&self.head);
            out.extend_from_slice(b"],\"usage\":");
            append(out, &UsageShape::from(usage));
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn cut(&mut self, error: &ErrorBody<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("data: {}\n\n", error.to_json()).as_bytes());
    }
}

#[cfg(test)]
mod tests;
