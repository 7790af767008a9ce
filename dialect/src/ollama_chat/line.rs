//! What clients get: a whole answer, or one line of a stream.

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::arguments;
use super::timestamp::rfc3339;
use crate::canon::{AnswerFacts, Finish, StreamVariant, ToolCall, proof};
use crate::{Usage, one_line};

/// Words answers for one client.
#[derive(Debug)]
pub(super) struct Lines {
    request_id: String,
    model: String,
    created_at: String,
    variant: StreamVariant,
}

/// What is said in one line.
#[derive(Default)]
pub(super) struct Said<'a> {
    pub(super) text: &'a str,
    pub(super) thinking: &'a str,
    /// Whole; one whose arguments are no object was cut off, and is left out.
    pub(super) calls: &'a [ToolCall],
    /// In OpenAI's form.
    pub(super) logprobs: Option<&'a Value>,
}

/// How an answer ended.
pub(super) struct End {
    pub(super) finish: Finish,
    pub(super) usage: Option<Usage>,
}

/// Of `/api/chat` if there is a message, else of `/api/generate`. How long anything took is not known and not said.
#[derive(Serialize)]
struct Line<'a> {
    model: &'a str,
    created_at: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Message<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    thinking: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<&'a Value>,
    done: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    done_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_eval_count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_eval_cached_count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eval_count: Option<u32>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    thinking: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'a>>,
}

#[derive(Serialize)]
struct Call<'a> {
    id: String,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    index: usize,
    name: &'a str,
    arguments: &'a RawValue,
}

#[derive(Serialize)]
struct ErrorLine<'a> {
    error: &'a str,
}

impl Lines {
    pub(super) fn new(facts: AnswerFacts) -> Self {
        Self {
            request_id: facts.request_id,
            model: facts.model,
            created_at: rfc3339(facts.created),
            variant: facts.variant,
        }
    }

    /// Calls the model by the name that the provider gave it.
    pub(super) fn set_model(&mut self, model: String) {
        self.model = model;
    }

    /// Appends one object, without the end of its line; with an `end`, it is the last.
    pub(super) fn write(&self, said: &Said<'_>, end: Option<&End>, out: &mut Vec<u8>) {
        let usage = end.and_then(|end| end.usage);
        // Ollama leaves out counts of zero.
        let count = |of: fn(Usage) -> u32| usage.map(of).filter(|tokens| *tokens > 0);
        let mut line = Line {
            model: &self.model,
            created_at: &self.created_at,
            message: None,
            response: None,
            thinking: "",
            tool_calls: Vec::new(),
            logprobs: said.logprobs.and_then(|logprobs| logprobs.get("content")),
            done: end.is_some(),
            done_reason: end.map(|end| done_reason(end.finish)),
            prompt_eval_count: count(|usage| usage.prompt_tokens),
            prompt_eval_cached_count: count(|usage| usage.cached_tokens),
            eval_count: count(|usage| usage.completion_tokens),
        };
        let tool_calls = self.calls(said.calls);
        match self.variant {
            StreamVariant::Generate => {
                line.response = Some(said.text);
                line.thinking = said.thinking;
                line.tool_calls = tool_calls;
            }
            StreamVariant::Usual | StreamVariant::Array => {
                line.message = Some(Message {
                    role: "assistant",
                    content: said.text,
                    thinking: said.thinking,
                    tool_calls,
                });
            }
        }
        one_line::write(&line, out);
    }

    fn calls<'a>(&self, calls: &'a [ToolCall]) -> Vec<Call<'a>> {
        let calls = calls.iter().enumerate();
        calls
            .filter_map(|(index, call)| {
                let id = match call.id.as_str() {
                    "" => &format!("call_{}_{index}", self.request_id),
                    id => id,
                };
                Some(Call {
                    id: proof::pack(id, call.signature.as_ref()),
                    function: Function {
                        index,
                        name: &call.name,
                        arguments: arguments::object_of(&call.arguments)?,
                    },
                })
            })
            .collect()
    }
}

/// Clients read any word here; Ollama itself knows only the first two.
fn done_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::ToolCalls => "stop",
        Finish::Length => "length",
        Finish::ContentFilter => "content_filter",
    }
}

/// Appends `{"error":"…"}`, without the end of its line.
pub(super) fn write_error(message: &str, out: &mut Vec<u8>) {
    one_line::write(&ErrorLine { error: message }, out);
}
