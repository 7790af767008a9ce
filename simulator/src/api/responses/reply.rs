//! A response in one piece, and the objects that its events are made of too.

use serde_json::{Value, json};

use crate::answer::{Answer, Finish, Part, ToolCall, Usage};
use crate::api::openai_chat::call_id;

use super::request::ResponsesForm;
use super::{encrypted_content, item_id, response_id};

pub(in crate::api) fn body(form: &ResponsesForm, answer: &Answer) -> Vec<u8> {
    let response = match form.is_background {
        true => response(form, answer, "queued", &json!([])),
        false => finished(form, answer),
    };
    response.to_string().into_bytes()
}

/// The response when all is said.
pub(super) fn finished(form: &ResponsesForm, answer: &Answer) -> Value {
    let output: Vec<_> = parts(answer)
        .map(|(index, part)| item(form, answer, index, part, status(answer)))
        .collect();
    let mut response = response(form, answer, status(answer), &output.into());
    if answer.finish == Finish::Length {
        response["incomplete_details"] = json!({"reason": "max_output_tokens"});
    }
    if let Some(usage) = answer.usage {
        response["usage"] = told(usage);
    }
    response
}

pub(super) fn response(
    form: &ResponsesForm,
    answer: &Answer,
    status: &str,
    output: &Value,
) -> Value {
    let mut response = json!({
        "id": response_id(answer.id),
        "object": "response",
        "created_at": answer.created,
        "status": status,
        "background": form.is_background,
        "error": null,
        "incomplete_details": null,
        "model": answer.model,
        "output": output,
        "usage": null,
    });
    for (name, value) in &form.echo {
        response[name] = value.clone();
    }
    response
}

pub(super) fn status(answer: &Answer) -> &'static str {
    match answer.finish {
        Finish::Stop | Finish::ToolCalls => "completed",
        Finish::Length => "incomplete",
    }
}

/// The parts that become items, with their places in the output.
pub(super) fn parts(answer: &Answer) -> impl Iterator<Item = (usize, &Part)> {
    let parts = answer.parts.iter();
    parts.filter(|part| part.wording().tokens() > 0).enumerate()
}

/// The item of a part that is whole.
fn item(form: &ResponsesForm, answer: &Answer, index: usize, part: &Part, status: &str) -> Value {
    match part {
        Part::Thinking(wording) => {
            let summary = match form.shows_summary {
                true => json!([summary_text(&wording.whole())]),
                false => json!([]),
            };
            thoughts(form, answer, index, &summary)
        }
        Part::Text(wording) => {
            let content = json!([output_text(&wording.whole())]);
            message(answer, index, status, &content)
        }
        Part::Call(it) => call(answer, index, it, "completed", &it.wording.whole()),
    }
}

pub(super) fn thoughts(
    form: &ResponsesForm,
    answer: &Answer,
    index: usize,
    summary: &Value,
) -> Value {
    let id = item_id("rs", answer.id, index);
    let mut item = json!({"id": id, "type": "reasoning", "summary": summary});
    if form.seals_thoughts {
        item["encrypted_content"] = encrypted_content().into();
    }
    item
}

pub(super) fn message(answer: &Answer, index: usize, status: &str, content: &Value) -> Value {
    json!({
        "id": item_id("msg", answer.id, index),
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": content,
    })
}

pub(super) fn call(
    answer: &Answer,
    index: usize,
    call: &ToolCall,
    status: &str,
    arguments: &str,
) -> Value {
    json!({
        "id": item_id("fc", answer.id, index),
        "type": "function_call",
        "status": status,
        "arguments": arguments,
        "call_id": call_id(answer.id, index),
        "name": call.name,
    })
}

pub(super) fn output_text(text: &str) -> Value {
    json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text})
}

pub(super) fn summary_text(text: &str) -> Value {
    json!({"type": "summary_text", "text": text})
}

fn told(usage: Usage) -> Value {
    json!({
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.total_tokens(),
    })
}
