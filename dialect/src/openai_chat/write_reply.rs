//! The canonical form → a whole answer for a client.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;

use super::shapes::{BlockShape, CallShape, ThoughtsShape, UsageShape, told};
use super::{answer_id, call_id, finish_reason};
use crate::canon::{AnswerFacts, Choice, Part, Reply};

#[derive(Serialize)]
struct Body<'a> {
    id: String,
    object: &'static str,
    created: i64,
    model: &'a str,
    choices: Vec<ChoiceShape<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageShape>,
}

#[derive(Serialize)]
struct ChoiceShape<'a> {
    index: usize,
    message: MessageShape<'a>,
    logprobs: &'a Option<Value>,
    finish_reason: &'static str,
}

#[derive(Default, Serialize)]
struct MessageShape<'a> {
    role: &'static str,
    content: Option<String>,
    refusal: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    reasoning_content: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    thinking_blocks: Vec<BlockShape<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<CallShape<'a>>,
}

pub(crate) fn write_reply(mut reply: Reply, facts: &AnswerFacts) -> Vec<u8> {
    name_calls(&mut reply, facts);
    let body = Body {
        id: answer_id(reply.id.as_deref(), facts),
        object: "chat.completion",
        created: facts.created,
        model: reply.model.as_deref().unwrap_or(&facts.model),
        choices: reply.choices.iter().enumerate().map(choice).collect(),
        usage: reply.usage.map(UsageShape::from),
    };
    serde_json::to_vec(&body).unwrap_or_default()
}

/// Gives an id to each call that has none.
fn name_calls(reply: &mut Reply, facts: &AnswerFacts) {
    let parts = reply
        .choices
        .iter_mut()
        .flat_map(|choice| &mut choice.parts);
    let calls = parts.filter_map(|part| match part {
        Part::ToolCall(call) => Some(call),
        _ => None,
    });
    for (n, call) in (0..).zip(calls) {
        if call.id.is_empty() {
            call.id = call_id(n, facts);
        }
    }
}

fn choice((index, choice): (usize, &Choice)) -> ChoiceShape<'_> {
    let mut message = MessageShape {
        role: "assistant",
        ..MessageShape::default()
    };
    for part in &choice.parts {
        match part {
            Part::Text(text) => message.content.get_or_insert_default().push_str(text),
            Part::Refusal(text) => message.refusal.get_or_insert_default().push_str(text),
            Part::Thinking { text, signature } => {
                message.reasoning_content.push_str(text);
                let signed = signature.as_ref().map(|proof| ThoughtsShape::Thinking {
                    thinking: text,
                    signature: told(proof),
                });
                message.thinking_blocks.extend(signed.map(BlockShape::of));
            }
            Part::RedactedThinking(sealed) => {
                let data = told(sealed);
                let redacted = ThoughtsShape::RedactedThinking { data };
                message.thinking_blocks.push(BlockShape::of(redacted));
            }
            Part::ToolCall(call) => message.tool_calls.push(CallShape::new(
                Cow::Borrowed(&call.id),
                &call.name,
                &call.arguments,
                call.signature.as_ref().map(told),
            )),
            Part::Image { .. } | Part::Audio { .. } | Part::File { .. } | Part::ToolResult(_) => {}
        }
    }
    if message.refusal.is_none() && message.tool_calls.is_empty() {
        // Null stands for another kind of answer; this one is empty.
        message.content.get_or_insert_default();
    }
    ChoiceShape {
        index,
        message,
        logprobs: &choice.logprobs,
        finish_reason: finish_reason(choice.finish),
    }
}
