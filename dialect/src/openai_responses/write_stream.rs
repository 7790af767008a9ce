//! Events → a stream for a client, in the order that OpenAI's SDKs insist on.
//!
//! Pieces of several tool calls may alternate in what comes in, and items may not in what goes out: what comes beside an
//! open call waits until the answer is finished, for nothing else says that a call is.

mod frame;
mod items;
mod waiting;

use self::frame::Frame;
use self::items::ItemWriter;
use self::waiting::{Waiting, Waits};
use super::item::{Item, Status, logprobs_list};
use super::output::{Response, response_id};
use crate::canon::{AnswerFacts, Event, Finish, Part, StreamWriter, ToolCall};
use crate::{ErrorBody, Usage};

#[derive(Debug)]
pub(crate) struct Writer {
    /// `None` until the answer has started.
    head: Option<Head>,
    items: ItemWriter,
    /// The number of the call that was opened last.
    call: u32,
    waiting: Waiting,
    finish: Option<Finish>,
}

/// What every event that shows the whole answer must say alike.
#[derive(Clone, Debug)]
struct Head {
    id: String,
    model: String,
}

impl Writer {
    pub(crate) fn new(facts: AnswerFacts) -> Self {
        Self {
            head: None,
            items: ItemWriter::new(facts),
            call: 0,
            waiting: Waiting::default(),
            finish: None,
        }
    }
}

impl StreamWriter for Writer {
    fn write(&mut self, event: Event, out: &mut Vec<u8>) {
        match event {
            Event::Start { id, model } => self.start(id, model, out),
            Event::Text { choice: 0, text } => self.part(Part::Text(text), out),
            Event::Refusal { choice: 0, text } => self.part(Part::Refusal(text), out),
            Event::Thinking { choice: 0, text } => {
                let signature = None;
                self.part(Part::Thinking { text, signature }, out);
            }
            Event::ThinkingSignature {
                choice: 0,
                signature,
            } => {
                let (text, signature) = (String::new(), Some(signature));
                self.part(Part::Thinking { text, signature }, out);
            }
            Event::RedactedThinking { choice: 0, data } => {
                self.part(Part::RedactedThinking(data), out);
            }
            Event::ToolCall {
                choice: 0,
                call,
                id,
                name,
                signature,
            } => {
                let arguments = String::new();
                let told = ToolCall {
                    id,
                    name,
                    arguments,
                    signature,
                };
                self.call(call, told, out);
            }
            Event::ToolArguments {
                choice: 0,
                call,
                json,
            } => self.arguments(call, &json, out),
            Event::Logprobs {
                choice: 0,
                logprobs,
            } => self.items.note_logprobs(logprobs_list(logprobs)),
            Event::Finish {
                choice: 0, finish, ..
            } => self.end_items(finish, out),
            // Requests of this dialect cannot ask for a second answer.
            Event::Text { .. }
            | Event::Refusal { .. }
            | Event::Thinking { .. }
            | Event::ThinkingSignature { .. }
            | Event::RedactedThinking { .. }
            | Event::ToolCall { .. }
            | Event::ToolArguments { .. }
            | Event::Logprobs { .. }
            | Event::Finish { .. }
            | Event::Usage(_)
            | Event::Done => {}
        }
    }

    fn finish(&mut self, usage: Option<Usage>, out: &mut Vec<u8>) {
        let finish = self.finish.unwrap_or_default();
        self.end_items(finish, out);
        let kind = match Status::of(finish) {
            Status::Incomplete => "response.incomplete",
            Status::InProgress | Status::Completed => "response.completed",
        };
        self.show(kind, Some(finish), usage, out);
    }

    fn cut(&mut self, error: &ErrorBody<'_>, out: &mut Vec<u8>) {
        self.items.frames.write_error(error, out);
    }
}

impl Writer {
    fn start(&mut self, id: Option<String>, model: Option<String>, out: &mut Vec<u8>) {
        if self.head.is_some() {
            return;
        }
        let facts = &self.items.facts;
        self.head = Some(Head {
            id: response_id(id, facts),
            model: model.unwrap_or_else(|| facts.model.clone()),
        });
        self.show("response.created", None, None, out);
        self.show("response.in_progress", None, None, out);
    }

    /// Shows the whole answer as it stands.
    fn show(
        &mut self,
        kind: &'static str,
        finish: Option<Finish>,
        usage: Option<Usage>,
        out: &mut Vec<u8>,
    ) {
        let Some(Head { id, model }) = &self.head else {
            return;
        };
        let ItemWriter {
            facts,
            done,
            frames,
            ..
        } = &mut self.items;
        let response = Response::new(id, model, facts.created, done, finish, usage);
        let frame = Frame {
            response: Some(&response),
            ..Frame::of(kind)
        };
        frames.write(frame, out);
    }

    fn part(&mut self, part: Part, out: &mut Vec<u8>) {
        self.start(None, None, out);
        match self.items.live {
            Some(Item::FunctionCall(_)) => self.waiting.push(part),
            _ => self.tell(part, out),
        }
    }

    fn call(&mut self, number: u32, call: ToolCall, out: &mut Vec<u8>) {
        self.start(None, None, out);
        match self.items.live {
            Some(Item::FunctionCall(_)) => self.waiting.push_call(number, call),
            _ => {
                self.call = number;
                self.items.open_call(call, out);
            }
        }
    }

    fn arguments(&mut self, number: u32, json: &str, out: &mut Vec<u8>) {
        match self.call == number {
            true => self.items.arguments(json, out),
            false => self.waiting.push_arguments(number, json),
        }
    }

    fn tell(&mut self, part: Part, out: &mut Vec<u8>) {
        match part {
            Part::Text(text) => self.items.text(&text, out),
            Part::Refusal(text) => self.items.refusal(&text, out),
            Part::Thinking { text, signature } => {
                self.items.thought(&text, signature.as_ref(), out);
            }
            Part::RedactedThinking(sealed) => self.items.redacted(&sealed, out),
            // No answer has these.
            Part::ToolCall(_)
            | Part::ToolResult(_)
            | Part::Image { .. }
            | Part::Audio { .. }
            | Part::File { .. } => {}
        }
    }

    /// Tells all that waited, and ends the last item as the answer ends.
    fn end_items(&mut self, finish: Finish, out: &mut Vec<u8>) {
        self.start(None, None, out);
        self.finish = Some(finish);
        for waits in self.waiting.take() {
            match waits {
                Waits::Part(part) => self.tell(part, out),
                Waits::Call { call, .. } => self.items.whole_call(call, out),
            }
        }
        self.items.close(Status::of(finish), out);
    }
}

#[cfg(test)]
mod tests;
