//! Events → a stream for a client.
//!
//! Blocks are numbered without gaps and never interleave: Anthropic's clients take a piece for the block that is open.
//! So what comes while a tool call is unfinished waits until that call is whole.

mod arguments;
mod frame;

use std::collections::VecDeque;

use self::arguments::ObjectEnd;
use self::frame::{Begin, Piece};
use super::error::error_event_data;
use super::usage::Report;
use super::write_reply::{call_id, message_id, signature_of};
use super::{OWN, stop_reason};
use crate::canon::{AnswerFacts, Event, Finish, Proof, StreamWriter};
use crate::{ErrorBody, Usage};

#[derive(Debug)]
pub(crate) struct Writer {
    facts: AnswerFacts,
    is_started: bool,
    n_blocks: u32,
    open: Open,
    waiting: VecDeque<Waiting>,
    is_refused: bool,
    finish: Finish,
    stop_sequence: Option<String>,
}

/// The block that pieces go to; its number is the last that was given.
#[derive(Debug)]
enum Open {
    Nothing,
    Text,
    Thinking,
    Call { call: u32, end: ObjectEnd },
}

/// What came while a call was unfinished.
#[derive(Debug)]
struct Waiting {
    event: Event,
    /// Of the call that `event` begins, so far.
    arguments: String,
}

impl Writer {
    pub(crate) fn new(facts: AnswerFacts) -> Self {
        Self {
            facts,
            is_started: false,
            n_blocks: 0,
            open: Open::Nothing,
            waiting: VecDeque::new(),
            is_refused: false,
            finish: Finish::default(),
            stop_sequence: None,
        }
    }
}

impl StreamWriter for Writer {
    fn write(&mut self, event: Event, out: &mut Vec<u8>) {
        match event {
            Event::Start { id, model } => self.start(id.as_deref(), model.as_deref(), out),
            Event::Finish {
                choice: 0,
                finish,
                stop_sequence,
            } => {
                self.finish = finish;
                self.stop_sequence = stop_sequence;
            }
            Event::ToolArguments {
                choice: 0,
                call,
                json,
            } => {
                self.arguments(call, &json, out);
                self.release(out);
            }
            event if self.has_open_call() => self.waiting.push_back(Waiting {
                event,
                arguments: String::new(),
            }),
            event => self.tell(event, out),
        }
    }

    fn finish(&mut self, usage: Option<Usage>, out: &mut Vec<u8>) {
        self.start(None, None, out);
        loop {
            self.close(out);
            if self.waiting.is_empty() {
                break;
            }
            self.release(out);
        }
        let stop_sequence = self.stop_sequence.as_deref();
        let stop_reason = stop_reason::write(self.finish, stop_sequence, self.is_refused);
        frame::message_delta(stop_reason, stop_sequence, &Report::of_end(usage), out);
        frame::message_stop(out);
    }

    fn cut(&mut self, error: &ErrorBody<'_>, out: &mut Vec<u8>) {
        let data = error_event_data(error, &self.facts.request_id);
        frame::error(&data, out);
    }
}

impl Writer {
    /// Writes the stream's begin, once; the prompt's count is the estimate, since no provider has said more by now.
    fn start(&mut self, id: Option<&str>, model: Option<&str>, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.is_started, true) {
            return;
        }
        let id = message_id(id, &self.facts);
        let model = model.unwrap_or(&self.facts.model);
        let usage = Report::of_start(self.facts.prompt_tokens);
        frame::message_start(&id, model, &usage, out);
    }

    /// Writes a piece of the answer, while no call is open.
    fn tell(&mut self, event: Event, out: &mut Vec<u8>) {
        match event {
            Event::Text { choice: 0, text } => self.text(&text, out),
            Event::Refusal { choice: 0, text } => {
                self.is_refused = true;
                self.text(&text, out);
            }
            Event::Thinking { choice: 0, text } if !text.is_empty() => {
                self.open_thinking(out);
                self.piece(&Piece::Thinking { thinking: &text }, out);
            }
            Event::ThinkingSignature {
                choice: 0,
                signature,
            } => {
                self.open_thinking(out);
                // It proves what came before; thoughts after it are others.
                self.close_thinking(Some(&signature), out);
            }
            Event::RedactedThinking { choice: 0, data } => {
                let data = &data.write(OWN);
                self.begin(&Begin::RedactedThinking { data }, Open::Nothing, out);
                frame::block_stop(self.last_block(), out);
            }
            Event::ToolCall {
                choice: 0,
                call,
                id,
                name,
                signature,
            } => {
                let id = call_id(&id, signature.as_ref(), call, &self.facts);
                let end = ObjectEnd::default();
                let begin = Begin::ToolUse {
                    id: &id,
                    name: &name,
                    input: frame::NoInput {},
                };
                self.begin(&begin, Open::Call { call, end }, out);
            }
            // Of other choices, or nothing that this dialect tells.
            _ => {}
        }
    }

    fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        if !matches!(self.open, Open::Text) {
            self.begin(&Begin::Text { text: "" }, Open::Text, out);
        }
        self.piece(&Piece::Text { text }, out);
    }

    fn open_thinking(&mut self, out: &mut Vec<u8>) {
        if !matches!(self.open, Open::Thinking) {
            let begin = Begin::Thinking {
                thinking: "",
                signature: "",
            };
            self.begin(&begin, Open::Thinking, out);
        }
    }

    fn arguments(&mut self, call: u32, json: &str, out: &mut Vec<u8>) {
        match &mut self.open {
            Open::Call { call: open, end } if *open == call => {
                let is_whole = end.is_reached_with(json);
                if !json.is_empty() {
                    self.piece(&Piece::Input { partial_json: json }, out);
                }
                if is_whole {
                    self.close(out);
                }
            }
            _ => {
                let is_this = |waiting: &&mut Waiting| matches!(waiting.event, Event::ToolCall { call: other, .. } if other == call);
                // Of a call that is whole, nothing more can be told.
                if let Some(waiting) = self.waiting.iter_mut().rev().find(is_this) {
                    waiting.arguments.push_str(json);
                }
            }
        }
    }

    /// Writes what waits, up to the next call that is unfinished.
    fn release(&mut self, out: &mut Vec<u8>) {
        while !self.has_open_call()
            && let Some(Waiting { event, arguments }) = self.waiting.pop_front()
        {
            let call = match event {
                Event::ToolCall { call, .. } => Some(call),
                _ => None,
            };
            self.tell(event, out);
            if let Some(call) = call {
                self.arguments(call, &arguments, out);
            }
        }
    }

    fn begin(&mut self, begin: &Begin<'_>, open: Open, out: &mut Vec<u8>) {
        self.start(None, None, out);
        self.close(out);
        frame::block_start(self.n_blocks, begin, out);
        self.n_blocks += 1;
        self.open = open;
    }

    fn piece(&self, piece: &Piece<'_>, out: &mut Vec<u8>) {
        frame::block_delta(self.last_block(), piece, out);
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Nothing => {}
            Open::Thinking => self.close_thinking(None, out),
            Open::Text | Open::Call { .. } => frame::block_stop(self.last_block(), out),
        }
    }

    fn close_thinking(&mut self, proof: Option<&Proof>, out: &mut Vec<u8>) {
        let signature = &signature_of(proof);
        self.piece(&Piece::Signature { signature }, out);
        frame::block_stop(self.last_block(), out);
        self.open = Open::Nothing;
    }

    fn last_block(&self) -> u32 {
        self.n_blocks.saturating_sub(1)
    }

    fn has_open_call(&self) -> bool {
        matches!(self.open, Open::Call { .. })
    }
}

#[cfg(test)]
mod tests;
