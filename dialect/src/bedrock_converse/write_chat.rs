//! The canonical form → a request for an upstream.

mod media;
mod tools;
mod turns;

use serde::Serialize;

use self::tools::ToolConfig;
use self::turns::{Block, Turn, Turns};
use crate::canon::{
    Chat, Effort, Field, Format, Losses, Reasoning, Schema, StrictRoom, Unsupported,
};
use crate::{BadRequest, Target};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system: Vec<Block<'a>>,
    messages: Vec<Turn<'a>>,
    #[serde(skip_serializing_if = "InferenceConfig::is_empty")]
    inference_config: InferenceConfig<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<ToolConfig<'a>>,
    #[serde(skip_serializing_if = "OutputConfig::is_empty")]
    output_config: OutputConfig<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InferenceConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop_sequences: Vec<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OutputConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    text_format: Option<TextFormat<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
}

#[derive(Serialize)]
struct TextFormat<'a> {
    r#type: &'static str,
    structure: Structure<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Structure<'a> {
    JsonSchema {
        /// JSON within JSON.
        schema: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
    },
}

/// Writes a whole request.
///
/// # Errors
///
/// What this dialect has no words for, unless `losses` says to drop it; and what cannot be told at all, such as a tool
/// call whose arguments are no JSON.
pub(crate) fn write_chat(
    chat: &Chat,
    _target: &Target<'_>,
    losses: &Losses,
) -> Result<Vec<u8>, BadRequest> {
    losses.lose_others(&chat.others)?;
    lose_settings(chat, losses)?;
    let turns = Turns::of(chat, losses)?;
    let mut room = StrictRoom::of_request();
    let text_format = text_format(chat, &mut room, losses)?;
    let in_words = match (&text_format, &chat.format) {
        (None, Some(asked)) => Some(Block::Text(asked.in_words())),
        _ => None,
    };
    let body = Body {
        tool_config: ToolConfig::of(chat, turns.have_tools(), &mut room, losses)?,
        inference_config: InferenceConfig::of(chat, losses)?,
        output_config: OutputConfig {
            text_format,
            effort: effort(chat.reasoning.as_ref(), losses)?,
        },
        system: turns.system.into_iter().chain(in_words).collect(),
        messages: turns.messages,
    };
    serde_json::to_vec(&body)
        .map_err(|error| BadRequest::new(format!("The request cannot be written: {error}.")))
}

/// Settings that some models behind Converse have, each under a name of its own in `additionalModelRequestFields`; a
/// model's overrides can set those.
fn lose_settings(chat: &Chat, losses: &Losses) -> Result<(), Unsupported> {
    losses.lose_if(Field::TopK, chat.top_k)?;
    losses.lose_if(Field::MinP, chat.min_p)?;
    losses.lose_if(Field::FrequencyPenalty, chat.frequency_penalty)?;
    losses.lose_if(Field::PresencePenalty, chat.presence_penalty)?;
    losses.lose_if(Field::Seed, chat.seed)?;
    losses.lose_if(Field::N, chat.n.filter(|n| *n != 1))?;
    losses.lose_if(Field::Logprobs, chat.logprobs)?;
    losses.lose_if(Field::LogitBias, chat.logit_bias.as_ref())?;
    losses.lose_if(Field::Verbosity, chat.verbosity.as_ref())
}

impl<'a> InferenceConfig<'a> {
    fn of(chat: &'a Chat, losses: &Losses) -> Result<Self, Unsupported> {
        let stop = chat.stop.iter().map(String::as_str);
        let is_possible = |temperature: &f64| (0.0..=1.0).contains(temperature);
        let temperature = chat.temperature.filter(is_possible);
        if temperature.is_none() {
            losses.lose_if(Field::Temperature, chat.temperature)?;
        }
        Ok(Self {
            max_tokens: chat.max_tokens,
            temperature,
            top_p: chat.top_p,
            // An empty one stops nothing, and is refused.
            stop_sequences: stop.filter(|sequence| !sequence.is_empty()).collect(),
        })
    }

    fn is_empty(&self) -> bool {
        let Self {
            max_tokens,
            temperature,
            top_p,
            stop_sequences,
        } = self;
        max_tokens.is_none()
            && temperature.is_none()
            && top_p.is_none()
            && stop_sequences.is_empty()
    }
}

impl OutputConfig<'_> {
    fn is_empty(&self) -> bool {
        self.text_format.is_none() && self.effort.is_none()
    }
}

/// Bedrock has schemas, which it always keeps to, but no "any JSON": `None` for what can only be asked for in words.
fn text_format<'a>(
    chat: &'a Chat,
    room: &mut StrictRoom,
    losses: &Losses,
) -> Result<Option<TextFormat<'a>>, Unsupported> {
    let Some(Format::Schema(schema)) = &chat.format else {
        return Ok(None);
    };
    let Schema {
        name,
        description,
        schema,
        strict,
    } = schema;
    let Some(schema) = room.format(schema) else {
        if *strict == Some(true) {
            losses.lose(Field::Format)?;
        }
        return Ok(None);
    };
    Ok(Some(TextFormat {
        r#type: "json_schema",
        structure: Structure::JsonSchema {
            schema: schema.to_string(),
            name: name.as_deref(),
            description: description.as_deref(),
        },
    }))
}

/// Only an effort from `low` on can be told, or a budget as the nearest one. No thoughts are what a model has that is told
/// nothing, and whether they are shown beside an effort is each model's habit; but who asks for nothing else than to see them
/// cannot be served.
fn effort(
    reasoning: Option<&Reasoning>,
    losses: &Losses,
) -> Result<Option<&'static str>, Unsupported> {
    let Some(reasoning) = reasoning else {
        return Ok(None);
    };
    match reasoning.nearest_effort() {
        None if reasoning.is_shown == Some(true) => {
            losses.lose(Field::Reasoning)?;
            Ok(None)
        }
        None | Some(Effort::None) => Ok(None),
        Some(effort) => Ok(Some(effort.max(Effort::Low).as_str())),
    }
}

#[cfg(test)]
mod tests;
