//! `generationConfig`.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;

use crate::BadRequest;
use crate::canon::{Chat, Effort, Field, Format, Losses, Reasoning, Schema};

#[derive(Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GenerationConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    candidate_count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u32>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop_sequences: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_mime_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_json_schema: Option<Cow<'a, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_config: Option<ThinkingConfig>,
}

#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ThinkingConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    include_thoughts: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_budget: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_level: Option<&'static str>,
}

impl<'a> GenerationConfig<'a> {
    pub(super) fn new(chat: &'a Chat, losses: &Losses) -> Result<Self, BadRequest> {
        Ok(Self {
            temperature: chat.temperature,
            top_p: chat.top_p,
            top_k: chat.top_k,
            candidate_count: chat.n,
            max_output_tokens: chat.max_tokens,
            stop_sequences: &chat.stop,
            presence_penalty: chat.presence_penalty,
            frequency_penalty: chat.frequency_penalty,
            seed: chat.seed,
            response_mime_type: chat.format.as_ref().map(|_| "application/json"),
            response_json_schema: chat.format.as_ref().and_then(json_schema),
            response_logprobs: chat.logprobs.map(|_| true),
            logprobs: chat.logprobs.and_then(|logprobs| logprobs.top),
            thinking_config: match &chat.reasoning {
                Some(reasoning) => Some(thinking_config(reasoning, losses)?),
                None => None,
            },
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Every schema is strict here, and none has a name; what it is for stands inside of it.
fn json_schema(format: &Format) -> Option<Cow<'_, Value>> {
    let Format::Schema(Schema {
        schema,
        description,
        ..
    }) = format
    else {
        return None;
    };
    match (schema, description) {
        (Value::Object(fields), Some(description)) if !fields.contains_key("description") => {
            let mut fields = fields.clone();
            fields.insert("description".to_owned(), Value::from(description.clone()));
            Some(Cow::Owned(Value::Object(fields)))
        }
        _ => Some(Cow::Borrowed(schema)),
    }
}

/// Google takes a level or a budget, and no level for no thoughts at all. Who gives both means the budget, which is the
/// closer word.
fn thinking_config(reasoning: &Reasoning, losses: &Losses) -> Result<ThinkingConfig, BadRequest> {
    let mut config = ThinkingConfig {
        include_thoughts: reasoning.is_shown,
        ..ThinkingConfig::default()
    };
    match (reasoning.budget, reasoning.effort) {
        (Some(budget), _) => config.thinking_budget = Some(i64::from(budget)),
        (None, Some(Effort::None)) => config.thinking_budget = Some(0),
        (None, Some(effort)) => match level_of(effort) {
            Some(level) => config.thinking_level = Some(level),
            None => losses.lose(Field::Reasoning)?,
        },
        // As much as the model likes.
        (None, None) if reasoning.is_shown.is_none() => config.thinking_budget = Some(-1),
        (None, None) => {}
    }
    Ok(config)
}

fn level_of(effort: Effort) -> Option<&'static str> {
    match effort {
        Effort::Minimal => Some("MINIMAL"),
        Effort::Low => Some("LOW"),
        Effort::Medium => Some("MEDIUM"),
        Effort::High => Some("HIGH"),
        Effort::ExtraHigh => Some("XHIGH"),
        Effort::None | Effort::Max => None,
    }
}

#[cfg(test)]
mod tests {
    use shared::config::Dialect;

    use super::*;

    #[track_caller]
    fn check(reasoning: &Reasoning, expected: &str) {
        let losses = Losses::new(Dialect::OpenaiChat, Dialect::GeminiGenerate, false);

        let config = thinking_config(reasoning, &losses).unwrap();

        assert_eq!(serde_json::to_string(&config).unwrap(), expected);
    }

    #[test]
    fn thoughts_are_asked_for_by_level_or_by_budget_and_never_by_both() {
        let low = Some(Effort::Low);
        let reasoning = |effort, budget, is_shown| Reasoning {
            effort,
            budget,
            is_shown,
        };

        check(
            &reasoning(low, None, Some(true)),
            r#"{"includeThoughts":true,"thinkingLevel":"LOW"}"#,
        );
        check(
            &reasoning(low, Some(512), None),
            r#"{"thinkingBudget":512}"#,
        );
        check(
            &reasoning(Some(Effort::None), None, None),
            r#"{"thinkingBudget":0}"#,
        );
        check(
            &reasoning(None, None, Some(false)),
            r#"{"includeThoughts":false}"#,
        );
        check(&reasoning(None, None, None), r#"{"thinkingBudget":-1}"#);
    }

    #[test]
    fn more_than_google_can_think_is_refused() {
        let losses = Losses::new(Dialect::OpenaiChat, Dialect::GeminiGenerate, false);
        let most = Reasoning {
            effort: Some(Effort::Max),
            ..Reasoning::default()
        };

        let refused = thinking_config(&most, &losses).unwrap_err();

        assert_eq!(refused.param.as_deref(), Some("reasoning_effort"));
    }
}
