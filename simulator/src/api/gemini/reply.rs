//! A generated content in one piece.

use serde_json::{Value, json};

use crate::answer::{Answer, Finish, Part, ToolCall, Usage};

use super::{call_signature, text_signature};

pub(in crate::api) fn body(answer: &Answer) -> Vec<u8> {
    let parts: Vec<_> = answer
        .parts
        .iter()
        .enumerate()
        .filter(|(_, part)| part.wording().tokens() > 0)
        .map(|(index, part)| match part {
            Part::Thinking(wording) => json!({"text": wording.whole(), "thought": true}),
            Part::Text(wording) => {
                let mut part = json!({"text": wording.whole()});
                if answer.signs {
                    part["thoughtSignature"] = text_signature().into();
                }
                part
            }
            Part::Call(call) => call_part(answer, index, call),
        })
        .collect();
    let candidates: Vec<_> = (0..answer.choices)
        .map(|index| candidate(index, &parts, Some(finish_reason(answer))))
        .collect();
    response(answer, &candidates, answer.usage)
        .to_string()
        .into_bytes()
}

pub(super) fn response(answer: &Answer, candidates: &[Value], usage: Option<Usage>) -> Value {
    let mut response = json!({"candidates": candidates});
    if let Some(usage) = usage {
        response["usageMetadata"] = told(usage);
    }
    response["modelVersion"] = answer.model.as_str().into();
    response["responseId"] = format!("{:022x}", answer.id).into();
    response
}

pub(super) fn candidate(index: u32, parts: &[Value], finish_reason: Option<&str>) -> Value {
    let mut candidate = json!({"content": {"parts": parts, "role": "model"}});
    if let Some(reason) = finish_reason {
        candidate["finishReason"] = reason.into();
    }
    candidate["index"] = index.into();
    candidate
}

/// Of calls in parallel, the first is signed.
pub(super) fn call_part(answer: &Answer, index: usize, call: &ToolCall) -> Value {
    let mut part = json!({"functionCall": {"name": call.name, "args": call.arguments}});
    if answer.signs && answer.calls_before(index) == 0 {
        part["thoughtSignature"] = call_signature(&call.name).into();
    }
    part
}

/// Calls are no reason of their own here.
pub(super) fn finish_reason(answer: &Answer) -> &'static str {
    match answer.finish {
        Finish::Stop | Finish::ToolCalls => "STOP",
        Finish::Length => "MAX_TOKENS",
    }
}

/// Counts that are zero are absent.
fn told(usage: Usage) -> Value {
    let mut told = json!({"promptTokenCount": usage.prompt_tokens});
    let said = usage
        .completion_tokens
        .saturating_sub(usage.reasoning_tokens);
    if said > 0 {
        told["candidatesTokenCount"] = said.into();
    }
    if usage.reasoning_tokens > 0 {
        told["thoughtsTokenCount"] = usage.reasoning_tokens.into();
    }
    told["totalTokenCount"] = usage.total_tokens().into();
    told["promptTokensDetails"] = json!([{"modality": "TEXT", "tokenCount": usage.prompt_tokens}]);
    told
}
