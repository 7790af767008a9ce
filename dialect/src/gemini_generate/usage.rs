//! `usageMetadata`, both ways.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::units::TOKENS_MAX;

use crate::Usage;

/// As Google reports it: thoughts beside the answer's tokens, and cached tokens among the prompt's.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reported {
    prompt_token_count: Option<Value>,
    tool_use_prompt_token_count: Option<Value>,
    candidates_token_count: Option<Value>,
    thoughts_token_count: Option<Value>,
    cached_content_token_count: Option<Value>,
}

/// As Google's clients know it; counts of zero are left out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UsageMetadata {
    prompt_token_count: u32,
    #[serde(skip_serializing_if = "is_zero")]
    candidates_token_count: u32,
    total_token_count: u32,
    #[serde(skip_serializing_if = "is_zero")]
    thoughts_token_count: u32,
    #[serde(skip_serializing_if = "is_zero")]
    cached_content_token_count: u32,
}

/// Reads the value of `usageMetadata`; `None` if it cannot be believed.
pub(super) fn read_usage(raw: &str) -> Option<Usage> {
    let Reported {
        prompt_token_count,
        tool_use_prompt_token_count,
        candidates_token_count,
        thoughts_token_count,
        cached_content_token_count,
    } = serde_json::from_str(raw).ok()?;
    let count = |value: &Option<Value>| Usage::count(value.as_ref());
    let sum = |one: u32, other: u32| one.checked_add(other).filter(|sum| *sum <= TOKENS_MAX);
    let reasoning_tokens = count(&thoughts_token_count)?;
    let usage = Usage {
        prompt_tokens: sum(
            count(&prompt_token_count)?,
            count(&tool_use_prompt_token_count)?,
        )?,
        completion_tokens: sum(count(&candidates_token_count)?, reasoning_tokens)?,
        cached_tokens: count(&cached_content_token_count)?,
        cache_write_tokens: 0,
        reasoning_tokens,
    };
    usage.believed()
}

impl From<Usage> for UsageMetadata {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_token_count: usage.prompt_tokens,
            candidates_token_count: usage
                .completion_tokens
                .saturating_sub(usage.reasoning_tokens),
            total_token_count: usage.total(),
            thoughts_token_count: usage.reasoning_tokens,
            cached_content_token_count: usage.cached_tokens,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thoughts_are_of_the_completion_and_tools_of_the_prompt() {
        let raw = r#"{"promptTokenCount":10,"toolUsePromptTokenCount":2,"candidatesTokenCount":5,
            "thoughtsTokenCount":7,"cachedContentTokenCount":4,"totalTokenCount":24,
            "promptTokensDetails":[{"modality":"TEXT","tokenCount":10}]}"#;

        let expected = Usage {
            prompt_tokens: 12,
            completion_tokens: 12,
            cached_tokens: 4,
            cache_write_tokens: 0,
            reasoning_tokens: 7,
        };
        assert_eq!(read_usage(raw), Some(expected));
    }

    #[test]
    fn absent_counts_are_zero_and_absurd_ones_spoil_the_report() {
        let prompt_alone = read_usage(r#"{"promptTokenCount":3}"#).unwrap();

        assert_eq!(
            (prompt_alone.prompt_tokens, prompt_alone.completion_tokens),
            (3, 0)
        );
        for raw in [
            "{}",
            "[]",
            "7",
            r#"{"promptTokenCount":-1}"#,
            r#"{"promptTokenCount":"3"}"#,
            r#"{"promptTokenCount":2147483647,"toolUsePromptTokenCount":2147483647}"#,
        ] {
            assert_eq!(read_usage(raw), None, "{raw}");
        }
    }

    #[test]
    fn a_report_says_what_it_was_told() {
        let usage = Usage {
            prompt_tokens: 12,
            completion_tokens: 12,
            cached_tokens: 4,
            cache_write_tokens: 0,
            reasoning_tokens: 7,
        };

        let text = serde_json::to_string(&UsageMetadata::from(usage)).unwrap();

        assert_eq!(read_usage(&text), Some(usage));
        assert!(text.contains(r#""totalTokenCount":24"#), "{text}");
    }
}
