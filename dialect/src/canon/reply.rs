//! What a chat answers.

use serde_json::Value;

use super::{Event, Part};
use crate::Usage;

/// A whole answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    /// The provider's.
    pub id: Option<String>,
    /// As the provider names it.
    pub model: Option<String>,
    pub choices: Vec<Choice>,
    /// `None` if it was not reported, or cannot be believed.
    pub usage: Option<Usage>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Text, refusals, thoughts, tool calls, in the order they came.
    pub parts: Vec<Part>,
    pub finish: Finish,
    /// Which of the stop sequences was met, where the provider says.
    pub stop_sequence: Option<String>,
    /// In OpenAI's form: `{"content": [{"token", "logprob", "bytes", "top_logprobs"}]}`.
    pub logprobs: Option<Value>,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Finish {
    /// It was complete, or met a stop sequence.
    #[default]
    Stop,
    Length,
    ToolCalls,
    /// The provider withheld it, or the rest of it.
    ContentFilter,
}

/// What a writer must know of an answer that the upstream does not say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AnswerFacts {
    /// Unique; ids that the client's dialect wants and the upstream did not give are made of it.
    pub request_id: String,
    /// When the request arrived, in Unix seconds.
    pub created: i64,
    /// The public name that the client asked for.
    pub model: String,
    /// The router's estimate, for dialects that must name it before the provider has.
    pub prompt_tokens: u32,
    /// Whether the client asked for a usage report in its stream (OpenAI chat only).
    pub wants_usage: bool,
    /// The variant of its dialect's stream that the client wants.
    pub variant: StreamVariant,
}

/// Where a dialect has several ways to send the same stream or reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StreamVariant {
    #[default]
    Usual,
    /// Gemini without `alt=sse`: one JSON array.
    Array,
    /// Ollama's `/api/generate` instead of `/api/chat`.
    Generate,
}

impl Reply {
    /// The same answer as the events of a stream, for dialects that would write both the same way.
    pub fn into_events(self) -> Vec<Event> {
        let mut events = vec![Event::Start {
            id: self.id,
            model: self.model,
        }];
        for (index, choice) in (0..).zip(self.choices) {
            let mut n_calls = 0;
            if let Some(logprobs) = choice.logprobs {
                events.push(Event::Logprobs {
                    choice: index,
                    logprobs,
                });
            }
            for part in choice.parts {
                match part {
                    Part::Text(text) => events.push(Event::Text {
                        choice: index,
                        text,
                    }),
                    Part::Refusal(text) => events.push(Event::Refusal {
                        choice: index,
                        text,
                    }),
                    Part::Thinking { text, signature } => {
                        events.push(Event::Thinking {
                            choice: index,
                            text,
                        });
                        if let Some(signature) = signature {
                            events.push(Event::ThinkingSignature {
                                choice: index,
                                signature,
                            });
                        }
                    }
                    Part::RedactedThinking(data) => events.push(Event::RedactedThinking {
                        choice: index,
                        data,
                    }),
                    Part::ToolCall(call) => {
                        events.push(Event::ToolCall {
                            choice: index,
                            call: n_calls,
                            id: call.id,
                            name: call.name,
                            signature: call.signature,
                        });
                        events.push(Event::ToolArguments {
                            choice: index,
                            call: n_calls,
                            json: call.arguments,
                        });
                        n_calls += 1;
                    }
                    Part::Image { .. }
                    | Part::Audio { .. }
                    | Part::File { .. }
                    | Part::ToolResult(_) => {}
                }
            }
            events.push(Event::Finish {
                choice: index,
                finish: choice.finish,
                stop_sequence: choice.stop_sequence,
            });
        }
        events.extend(self.usage.map(Event::Usage));
        events.push(Event::Done);
        events
    }
}
