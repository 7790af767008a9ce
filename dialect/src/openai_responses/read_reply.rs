//! An upstream's whole answer → the canonical form.
//!
//! Items of hosted tools are passed over: who asks through another dialect cannot have asked for them.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::OWN;
use crate::canon::{Choice, Finish, Part, Proof, Reply, ToolCall};
use crate::error::UpstreamError;
use crate::{ReplyFault, Usage};

#[derive(Deserialize)]
struct Body<'a> {
    id: Option<String>,
    model: Option<String>,
    status: Option<String>,
    #[serde(borrow)]
    output: Option<Vec<&'a RawValue>>,
    incomplete_details: Option<IncompleteDetails>,
    error: Option<Value>,
    usage: Option<Value>,
}

#[derive(Deserialize)]
struct IncompleteDetails {
    reason: Option<String>,
}

/// An item, as far as a chat has a place for it.
pub(super) enum Item {
    Message {
        parts: Vec<Part>,
        logprobs: Vec<Value>,
    },
    Call(ToolCall),
    Thought {
        text: String,
        encrypted: Option<Proof>,
    },
    Other,
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    content: Vec<Content>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Content {
    OutputText {
        text: String,
        #[serde(default)]
        logprobs: Option<Vec<Value>>,
    },
    Refusal {
        refusal: String,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Call {
    call_id: Option<String>,
    id: Option<String>,
    name: String,
    #[serde(default)]
    arguments: String,
}

#[derive(Deserialize)]
struct Thought {
    summary: Option<Vec<ThoughtText>>,
    content: Option<Vec<ThoughtText>>,
    encrypted_content: Option<String>,
}

#[derive(Deserialize)]
struct ThoughtText {
    text: String,
}

/// Reads the body of a 200.
///
/// # Errors
///
/// What is no answer: an error in spite of the status, a web page, half a document.
pub(crate) fn read_reply(body: &[u8]) -> Result<Reply, ReplyFault> {
    let parsed: Body<'_> =
        serde_json::from_slice(body).map_err(|error| match UpstreamError::parse(body) {
            Some(error) => ReplyFault::from(error),
            None if error.is_data() => ReplyFault::NoAnswer,
            None => ReplyFault::NotJson,
        })?;
    let has_answer = match parsed.status.as_deref() {
        None | Some("completed" | "cancelled") => parsed
            .output
            .as_ref()
            .is_some_and(|items| !items.is_empty()),
        // What is cut short, or still to come, may have no items.
        Some(_) => parsed.output.is_some(),
    };
    match of_body(parsed)? {
        reply if has_answer => Ok(reply),
        _ => Err(ReplyFault::NoAnswer),
    }
}

/// As [`read_reply`], for the `response` in a stream's last event: it need not repeat its items.
pub(super) fn read_response(response: &RawValue) -> Result<Reply, ReplyFault> {
    let body = serde_json::from_str(response.get()).map_err(|_| ReplyFault::NoAnswer)?;
    of_body(body)
}

fn of_body(body: Body<'_>) -> Result<Reply, ReplyFault> {
    if let Some(error) = body.error.as_ref().and_then(UpstreamError::of_error) {
        return Err(ReplyFault::from(error));
    }
    let status = body.status.as_deref().unwrap_or("completed");
    if status == "failed" {
        return Err(ReplyFault::from(UpstreamError::default()));
    }
    let raw_items = body.output.unwrap_or_default();
    let mut choice = Choice {
        parts: Vec::with_capacity(raw_items.len()),
        finish: Finish::Stop,
        stop_sequence: None,
        logprobs: None,
    };
    let mut all_logprobs = Vec::new();
    for raw in raw_items {
        match read_item(raw).map_err(|_| ReplyFault::NoAnswer)? {
            Item::Message { parts, logprobs } => {
                choice.parts.extend(parts);
                all_logprobs.extend(logprobs);
            }
            Item::Call(call) => {
                choice.finish = Finish::ToolCalls;
                choice.parts.push(Part::ToolCall(call));
            }
            Item::Thought { text, encrypted } => choice.parts.extend(thought(text, encrypted)),
            Item::Other => {}
        }
    }
    if !all_logprobs.is_empty() {
        choice.logprobs = Some(logprobs_of(all_logprobs));
    }
    if status == "incomplete" {
        let reason = body.incomplete_details.and_then(|details| details.reason);
        choice.finish = match reason.as_deref() {
            Some("content_filter") => Finish::ContentFilter,
            _ => Finish::Length,
        };
    }
    Ok(Reply {
        id: body.id,
        model: body.model,
        choices: vec![choice],
        usage: body.usage.as_ref().and_then(read_usage),
    })
}

/// Two passes: items of other types may have fields of these names with quite other values.
pub(super) fn read_item(raw: &RawValue) -> Result<Item, serde_json::Error> {
    let Kind { kind } = serde_json::from_str(raw.get())?;
    Ok(match &*kind {
        "message" => {
            let Message { content } = serde_json::from_str(raw.get())?;
            let mut parts = Vec::with_capacity(content.len());
            let mut all_logprobs = Vec::new();
            for part in content {
                match part {
                    Content::OutputText { text, logprobs } => {
                        parts.push(Part::Text(text));
                        all_logprobs.extend(logprobs.unwrap_or_default());
                    }
                    Content::Refusal { refusal } => parts.push(Part::Refusal(refusal)),
                    Content::Other => {}
                }
            }
            Item::Message {
                parts,
                logprobs: all_logprobs,
            }
        }
        "function_call" => {
            let call: Call = serde_json::from_str(raw.get())?;
            Item::Call(ToolCall {
                id: call.call_id.or(call.id).unwrap_or_default(),
                name: call.name,
                arguments: call.arguments,
                signature: None,
            })
        }
        "reasoning" => {
            let thought: Thought = serde_json::from_str(raw.get())?;
            let summary = thought.summary.filter(|texts| !texts.is_empty());
            let texts = summary.or(thought.content).unwrap_or_default();
            let texts: Vec<String> = texts.into_iter().map(|part| part.text).collect();
            Item::Thought {
                text: texts.join("\n\n"),
                encrypted: thought
                    .encrypted_content
                    .and_then(|data| Proof::new(OWN, data)),
            }
        }
        _ => Item::Other,
    })
}

/// In the form that all dialects share.
pub(super) fn logprobs_of(list: Vec<Value>) -> Value {
    let content = ("content".to_owned(), Value::Array(list));
    Value::Object(Map::from_iter([content]))
}

/// `None` if there is nothing to be seen, neither for people nor for the provider.
fn thought(text: String, encrypted: Option<Proof>) -> Option<Part> {
    match (text.is_empty(), encrypted) {
        (true, None) => None,
        (true, Some(sealed)) => Some(Part::RedactedThinking(sealed)),
        (false, signature) => Some(Part::Thinking { text, signature }),
    }
}

fn read_usage(usage: &Value) -> Option<Usage> {
    let count = |field: &str| Usage::count(usage.get(field));
    let detail = |details: &str, field: &str| {
        let details = usage.get(details).and_then(|details| details.get(field));
        Usage::count(details).unwrap_or_default()
    };
    let usage = Usage {
        prompt_tokens: count("input_tokens")?,
        completion_tokens: count("output_tokens")?,
        cached_tokens: detail("input_tokens_details", "cached_tokens"),
        cache_write_tokens: detail("input_tokens_details", "cache_write_tokens"),
        reasoning_tokens: detail("output_tokens_details", "reasoning_tokens"),
    };
    usage.believed()
}

#[cfg(test)]
mod tests;
