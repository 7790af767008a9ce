//! `generationConfig`.

use serde_json::Value;

use super::super::place::{self, Place, camel};
use super::schema;
use crate::BadRequest;
use crate::canon::{Chat, Effort, Format, LogprobsAsked, Reasoning, Schema};

pub(super) fn read_config(value: Value, at: Place<'_>, chat: &mut Chat) -> Result<(), BadRequest> {
    let mut is_json = false;
    let mut schema = None;
    let mut wants_logprobs = false;
    let mut n_alternatives = None;
    for (name, value) in place::fields(value, at)? {
        let at = at.field(&name);
        match &*camel(&name) {
            "temperature" => chat.temperature = Some(at.number(&value)?),
            "topP" => chat.top_p = Some(at.number(&value)?),
            "topK" => chat.top_k = Some(place::count(&value, at)?),
            "candidateCount" => chat.n = Some(place::count(&value, at)?),
            "maxOutputTokens" => chat.max_tokens = Some(place::count(&value, at)?),
            "stopSequences" => chat.stop = place::texts(value, at)?,
            "presencePenalty" => chat.presence_penalty = Some(at.number(&value)?),
            "frequencyPenalty" => chat.frequency_penalty = Some(at.number(&value)?),
            "seed" => chat.seed = Some(at.rounded(&value)?),
            "responseMimeType" => match at.text(value)?.as_str() {
                "text/plain" | "" => {}
                "application/json" => is_json = true,
                other => chat.others.push((at.to_string(), Value::from(other))),
            },
            "responseSchema" => {
                schema = Some(schema::of_openapi(Value::Object(at.object(value)?)));
            }
            "responseJsonSchema" => schema = Some(value),
            "responseLogprobs" => wants_logprobs = at.flag(&value)?,
            "logprobs" => n_alternatives = Some(place::count(&value, at)?),
            "thinkingConfig" => chat.reasoning = read_thinking(value, at, chat)?,
            "responseModalities" if is_text_alone(&value) => {}
            // A hint, as OpenAI's `detail` is.
            "mediaResolution" => {}
            _ => chat.others.push((at.to_string(), value)),
        }
    }
    chat.format = match schema {
        Some(schema) => Some(Format::Schema(Schema {
            schema,
            ..Schema::default()
        })),
        None => is_json.then_some(Format::Json),
    };
    if n_alternatives.is_some() && !wants_logprobs {
        let at = at.field("logprobs");
        return Err(at.invalid("`responseLogprobs: true` beside it"));
    }
    chat.logprobs = wants_logprobs.then_some(LogprobsAsked {
        top: n_alternatives,
    });
    Ok(())
}

fn is_text_alone(modalities: &Value) -> bool {
    let modalities = modalities.as_array().map(Vec::as_slice);
    matches!(modalities, Some([Value::String(modality)]) if modality.eq_ignore_ascii_case("text"))
}

fn read_thinking(
    value: Value,
    at: Place<'_>,
    chat: &mut Chat,
) -> Result<Option<Reasoning>, BadRequest> {
    let mut reasoning = None;
    for (name, value) in place::fields(value, at)? {
        let at = at.field(&name);
        match &*camel(&name) {
            "includeThoughts" => {
                let is_shown = at.flag(&value)?;
                reasoning.get_or_insert_with(Reasoning::default).is_shown = Some(is_shown);
            }
            "thinkingBudget" => {
                // -1 lets the model decide: that it may think is all it says.
                let budget = match at.rounded(&value)? {
                    -1 => None,
                    _ => Some(place::count(&value, at)?),
                };
                reasoning.get_or_insert_with(Reasoning::default).budget = budget;
            }
            "thinkingLevel" => {
                let level = at.text(value)?.to_ascii_lowercase();
                if level == "thinking_level_unspecified" {
                    continue;
                }
                let effort = Effort::parse(&level)
                    .ok_or_else(|| at.invalid("`MINIMAL`, `LOW`, `MEDIUM`, `HIGH` or `XHIGH`"))?;
                reasoning.get_or_insert_with(Reasoning::default).effort = Some(effort);
            }
            _ => chat.others.push((at.to_string(), value)),
        }
    }
    Ok(reasoning)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(config: Value) -> Result<Chat, BadRequest> {
        let mut chat = Chat::default();
        read_config(config, Place::Top.field("generation_config"), &mut chat)?;
        Ok(chat)
    }

    #[track_caller]
    fn check_refused(config: Value, param: &str) {
        let refused = read(config).unwrap_err();

        assert_eq!(refused.param.as_deref(), Some(param));
    }

    #[test]
    fn a_wrong_type_is_told_by_the_clients_own_name() {
        check_refused(
            json!({"max_output_tokens": "5"}),
            "generation_config.max_output_tokens",
        );
        check_refused(json!({"topK": 1.5}), "generation_config.topK");
        check_refused(
            json!({"candidateCount": -1}),
            "generation_config.candidateCount",
        );
        check_refused(
            json!({"stopSequences": ["a", 1]}),
            "generation_config.stopSequences[1]",
        );
        check_refused(
            json!({"thinkingConfig": {"thinkingLevel": "LOTS"}}),
            "generation_config.thinkingConfig.thinkingLevel",
        );
        check_refused(json!({"logprobs": 3}), "generation_config.logprobs");
    }

    #[test]
    fn a_null_is_a_field_that_is_not_there() {
        let chat = read(json!({"topP": null, "topK": 40.0, "thinkingConfig": null})).unwrap();

        let expected = Chat {
            top_k: Some(40),
            ..Chat::default()
        };
        assert_eq!(chat, expected);
    }

    #[test]
    fn fields_without_a_place_are_told_by_their_path() {
        let chat = read(json!({
            "mediaResolution": "MEDIA_RESOLUTION_LOW",
            "responseModalities": ["TEXT", "IMAGE"],
            "responseMimeType": "text/x.enum",
        }))
        .unwrap();

        let paths: Vec<&str> = chat.others.iter().map(|(path, _)| &**path).collect();
        let expected = [
            "generation_config.responseModalities",
            "generation_config.responseMimeType",
        ];
        assert_eq!(paths, expected);
    }

    #[test]
    fn a_budget_of_minus_one_lets_the_model_decide() {
        let reasoning = |config: Value| read(json!({"thinkingConfig": config})).unwrap().reasoning;

        assert_eq!(
            reasoning(json!({"thinkingBudget": -1})),
            Some(Reasoning::default())
        );
        assert_eq!(reasoning(json!({})), None);
        let none = reasoning(json!({"thinkingBudget": 0})).unwrap();
        assert_eq!(none.budget, Some(0));
    }
}
