//! A chat's answer in one piece.

use serde::Serialize;
use serde_json::{Value, json};

use crate::answer::{Answer, Finish};
use crate::api::dialect::{Addressee, Dialect};
use crate::api::errors::{ApiError, error_body};
use crate::api::usage::OpenAiUsage;
use crate::reply::write_json;

use super::request::ChatForm;
use super::{FINGERPRINT, call_id};

const OBJECT: &str = "chat.completion";

/// The object around `choices`, in an answer and in each chunk of a stream.
#[derive(Serialize)]
pub(super) struct Envelope<'a, C> {
    id: String,
    object: &'static str,
    created: u64,
    model: &'a str,
    system_fingerprint: &'static str,
    choices: &'a [C],
    /// Absent, `null` or told.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<OpenAiUsage>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_filter_results: Option<Value>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    message: Message<'a>,
    logprobs: Option<()>,
    finish_reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_filter_results: Option<Value>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    refusal: Option<()>,
    annotations: [(); 0],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tool_calls: &'a [ToolCall<'a>],
}

#[derive(Serialize)]
struct ToolCall<'a> {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: String,
}

pub(in crate::api) fn body(form: &ChatForm, answer: &Answer) -> Vec<u8> {
    let text = answer.text();
    let thoughts = answer.thoughts();
    let choices: Vec<_> = (0..answer.choices)
        .map(|index| {
            let calls: Vec<_> = calls(answer, index).collect();
            (index, calls)
        })
        .collect();
    let choices: Vec<_> = choices
        .iter()
        .map(|(index, calls)| Choice {
            index: *index,
            message: Message {
                role: "assistant",
                content: text.as_deref(),
                reasoning_content: thoughts.as_deref(),
                refusal: None,
                annotations: [],
                tool_calls: calls,
            },
            logprobs: None,
            finish_reason: finish_reason(answer),
            content_filter_results: form.is_filtered.then(filtered),
        })
        .collect();
    let mut out = Vec::with_capacity(512 + text.as_ref().map_or(0, String::len) * choices.len());
    let usage = answer.usage.map(|usage| Some(usage.into()));
    let mut envelope = envelope(answer, OBJECT, &choices, usage);
    envelope.prompt_filter_results = form.is_filtered.then(prompt_filtered);
    write_json(&mut out, &envelope);
    out
}

pub(super) fn envelope<'a, C>(
    answer: &'a Answer,
    object: &'static str,
    choices: &'a [C],
    usage: Option<Option<OpenAiUsage>>,
) -> Envelope<'a, C> {
    Envelope {
        id: format!("chatcmpl-{:029x}", answer.id),
        object,
        created: answer.created,
        model: &answer.model,
        system_fingerprint: FINGERPRINT,
        choices,
        usage,
        prompt_filter_results: None,
    }
}

/// What Azure's filters say of a text that they let through.
pub(super) fn filtered() -> Value {
    let verdict = json!({"filtered": false, "severity": "safe"});
    json!({"hate": verdict, "self_harm": verdict, "sexual": verdict, "violence": verdict})
}

pub(super) fn prompt_filtered() -> Value {
    json!([{"prompt_index": 0, "content_filter_results": filtered()}])
}

pub(super) fn finish_reason(answer: &Answer) -> &'static str {
    match answer.finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
        Finish::ToolCalls => "tool_calls",
    }
}

/// The error of a stream that cannot go on.
pub(in crate::api) fn write_error(answer: &Answer, out: &mut Vec<u8>) {
    let addressee = Addressee {
        dialect: Dialect::OpenAi,
        id: answer.id,
    };
    out.extend_from_slice(b"data: ");
    write_json(out, &error_body(&ApiError::mid_stream(), addressee));
    out.extend_from_slice(b"\n\n");
}

/// The calls of the choice at `index`; no two of an answer share an id.
fn calls(answer: &Answer, index: u32) -> impl Iterator<Item = ToolCall<'_>> {
    let first = index as usize * answer.calls().count();
    let calls = answer.calls().enumerate();
    calls.map(move |(place, call)| ToolCall {
        id: call_id(answer.id, first + place),
        kind: "function",
        function: Function {
            name: &call.name,
            arguments: call.wording.whole(),
        },
    })
}
