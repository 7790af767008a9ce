//! An answer in one piece, and the objects that lines are made of too.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::answer::{Answer, Finish, ToolCall};

use super::request::Kind;

pub(in crate::api) fn body(kind: Kind, answer: &Answer) -> Vec<u8> {
    let text = answer.text().unwrap_or_default();
    let calls: Vec<_> = answer
        .calls()
        .enumerate()
        .map(|(index, it)| call(answer, index, it))
        .collect();
    let mut object = line(kind, answer, &text, answer.thoughts().as_deref(), calls);
    finish(kind, answer, &mut object);
    object.to_string().into_bytes()
}

/// What is said when nothing was asked.
pub(super) fn loaded(kind: Kind, answer: &Answer) -> Vec<u8> {
    let mut object = line(kind, answer, "", None, Vec::new());
    object["done"] = true.into();
    object["done_reason"] = "load".into();
    object.to_string().into_bytes()
}

/// An answer or a part of one.
pub(super) fn line(
    kind: Kind,
    answer: &Answer,
    text: &str,
    thoughts: Option<&str>,
    calls: Vec<Value>,
) -> Value {
    let created = UNIX_EPOCH + Duration::from_secs(answer.created);
    let mut object = json!({
        "model": answer.model,
        "created_at": humantime::format_rfc3339_nanos(created).to_string(),
    });
    let said = match kind {
        Kind::Chat => {
            object["message"] = json!({"role": "assistant", "content": text});
            &mut object["message"]
        }
        Kind::Generate => {
            object["response"] = text.into();
            &mut object
        }
    };
    if let Some(thoughts) = thoughts {
        said["thinking"] = thoughts.into();
    }
    if !calls.is_empty() {
        said["tool_calls"] = calls.into();
    }
    object["done"] = false.into();
    object
}

pub(super) fn call(answer: &Answer, index: usize, call: &ToolCall) -> Value {
    json!({
        "id": format!("call_{:06x}{index:02}", answer.id & 0xFF_FFFF),
        "function": {"index": index, "name": call.name, "arguments": call.arguments},
    })
}

/// Makes `object` the last one. Calls are no reason of their own here, and counts of zero are absent.
pub(super) fn finish(kind: Kind, answer: &Answer, object: &mut Value) {
    object["done"] = true.into();
    object["done_reason"] = match answer.finish {
        Finish::Stop | Finish::ToolCalls => "stop".into(),
        Finish::Length => "length".into(),
    };
    if kind == Kind::Generate {
        object["context"] = json!([1, 2, 3]);
    }
    object["total_duration"] = 3_000_000.into();
    object["load_duration"] = 1_000_000.into();
    let Some(usage) = answer.usage else { return };
    object["prompt_eval_count"] = usage.prompt_tokens.into();
    object["prompt_eval_duration"] = 1_000_000.into();
    if usage.completion_tokens > 0 {
        object["eval_count"] = usage.completion_tokens.into();
    }
    object["eval_duration"] = 1_000_000.into();
}
