//! JSON that is written in several places: tool calls, thoughts, token counts.

use std::borrow::Cow;

use serde::Serialize;
use shared::config::Dialect;

use crate::Usage;
use crate::canon::Proof;

/// Appends the JSON of `value`.
pub(super) fn append(out: &mut Vec<u8>, value: &impl Serialize) {
    // Shapes of strings and numbers always have a text, and a vector takes it.
    serde_json::to_writer(out, value).unwrap_or_default();
}

/// A tool call, or in a stream the beginning of one.
#[derive(Debug, Serialize)]
pub(super) struct CallShape<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) index: Option<u32>,
    pub(super) id: Cow<'a, str>,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) function: FunctionShape<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) extra_content: Option<ExtraContentShape<'a>>,
}

#[derive(Debug, Serialize)]
pub(super) struct FunctionShape<'a> {
    pub(super) name: &'a str,
    pub(super) arguments: &'a str,
}

/// Where Google's endpoint has the signature of a call.
#[derive(Debug, Serialize)]
pub(super) struct ExtraContentShape<'a> {
    google: GoogleShape<'a>,
}

#[derive(Debug, Serialize)]
struct GoogleShape<'a> {
    thought_signature: Cow<'a, str>,
}

impl<'a> CallShape<'a> {
    pub(super) fn new(
        id: Cow<'a, str>,
        name: &'a str,
        arguments: &'a str,
        signature: Option<Cow<'a, str>>,
    ) -> Self {
        Self {
            index: None,
            id,
            kind: "function",
            function: FunctionShape { name, arguments },
            extra_content: signature.map(|thought_signature| ExtraContentShape {
                google: GoogleShape { thought_signature },
            }),
        }
    }
}

/// Thoughts that the provider signed.
#[derive(Debug, Serialize)]
pub(super) struct BlockShape<'a> {
    /// In a stream: the SDK asks for one in every list of objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) index: Option<u32>,
    #[serde(flatten)]
    pub(super) thoughts: ThoughtsShape<'a>,
}

impl<'a> BlockShape<'a> {
    pub(super) fn of(thoughts: ThoughtsShape<'a>) -> Self {
        Self {
            index: None,
            thoughts,
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ThoughtsShape<'a> {
    Thinking {
        thinking: &'a str,
        signature: Cow<'a, str>,
    },
    RedactedThinking {
        data: Cow<'a, str>,
    },
}

/// A proof as this dialect's clients get it: it has none of its own.
pub(super) fn told(proof: &Proof) -> Cow<'_, str> {
    proof.write(Dialect::OpenaiChat)
}

/// The value of a `usage` field.
#[derive(Debug, Serialize)]
pub(super) struct UsageShape {
    prompt_tokens: u32,
    completion_tokens: u32,
    total_tokens: u32,
    prompt_tokens_details: PromptShape,
    completion_tokens_details: CompletionShape,
}

#[derive(Debug, Serialize)]
struct PromptShape {
    cached_tokens: u32,
    cache_write_tokens: u32,
}

#[derive(Debug, Serialize)]
struct CompletionShape {
    reasoning_tokens: u32,
}

impl From<Usage> for UsageShape {
    fn from(usage: Usage) -> Self {
        let total_tokens = usage.total();
        let Usage {
            prompt_tokens,
            completion_tokens,
            cached_tokens,
            cache_write_tokens,
            reasoning_tokens,
        } = usage;
        Self {
            prompt_tokens,
            completion_tokens,
            total_tokens,
            prompt_tokens_details: PromptShape {
                cached_tokens,
                cache_write_tokens,
            },
            completion_tokens_details: CompletionShape { reasoning_tokens },
        }
    }
}
