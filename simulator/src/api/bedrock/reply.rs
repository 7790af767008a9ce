//! A conversation's answer in one piece.

use serde_json::{Value, json};

use crate::answer::{Answer, Finish, Part, Usage};

use super::{signature, tool_use_id};

pub(in crate::api) fn body(answer: &Answer) -> Vec<u8> {
    let content: Vec<_> = answer
        .parts
        .iter()
        .enumerate()
        .filter(|(_, part)| part.wording().tokens() > 0)
        .map(|(index, part)| match part {
            Part::Thinking(wording) => {
                let text = wording.whole();
                let signature = signature(&text);
                json!({"reasoningContent": {"reasoningText": {"text": text, "signature": signature}}})
            }
            Part::Text(wording) => json!({"text": wording.whole()}),
            Part::Call(call) => {
                let id = tool_use_id(answer.id, answer.calls_before(index));
                json!({"toolUse": {"toolUseId": id, "name": call.name, "input": call.arguments}})
            }
        })
        .collect();
    let mut body = json!({
        "metrics": {"latencyMs": 1},
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": stop_reason(answer),
    });
    if let Some(usage) = answer.usage {
        body["usage"] = told(usage);
    }
    body.to_string().into_bytes()
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
        "inputTokens": usage.prompt_tokens,
        "outputTokens": usage.completion_tokens,
        "totalTokens": usage.total_tokens(),
        "cacheReadInputTokens": 0,
        "cacheWriteInputTokens": 0,
    })
}
