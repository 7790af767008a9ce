//! What an upstream says: a whole answer or one line of its stream, of `/api/chat` or `/api/generate`.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::canon::{Finish, ToolCall};
use crate::error::UpstreamError;
use crate::{ReplyFault, Usage};

/// One object of an answer. Times are not read: nobody else tells them.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    pub(super) model: Option<String>,
    message: Option<Said>,
    /// What `/api/generate` has instead of a message.
    response: Option<String>,
    thinking: Option<String>,
    tool_calls: Option<Vec<Call>>,
    done: Option<bool>,
    done_reason: Option<String>,
    prompt_eval_count: Option<Value>,
    prompt_eval_cached_count: Option<Value>,
    eval_count: Option<Value>,
    logprobs: Option<Value>,
    error: Option<Value>,
    /// Beside an error in a stream.
    status: Option<u16>,
}

/// What was said, in whole or in part.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Said {
    content: Option<String>,
    thinking: Option<String>,
    tool_calls: Option<Vec<Call>>,
}

#[derive(Debug, Deserialize)]
struct Call {
    id: Option<String>,
    function: Function,
}

#[derive(Debug, Deserialize)]
struct Function {
    name: String,
    arguments: Option<Box<RawValue>>,
}

impl Answer {
    /// Reads one object.
    ///
    /// # Errors
    ///
    /// An error instead of an answer, and what is neither.
    pub(super) fn parse(body: &[u8]) -> Result<Self, ReplyFault> {
        let answer: Self = match serde_json::from_slice(body) {
            Ok(answer) => answer,
            Err(_) => return Err(fault_of(body)),
        };
        if let Some(error) = answer.error.as_ref().and_then(UpstreamError::of_error) {
            let is_error = |status: &u16| (400..600).contains(status);
            return Err(ReplyFault::from(UpstreamError {
                status: error.status.or(answer.status.filter(is_error)),
                ..error
            }));
        }
        match answer.message.is_some() || answer.response.is_some() || answer.is_done() {
            true => Ok(answer),
            false => Err(ReplyFault::NoAnswer),
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.done == Some(true)
    }

    /// `None` if it says nothing at all, not even an empty text.
    pub(super) fn take_said(&mut self) -> Option<Said> {
        match (self.message.take(), self.response.take()) {
            (Some(said), _) => Some(said),
            (None, Some(response)) => Some(Said {
                content: Some(response),
                thinking: self.thinking.take(),
                tool_calls: self.tool_calls.take(),
            }),
            (None, None) => None,
        }
    }

    /// Ollama says `stop` of an answer that calls tools.
    pub(super) fn finish(&self, has_calls: bool) -> Finish {
        match self.done_reason.as_deref() {
            Some("length") => Finish::Length,
            _ if has_calls => Finish::ToolCalls,
            // Also `load` and `unload`, where nothing was to be said.
            _ => Finish::Stop,
        }
    }

    /// Counts of zero are left out.
    pub(super) fn usage(&self) -> Option<Usage> {
        let usage = Usage {
            prompt_tokens: Usage::count(self.prompt_eval_count.as_ref())?,
            cached_tokens: Usage::count(self.prompt_eval_cached_count.as_ref())?,
            completion_tokens: Usage::count(self.eval_count.as_ref())?,
            ..Usage::default()
        };
        usage.believed()
    }

    /// In OpenAI's form, which always has all four fields.
    pub(super) fn take_logprobs(&mut self) -> Option<Value> {
        let Value::Array(mut tokens) = self.logprobs.take()? else {
            return None;
        };
        for token in &mut tokens {
            complete(token);
            token
                .as_object_mut()?
                .entry("top_logprobs")
                .or_insert_with(|| json!([]));
            let alternatives = token.get_mut("top_logprobs").and_then(Value::as_array_mut);
            alternatives.into_iter().flatten().for_each(complete);
        }
        (!tokens.is_empty()).then(|| json!({"content": tokens}))
    }
}

impl Said {
    pub(super) fn take_text(&mut self) -> Option<String> {
        self.content.take().filter(|text| !text.is_empty())
    }

    pub(super) fn take_thinking(&mut self) -> Option<String> {
        self.thinking.take().filter(|text| !text.is_empty())
    }

    /// The calls, whole. One that has no id is given one by whoever writes it.
    pub(super) fn take_calls(&mut self) -> impl Iterator<Item = ToolCall> + use<> {
        let calls = self.tool_calls.take().unwrap_or_default();
        calls.into_iter().map(|call| ToolCall {
            id: call.id.unwrap_or_default(),
            name: call.function.name,
            arguments: match call.function.arguments {
                Some(arguments) => text_of(&arguments),
                None => "{}".to_owned(),
            },
            signature: None,
        })
    }
}

/// Servers that only look like Ollama send the text, as OpenAI does.
fn text_of(arguments: &RawValue) -> String {
    let raw = arguments.get();
    match raw.starts_with('"') {
        true => serde_json::from_str(raw).unwrap_or_default(),
        false => raw.to_owned(),
    }
}

fn complete(token: &mut Value) {
    if let Some(token) = token.as_object_mut() {
        token.entry("bytes").or_insert(Value::Null);
    }
}

/// Why `body` is no answer: errors come in many shapes.
pub(super) fn fault_of(body: &[u8]) -> ReplyFault {
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return ReplyFault::NotJson;
    };
    match body.get("error").and_then(UpstreamError::of_error) {
        Some(error) => ReplyFault::from(error),
        None => ReplyFault::NoAnswer,
    }
}
