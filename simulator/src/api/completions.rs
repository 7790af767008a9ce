//! `POST /v1/completions`: its request and its objects.

use serde::{Deserialize, Serialize};

use crate::generation::Shape;
use crate::text::Texts;

use super::errors::ApiError;
use super::inference::{Call, Output, StreamOptions, TextOutput, parse_json};

/// Of an answer and of each chunk.
pub(crate) const OBJECT: &str = "text_completion";

#[derive(Deserialize)]
struct CompletionRequest {
    model: Option<String>,
    prompt: Option<Texts>,
    max_tokens: Option<u32>,
    n: Option<u32>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
}

/// A choice, whole or of a chunk.
#[derive(Serialize)]
pub(crate) struct Choice<'a> {
    text: &'a str,
    index: u32,
    logprobs: Option<()>,
    finish_reason: Option<&'a str>,
}

pub(super) fn parse(body: &[u8]) -> Result<Call, ApiError> {
    let request: CompletionRequest = parse_json(body)?;
    let model = request.model.ok_or(ApiError::missing("model"))?;
    // OpenAI takes an absent prompt for the beginning of a document.
    let prompt = request.prompt.unwrap_or_default();
    let text = TextOutput {
        shape: Shape::Completion,
        prompts: prompt.items(),
        choices: request.n,
        tokens_max: request.max_tokens,
        stream: request.stream.unwrap_or_default(),
        include_usage: StreamOptions::include_usage(request.stream_options),
    };
    Ok(Call {
        model,
        prompt_tokens: prompt.tokens(),
        output: Output::Text(text.checked()?),
    })
}

pub(crate) fn choice<'a>(index: u32, text: &'a str, finish_reason: Option<&'a str>) -> Choice<'a> {
    Choice {
        text,
        index,
        logprobs: None,
        finish_reason,
    }
}
