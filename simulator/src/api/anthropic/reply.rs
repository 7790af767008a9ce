//! A message in one piece.

use serde_json::{Map, Value, json};

use crate::answer::{Answer, Finish, Part, Usage};

use super::{message_id, signature, tool_use_id};

pub(in crate::api) fn body(answer: &Answer) -> Vec<u8> {
    let content: Vec<_> = answer
        .parts
        .iter()
        .enumerate()
        .filter(|(_, part)| part.wording().tokens() > 0)
        .map(|(index, part)| match part {
            Part::Thinking(wording) => {
                let thoughts = wording.whole();
                let signature = signature(&thoughts);
                json!({"type": "thinking", "thinking": thoughts, "signature": signature})
            }
            Part::Text(wording) => json!({"type": "text", "text": wording.whole()}),
            Part::Call(call) => {
                let id = tool_use_id(answer.id, answer.calls_before(index));
                json!({"type": "tool_use", "id": id, "name": call.name, "input": call.arguments})
            }
        })
        .collect();
    let mut message = message(answer, content.into(), stop_reason(answer).into());
    if let Some(usage) = answer.usage {
        message.insert("usage".to_owned(), told(usage));
    }
    Value::Object(message).to_string().into_bytes()
}

/// A message without its usage.
pub(super) fn message(answer: &Answer, content: Value, stop_reason: Value) -> Map<String, Value> {
    let mut message = Map::new();
    for (name, value) in [
        ("id", message_id(answer.id).into()),
        ("type", "message".into()),
        ("role", "assistant".into()),
        ("model", answer.model.as_str().into()),
        ("content", content),
        ("stop_reason", stop_reason),
        ("stop_sequence", Value::Null),
    ] {
        message.insert(name.to_owned(), value);
    }
    message
}

pub(super) fn stop_reason(answer: &Answer) -> &'static str {
    match answer.finish {
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
        Finish::ToolCalls => "tool_use",
    }
}

pub(super) fn told(usage: Usage) -> Value {
    json!({
        "input_tokens": usage.prompt_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"thinking_tokens": usage.reasoning_tokens},
        "service_tier": "standard",
    })
}
