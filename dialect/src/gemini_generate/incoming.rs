//! What an upstream answers, whole or as one chunk of a stream.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::{ReplyFault, UpstreamError};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer<'a> {
    pub(super) candidates: Option<Vec<Candidate<'a>>>,
    pub(super) prompt_feedback: Option<PromptFeedback>,
    /// Raw, so that an odd report does not spoil the answer.
    #[serde(borrow)]
    pub(super) usage_metadata: Option<&'a RawValue>,
    pub(super) model_version: Option<String>,
    pub(super) response_id: Option<String>,
    pub(super) error: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Candidate<'a> {
    #[serde(borrow)]
    pub(super) content: Option<Content<'a>>,
    pub(super) finish_reason: Option<String>,
    pub(super) finish_message: Option<String>,
    /// Absent is 0.
    pub(super) index: Option<u32>,
    #[serde(borrow)]
    pub(super) logprobs_result: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct Content<'a> {
    #[serde(borrow)]
    pub(super) parts: Option<Vec<Part<'a>>>,
}

/// Parts of other kinds come only if Google's own tools or images were asked for, which the canonical form has no place
/// for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Part<'a> {
    pub(super) text: Option<String>,
    pub(super) thought: Option<bool>,
    pub(super) thought_signature: Option<String>,
    #[serde(borrow)]
    pub(super) function_call: Option<FunctionCall<'a>>,
    inline_data: Option<IgnoredAny>,
    file_data: Option<IgnoredAny>,
    executable_code: Option<IgnoredAny>,
    code_execution_result: Option<IgnoredAny>,
    tool_call: Option<IgnoredAny>,
    tool_response: Option<IgnoredAny>,
}

impl Part<'_> {
    /// Whether an answer with this part is one. Thoughts are for nothing without an answer.
    pub(super) fn says_something(&self) -> bool {
        let others = [
            &self.inline_data,
            &self.file_data,
            &self.executable_code,
            &self.code_execution_result,
            &self.tool_call,
            &self.tool_response,
        ];
        let has_text = self.text.as_ref().is_some_and(|text| !text.is_empty());
        let is_thought = self.thought == Some(true);
        self.function_call.is_some()
            || (!is_thought && (has_text || others.into_iter().any(Option::is_some)))
    }
}

#[derive(Deserialize)]
pub(super) struct FunctionCall<'a> {
    pub(super) id: Option<String>,
    /// Absent in the later pieces of a call whose arguments are streamed.
    pub(super) name: Option<String>,
    #[serde(borrow)]
    pub(super) args: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PromptFeedback {
    pub(super) block_reason: Option<String>,
}

impl PromptFeedback {
    pub(super) fn is_block(&self) -> bool {
        let reason = self.block_reason.as_deref().unwrap_or_default();
        !matches!(
            reason,
            "" | "BLOCK_REASON_UNSPECIFIED" | "BLOCKED_REASON_UNSPECIFIED"
        )
    }
}

impl FunctionCall<'_> {
    /// JSON text on one line.
    pub(super) fn arguments(&self) -> String {
        let args = self.args.map(RawValue::get);
        args.map_or_else(|| "{}".to_owned(), super::arguments::on_one_line)
    }
}

/// What a body is that does not read as an answer.
pub(super) fn fault_of(body: &[u8]) -> ReplyFault {
    match UpstreamError::parse(body) {
        // Google's errors come in an array at times.
        Some(error) => ReplyFault::from(error),
        None if serde_json::from_slice::<IgnoredAny>(body).is_ok() => ReplyFault::NoAnswer,
        None => ReplyFault::NotJson,
    }
}
