//! Events → a stream for a client.

use super::line::{End, Lines, Said, write_error};
use crate::canon::{AnswerFacts, Event, Finish, StreamWriter, ToolCall};
use crate::{ErrorBody, Usage};

/// Writes the first of the choices: Ollama's answers have one.
#[derive(Debug)]
pub(crate) struct Writer {
    lines: Lines,
    is_started: bool,
    /// Held back until all are whole, with their numbers: Ollama tells no parts of them.
    calls: Vec<(u32, ToolCall)>,
    finish: Finish,
}

impl Writer {
    pub(crate) fn new(facts: AnswerFacts) -> Self {
        Self {
            lines: Lines::new(facts),
            is_started: false,
            calls: Vec::new(),
            finish: Finish::Stop,
        }
    }

    fn line(&self, said: &Said<'_>, end: Option<&End>, out: &mut Vec<u8>) {
        self.lines.write(said, end, out);
        out.push(b'\n');
    }

    fn write_calls(&mut self, out: &mut Vec<u8>) {
        let calls: Vec<_> = self.calls.drain(..).map(|(_, call)| call).collect();
        if !calls.is_empty() {
            let said = Said {
                calls: &calls,
                ..Said::default()
            };
            self.line(&said, None, out);
        }
    }
}

impl StreamWriter for Writer {
    fn write(&mut self, event: Event, out: &mut Vec<u8>) {
        match event {
            Event::Start { model, .. } => {
                let is_first = !std::mem::replace(&mut self.is_started, true);
                if let Some(model) = model.filter(|_| is_first) {
                    self.lines.set_model(model);
                }
            }
            // A refusal is what the model says, too.
            Event::Text { choice: 0, text } | Event::Refusal { choice: 0, text } => {
                let said = Said {
                    text: &text,
                    ..Said::default()
                };
                self.line(&said, None, out);
            }
            Event::Thinking { choice: 0, text } => {
                let said = Said {
                    thinking: &text,
                    ..Said::default()
                };
                self.line(&said, None, out);
            }
            Event::ToolCall {
                choice: 0,
                call,
                id,
                name,
                signature,
            } => {
                let arguments = String::new();
                self.calls.push((
                    call,
                    ToolCall {
                        id,
                        name,
                        arguments,
                        signature,
                    },
                ));
            }
            Event::ToolArguments {
                choice: 0,
                call,
                json,
            } => {
                let mut calls = self.calls.iter_mut().rev();
                if let Some((_, call)) = calls.find(|(number, _)| *number == call) {
                    call.arguments.push_str(&json);
                }
            }
            Event::Logprobs {
                choice: 0,
                logprobs,
            } => {
                let said = Said {
                    logprobs: Some(&logprobs),
                    ..Said::default()
                };
                self.line(&said, None, out);
            }
            Event::Finish {
                choice: 0, finish, ..
            } => {
                self.write_calls(out);
                self.finish = finish;
            }
            // Other choices, and proofs of thought, for which there is no place.
            _ => {}
        }
    }

    fn finish(&mut self, usage: Option<Usage>, out: &mut Vec<u8>) {
        self.write_calls(out);
        let end = End {
            finish: self.finish,
            usage,
        };
        self.line(&Said::default(), Some(&end), out);
    }

    fn cut(&mut self, error: &ErrorBody<'_>, out: &mut Vec<u8>) {
        write_error(error.message, out);
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests;
