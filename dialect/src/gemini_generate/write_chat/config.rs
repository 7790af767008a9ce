//! `generationConfig`.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;

use super::knows_levels;
use crate::BadRequest;
use crate::canon::{Chat, Effort, Field, Format, Losses, Part, Reasoning, Schema};

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
    media_resolution: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_config: Option<ThinkingConfig>,
}

/// What every model that thinks takes: <https://ai.google.dev/gemini-api/docs/thinking#set-budget>.
const BUDGET_MAX: u32 = 24_576;

const STOP_SEQUENCES_MAX: usize = 5;

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
    pub(super) fn new(chat: &'a Chat, model: &str, losses: &Losses) -> Result<Self, BadRequest> {
        if chat.stop.len() > STOP_SEQUENCES_MAX {
            losses.lose(Field::Stop)?;
        }
        Ok(Self {
            temperature: chat.temperature,
            top_p: chat.top_p,
            top_k: chat.top_k,
            candidate_count: chat.n,
            max_output_tokens: chat.max_tokens,
            stop_sequences: chat.stop.get(..STOP_SEQUENCES_MAX).unwrap_or(&chat.stop),
            presence_penalty: chat.presence_penalty,
            frequency_penalty: chat.frequency_penalty,
            seed: chat.seed,
            response_mime_type: chat.format.as_ref().map(|_| "application/json"),
            response_json_schema: chat.format.as_ref().and_then(json_schema),
            response_logprobs: chat.logprobs.map(|_| true),
            logprobs: chat.logprobs.and_then(|logprobs| logprobs.top),
            media_resolution: media_resolution(chat),
            thinking_config: chat
                .reasoning
                .as_ref()
                .map(|reasoning| thinking_config(reasoning, model)),
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

/// How closely images are looked at, if all of them alike: the API has one word for the whole request.
fn media_resolution(chat: &Chat) -> Option<&'static str> {
    let parts = chat.messages.iter().flat_map(|message| &message.parts);
    let mut details = parts.filter_map(|part| match part {
        Part::Image { detail, .. } => Some(detail.as_deref()),
        _ => None,
    });
    let first = details.next()?;
    match first {
        _ if !details.all(|detail| detail == first) => None,
        Some("low") => Some("MEDIA_RESOLUTION_LOW"),
        Some("high" | "original") => Some("MEDIA_RESOLUTION_HIGH"),
        _ => None,
    }
}

/// Google takes a level or a budget, no level for no thoughts at all, and none before Gemini 3. Who gives both means the
/// budget, which is the closer word.
fn thinking_config(reasoning: &Reasoning, model: &str) -> ThinkingConfig {
    let mut config = ThinkingConfig {
        include_thoughts: reasoning.is_shown,
        ..ThinkingConfig::default()
    };
    let budget = match knows_levels(model) {
        true => reasoning.budget,
        false => reasoning.nearest_budget(),
    };
    match (budget, reasoning.effort) {
        (Some(budget), _) => config.thinking_budget = Some(i64::from(budget.min(BUDGET_MAX))),
        (None, Some(Effort::None)) => config.thinking_budget = Some(0),
        (None, Some(effort)) => config.thinking_level = Some(level_of(effort)),
        // As much as the model likes.
        (None, None) if reasoning.is_shown.is_none() => config.thinking_budget = Some(-1),
        (None, None) => {}
    }
    if config.thinking_budget == Some(0) {
        // There are none to show, and asking for them is refused.
        config.include_thoughts = config.include_thoughts.filter(|is_shown| !is_shown);
    }
    config
}

/// There is no word for more than `XHIGH`.
fn level_of(effort: Effort) -> &'static str {
    match effort {
        Effort::None | Effort::Minimal => "MINIMAL",
        Effort::Low => "LOW",
        Effort::Medium => "MEDIUM",
        Effort::High => "HIGH",
        Effort::ExtraHigh | Effort::Max => "XHIGH",
    }
}

#[cfg(test)]
mod tests {
    use shared::config::Dialect;

    use super::*;
    use crate::canon::{Message, Origin, Role, Source};

    #[track_caller]
    fn check(reasoning: &Reasoning, expected: &str) {
        let config = thinking_config(reasoning, "gemini-3-pro");

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
    fn more_than_google_can_think_is_told_as_the_most() {
        let most = |effort, budget| Reasoning {
            effort,
            budget,
            is_shown: None,
        };

        check(
            &most(Some(Effort::Max), None),
            r#"{"thinkingLevel":"XHIGH"}"#,
        );
        check(&most(None, Some(64_000)), r#"{"thinkingBudget":24576}"#);
    }

    #[test]
    fn models_that_know_no_levels_are_told_the_nearest_budget() {
        for (effort, expected) in [
            (Effort::None, 0),
            (Effort::Minimal, 1024),
            (Effort::Low, 1024),
            (Effort::Medium, 8192),
            (Effort::High, 24_576),
            (Effort::Max, 24_576),
        ] {
            let reasoning = Reasoning {
                effort: Some(effort),
                ..Reasoning::default()
            };
            let config = thinking_config(&reasoning, "models/gemini-2.5-flash");

            let expected = ThinkingConfig {
                thinking_budget: Some(expected),
                ..ThinkingConfig::default()
            };
            assert_eq!(config, expected, "{effort:?}");
        }
    }

    #[test]
    fn no_thoughts_are_not_shown() {
        let none = Reasoning {
            effort: Some(Effort::None),
            budget: None,
            is_shown: Some(true),
        };

        check(&none, r#"{"thinkingBudget":0}"#);
    }

    #[test]
    fn images_are_looked_at_as_closely_as_all_of_them_ask_for() {
        let resolution = |details: &[Option<&str>]| {
            let parts = details.iter().map(|detail| Part::Image {
                source: Source::Url("https://example.com/a.png".to_owned()),
                detail: detail.map(str::to_owned),
                origin: Origin::default(),
            });
            media_resolution(&Chat {
                messages: vec![Message::new(Role::User, parts.collect())],
                ..Chat::default()
            })
        };

        assert_eq!(resolution(&[Some("low"); 2]), Some("MEDIA_RESOLUTION_LOW"));
        assert_eq!(resolution(&[Some("high")]), Some("MEDIA_RESOLUTION_HIGH"));
        assert_eq!(resolution(&[Some("low"), None]), None);
        assert_eq!(resolution(&[Some("auto")]), None);
    }

    #[test]
    fn more_sequences_than_google_takes_are_refused() {
        let losses = Losses::new(Dialect::OpenaiChat, Dialect::GeminiGenerate, false);
        let chat = Chat {
            stop: vec!["a".to_owned(); 6],
            ..Chat::default()
        };

        let refused = GenerationConfig::new(&chat, "m", &losses)
            .map(drop)
            .unwrap_err();

        assert_eq!(refused.param.as_deref(), Some("stop"));
    }
}
