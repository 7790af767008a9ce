//! A generated content in responses: events, or the elements of one array. Calls come whole.

use serde_json::{Value, json};

use crate::answer::{Answer, Part, Piece, Usage};
use crate::api::dialect::{Addressee, Dialect};
use crate::api::errors::{ApiError, error_body};
use crate::reply::write_json;
use crate::stream::StreamWriter;

use super::reply::{call_part, candidate, finish_reason, response};
use super::text_signature;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum Framing {
    Events,
    Array,
}

pub(in crate::api) struct Writer {
    framing: Framing,
    is_begun: bool,
    /// Tokens sent in one choice, and how many of them were thoughts.
    tokens: u32,
    thoughts: u32,
}

impl Writer {
    pub(in crate::api) fn new(framing: Framing) -> Self {
        Self {
            framing,
            is_begun: false,
            tokens: 0,
            thoughts: 0,
        }
    }

    /// Each response tells the usage up to it.
    fn usage_so_far(&self, answer: &Answer) -> Option<Usage> {
        let usage = answer.usage?;
        let tokens = self.tokens.saturating_mul(answer.choices);
        let thoughts = self.thoughts.saturating_mul(answer.choices);
        Some(Usage::new(
            usage.prompt_tokens,
            tokens.min(usage.completion_tokens),
            thoughts.min(usage.reasoning_tokens),
        ))
    }

    fn write_part(&mut self, answer: &Answer, part: &Value, out: &mut Vec<u8>) {
        let usage = self.usage_so_far(answer);
        for index in 0..answer.choices {
            let candidates = [candidate(index, std::slice::from_ref(part), None)];
            self.write(&response(answer, &candidates, usage), out);
        }
    }

    fn write(&mut self, value: &Value, out: &mut Vec<u8>) {
        match self.framing {
            Framing::Events => {
                out.extend_from_slice(b"data: ");
                write_json(out, value);
                out.extend_from_slice(b"\r\n\r\n");
            }
            Framing::Array => {
                out.extend_from_slice(if self.is_begun { b",\r\n" } else { b"[" });
                write_json(out, value);
            }
        }
        self.is_begun = true;
    }

    fn close(&self, out: &mut Vec<u8>) {
        match self.framing {
            Framing::Events => {}
            Framing::Array => out.extend_from_slice(b"\r\n]"),
        }
    }
}

impl StreamWriter for Writer {
    fn open(&mut self, _: &Answer, _: &mut Vec<u8>) {}

    fn piece(&mut self, answer: &Answer, piece: &Piece<'_>, out: &mut Vec<u8>) {
        self.tokens += 1;
        let part = match piece.part {
            Part::Thinking(_) => {
                self.thoughts += 1;
                json!({"text": piece.text, "thought": true})
            }
            Part::Text(_) => json!({"text": piece.text}),
            Part::Call(call) if piece.is_last => call_part(answer, piece.index, call),
            Part::Call(_) => return,
        };
        self.write_part(answer, &part, out);
    }

    fn end(&mut self, answer: &Answer, out: &mut Vec<u8>) {
        let mut part = json!({"text": ""});
        // That of calls came with them.
        if answer.signs && answer.calls().next().is_none() {
            part["thoughtSignature"] = text_signature().into();
        }
        let reason = Some(finish_reason(answer));
        for index in 0..answer.choices {
            let candidates = [candidate(index, std::slice::from_ref(&part), reason)];
            self.write(&response(answer, &candidates, answer.usage), out);
        }
        self.close(out);
    }

    fn error(&mut self, answer: &Answer, out: &mut Vec<u8>) {
        let addressee = Addressee {
            dialect: Dialect::Gemini,
            id: answer.id,
        };
        self.write(&error_body(&ApiError::mid_stream(), addressee), out);
        self.close(out);
    }

    fn frame_end(&self) -> &'static [u8] {
        match self.framing {
            Framing::Events => b"\r\n\r\n",
            Framing::Array => b"\r\n",
        }
    }
}
