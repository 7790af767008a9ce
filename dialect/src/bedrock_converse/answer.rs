//! What whole and streamed answers end with: why, and what they cost.

use serde::Deserialize;
use serde_json::Value;
use shared::units::TOKENS_MAX;

use crate::canon::Finish;
use crate::{UpstreamError, Usage};

/// The end of an answer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stop {
    pub(super) stop_reason: Option<String>,
    /// Holds what `additionalModelResponseFieldPaths` asked for; only a model's overrides can.
    pub(super) additional_model_response_fields: Option<Value>,
}

/// Server tools are run by Bedrock; their calls are none that a client could answer.
pub(super) const SERVER_TOOL: &str = "server_tool_use";

impl Stop {
    /// # Errors
    ///
    /// A model whose output was no answer; Bedrock sends it with a 200.
    pub(super) fn finish(&self, has_calls: bool) -> Result<Finish, Box<UpstreamError>> {
        match self.stop_reason.as_deref().unwrap_or_default() {
            "tool_use" => Ok(Finish::ToolCalls),
            "max_tokens" | "model_context_window_exceeded" => Ok(Finish::Length),
            "guardrail_intervened" | "content_filtered" => Ok(Finish::ContentFilter),
            reason @ ("malformed_model_output" | "malformed_tool_use") => {
                Err(Box::new(UpstreamError {
                    message: format!("The model's output cannot be used (`{reason}`)."),
                    kind: Some(reason.to_owned()),
                    // That of a `ModelErrorException`.
                    status: Some(424),
                    ..UpstreamError::default()
                }))
            }
            // `end_turn`, `stop_sequence`, and what is not known yet.
            _ => Ok(match has_calls {
                true => Finish::ToolCalls,
                false => Finish::Stop,
            }),
        }
    }

    pub(super) fn sequence(&self) -> Option<String> {
        let fields = self.additional_model_response_fields.as_ref()?;
        Some(fields.get("stop_sequence")?.as_str()?.to_owned())
    }
}

/// Reads a `usage`; `None` if it cannot be believed.
///
/// `inputTokens` are those that neither came from the cache nor went into it.
pub(super) fn usage(report: &Value) -> Option<Usage> {
    let count = |name| Usage::count(report.get(name));
    let cached_tokens = count("cacheReadInputTokens")?;
    let cache_write_tokens = count("cacheWriteInputTokens")?;
    let prompt_tokens = count("inputTokens")?
        .checked_add(cached_tokens)?
        .checked_add(cache_write_tokens)?;
    let usage = Usage {
        prompt_tokens,
        completion_tokens: count("outputTokens")?,
        cached_tokens,
        cache_write_tokens,
        reasoning_tokens: 0,
    };
    let is_plausible = i64::from(prompt_tokens) <= i64::from(TOKENS_MAX);
    is_plausible.then(|| usage.believed())?
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn finish(reason: &str, has_calls: bool) -> Result<Finish, Box<UpstreamError>> {
        let stop: Stop = serde_json::from_value(json!({"stopReason": reason})).unwrap();
        stop.finish(has_calls)
    }

    #[test]
    fn every_reason_has_its_finish() {
        for (reason, expected) in [
            ("end_turn", Finish::Stop),
            ("stop_sequence", Finish::Stop),
            ("tool_use", Finish::ToolCalls),
            ("max_tokens", Finish::Length),
            ("model_context_window_exceeded", Finish::Length),
            ("guardrail_intervened", Finish::ContentFilter),
            ("content_filtered", Finish::ContentFilter),
            ("of_next_year", Finish::Stop),
        ] {
            assert_eq!(finish(reason, false), Ok(expected), "{reason}");
        }
    }

    #[test]
    fn an_answer_that_calls_tools_ends_for_that_reason() {
        assert_eq!(finish("end_turn", true), Ok(Finish::ToolCalls));
        assert_eq!(finish("max_tokens", true), Ok(Finish::Length));
    }

    #[test]
    fn output_that_cannot_be_used_is_an_error_of_the_upstream() {
        for reason in ["malformed_model_output", "malformed_tool_use"] {
            let error = finish(reason, true).unwrap_err();

            assert_eq!(error.kind.as_deref(), Some(reason));
            assert_eq!(error.status, Some(424));
        }
    }

    #[test]
    fn a_prompt_has_its_cached_tokens_within() {
        let report = json!({"inputTokens": 10, "outputTokens": 5, "totalTokens": 315,
            "cacheReadInputTokens": 100, "cacheWriteInputTokens": 200});

        let usage = usage(&report).unwrap();

        assert_eq!((usage.prompt_tokens, usage.completion_tokens), (310, 5));
        assert_eq!((usage.cached_tokens, usage.cache_write_tokens), (100, 200));
    }

    #[test]
    fn an_absurd_report_is_not_believed() {
        for report in [
            json!({"inputTokens": -1, "outputTokens": 5}),
            json!({"inputTokens": "10", "outputTokens": 5}),
            json!({"inputTokens": TOKENS_MAX, "outputTokens": 5, "cacheReadInputTokens": 1}),
            json!({}),
            json!([]),
        ] {
            assert_eq!(usage(&report), None, "{report}");
        }
    }
}
