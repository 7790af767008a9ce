//! The canonical form → a request for an upstream.

mod config;
mod contents;
mod tools;

use serde::Serialize;

use self::config::GenerationConfig;
use self::contents::SystemInstruction;
use self::tools::{ToolConfig, Tools};
use super::outgoing::Content;
use crate::canon::{Chat, Field, Losses};
use crate::{BadRequest, Target};

/// The model and whether the answer is a stream stand in the path.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<SystemInstruction<'a>>,
    contents: Vec<Content<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<[Tools<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<ToolConfig<'a>>,
    #[serde(skip_serializing_if = "GenerationConfig::is_empty")]
    generation_config: GenerationConfig<'a>,
}

/// Writes a whole request.
///
/// # Errors
///
/// What this dialect has no words for, unless `losses` says to drop it; and what cannot be told at all, such as a tool
/// call whose arguments are no JSON.
pub(crate) fn write_chat(
    chat: &Chat,
    target: &Target<'_>,
    losses: &Losses,
) -> Result<Vec<u8>, BadRequest> {
    losses.lose_others(&chat.others)?;
    if chat.parallel_tool_calls == Some(false) {
        losses.lose(Field::ParallelToolCalls)?;
    }
    losses.lose_if(Field::MinP, chat.min_p)?;
    losses.lose_if(Field::LogitBias, chat.logit_bias.as_ref())?;
    losses.lose_if(Field::Verbosity, chat.verbosity.as_ref())?;
    let request = Request {
        system_instruction: contents::system_instruction(chat, losses)?,
        contents: contents::contents(chat, target.model, losses)?,
        tools: tools::tools(chat),
        tool_config: tools::tool_config(chat),
        generation_config: GenerationConfig::new(chat, target.model, losses)?,
    };
    serde_json::to_vec(&request)
        .map_err(|error| BadRequest::new(format!("The request cannot be written: {error}.")))
}

/// Whether thoughts may be asked for by a level: at all models, whatever they are called, but the ones before Gemini 3
/// ("Thinking level is not supported for this model.").
pub(crate) fn knows_levels(model: &str) -> bool {
    generation(model) >= 3
}

/// Which Gemini `model` is, by its name; the newest, where it has another name.
fn generation(model: &str) -> u32 {
    let name = model.rsplit('/').next().unwrap_or_default();
    let version = name.strip_prefix("gemini-").unwrap_or_default();
    let digits = version.split(|c: char| !c.is_ascii_digit()).next();
    digits
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::generation;

    #[test]
    fn a_models_generation_is_in_its_name() {
        assert_eq!(generation("gemini-2.5-flash"), 2);
        assert_eq!(generation("models/gemini-1.5-pro"), 1);
        assert_eq!(generation("publishers/google/models/gemini-3-pro"), 3);
        assert_eq!(generation("gemini-10"), 10);
        for other in ["gemini-flash-latest", "gemma-3", "gemini-", "m", ""] {
            assert_eq!(generation(other), u32::MAX, "{other}");
        }
    }
}
