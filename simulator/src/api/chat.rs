//! `POST /v1/chat/completions`: its request and its objects.

use serde::{Deserialize, Serialize};

use crate::generation::Shape;
use crate::text::Texts;

use super::errors::ApiError;
use super::inference::{Call, Output, StreamOptions, TextOutput, parse_json};

pub(crate) const OBJECT: &str = "chat.completion";
pub(crate) const CHUNK_OBJECT: &str = "chat.completion.chunk";

#[derive(Deserialize)]
struct ChatRequest {
    model: Option<String>,
    messages: Option<Texts>,
    max_tokens: Option<u32>,
    max_completion_tokens: Option<u32>,
    n: Option<u32>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
}

#[derive(Serialize)]
pub(crate) struct Choice<'a> {
    index: u32,
    message: Message<'a>,
    logprobs: Option<()>,
    finish_reason: &'a str,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
    refusal: Option<()>,
    annotations: [(); 0],
}

#[derive(Serialize)]
pub(crate) struct ChunkChoice<'a> {
    index: u32,
    delta: Delta<'a>,
    logprobs: Option<()>,
    finish_reason: Option<&'a str>,
}

/// Fields that a chunk does not change are absent, not null: clients add up what they get.
#[derive(Default, Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
}

pub(super) fn parse(body: &[u8]) -> Result<Call, ApiError> {
    let request: ChatRequest = parse_json(body)?;
    let model = request.model.ok_or(ApiError::missing("model"))?;
    let messages = request.messages.ok_or(ApiError::missing("messages"))?;
    let text = TextOutput {
        shape: Shape::Chat,
        prompts: 1,
        choices: request.n,
        tokens_max: request.max_completion_tokens.or(request.max_tokens),
        stream: request.stream.unwrap_or_default(),
        include_usage: StreamOptions::include_usage(request.stream_options),
    };
    Ok(Call {
        model,
        prompt_tokens: messages.tokens(),
        output: Output::Text(text.checked()?),
    })
}

pub(crate) fn choice<'a>(index: u32, content: &'a str, finish_reason: &'a str) -> Choice<'a> {
    Choice {
        index,
        message: Message {
            role: "assistant",
            content,
            refusal: None,
            annotations: [],
        },
        logprobs: None,
        finish_reason,
    }
}

/// Only the first chunk of a choice has the role.
pub(crate) fn opening(index: u32) -> ChunkChoice<'static> {
    let delta = Delta {
        role: Some("assistant"),
        content: Some(""),
    };
    chunk_choice(index, delta, None)
}

pub(crate) fn delta(index: u32, content: &str) -> ChunkChoice<'_> {
    let delta = Delta {
        role: None,
        content: Some(content),
    };
    chunk_choice(index, delta, None)
}

pub(crate) fn end(index: u32, finish_reason: &str) -> ChunkChoice<'_> {
    chunk_choice(index, Delta::default(), Some(finish_reason))
}

fn chunk_choice<'a>(
    index: u32,
    delta: Delta<'a>,
    finish_reason: Option<&'a str>,
) -> ChunkChoice<'a> {
    ChunkChoice {
        index,
        delta,
        logprobs: None,
        finish_reason,
    }
}
