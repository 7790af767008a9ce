//! The canonical form → a request for an upstream.

mod block;
mod thinking;
mod turns;

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;

use self::thinking::Thinking;
use self::turns::Conversation;
use crate::canon::{
    Chat, Effort, Field, Format, Losses, Schema, StrictRoom, Tool, ToolChoice, Unsupported,
};
use crate::{BadRequest, Target};

/// How long an answer may be if the client sets no limit: the API demands one, and each of its models can write as much.
const MAX_TOKENS_IF_UNSET: u32 = 4096;

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
    lose_settings(chat, losses)?;

    let conversation = Conversation::of(&chat.messages, losses)?;
    let thinking = Thinking::of(chat, conversation.has_unthought_calls());
    let has_thoughts = thinking.is_some_and(Thinking::is_on);
    let mut room = StrictRoom::of_request();
    let format = FormatBody::of(chat, &mut room, losses)?;
    let Conversation { mut system, turns } = conversation;
    if let (None, Some(asked)) = (&format, &chat.format) {
        let system = system.get_or_insert_default();
        if !system.is_empty() {
            system.push_str("\n\n");
        }
        system.push_str(&asked.in_words());
    }
    let request = Request {
        model: target.model,
        max_tokens: max_tokens(chat, thinking),
        system,
        messages: turns,
        tools: chat
            .allowed_tools()
            .map(|tool| ToolBody::of(tool, &mut room))
            .collect(),
        tool_choice: tool_choice(chat)?,
        output_config: OutputConfig::of(chat, format),
        temperature: temperature(chat, has_thoughts, losses)?,
        top_p: top_p(chat, has_thoughts, losses)?,
        top_k: match chat.top_k {
            Some(_) if has_thoughts => {
                losses.lose(Field::TopK)?;
                None
            }
            top_k => top_k,
        },
        thinking,
        stop_sequences: stop_sequences(chat, losses)?,
        metadata: chat.user.as_deref().map(|user_id| Metadata { user_id }),
        stream: chat.is_stream,
    };
    serde_json::to_vec(&request).map_err(|error| BadRequest::new(error.to_string()))
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    max_tokens: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<String>,
    messages: Vec<turns::Turn<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<ToolBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<ChoiceBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<Thinking>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<OutputConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop_sequences: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
}

#[derive(Serialize)]
struct ToolBody<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    input_schema: Cow<'a, Value>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    strict: bool,
}

#[derive(Serialize)]
struct ChoiceBody<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    disable_parallel_tool_use: bool,
}

#[derive(Serialize)]
struct OutputConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<FormatBody>,
}

#[derive(Serialize)]
struct FormatBody {
    r#type: &'static str,
    schema: Value,
}

#[derive(Serialize)]
struct Metadata<'a> {
    user_id: &'a str,
}

impl<'a> ToolBody<'a> {
    /// The API refuses a strict tool whose schema models cannot be held to; the schema is told all the same.
    fn of(tool: &'a Tool, room: &mut StrictRoom) -> Self {
        let (input_schema, strict) = room.tool(tool);
        Self {
            name: &tool.name,
            description: tool.description.as_deref(),
            input_schema,
            strict,
        }
    }
}

impl FormatBody {
    /// `None` if the answer has no form, or one that can only be asked for in words.
    fn of(
        chat: &Chat,
        room: &mut StrictRoom,
        losses: &Losses,
    ) -> Result<Option<Self>, Unsupported> {
        let Some(Format::Schema(schema)) = &chat.format else {
            return Ok(None);
        };
        let Some(narrow) = room.format(&described(schema)) else {
            if schema.strict == Some(true) {
                losses.lose(Field::Format)?;
            }
            return Ok(None);
        };
        Ok(Some(Self {
            r#type: "json_schema",
            schema: narrow,
        }))
    }
}

impl OutputConfig {
    /// There is no word for less than `low`.
    fn of(chat: &Chat, format: Option<FormatBody>) -> Option<Self> {
        let reasoning = chat.reasoning.as_ref();
        let effort = match reasoning.and_then(|reasoning| reasoning.effort) {
            None | Some(Effort::None) => None,
            Some(effort) => Some(effort.max(Effort::Low).as_str()),
        };
        let is_empty = effort.is_none() && format.is_none();
        (!is_empty).then_some(Self { effort, format })
    }
}

/// Meets the settings that have no field here; those at their default change nothing.
fn lose_settings(chat: &Chat, losses: &Losses) -> Result<(), Unsupported> {
    let is_set = |penalty: &f64| penalty.abs() > 0.0;
    losses.lose_if(Field::MinP, chat.min_p.filter(is_set))?;
    let frequency_penalty = chat.frequency_penalty.filter(is_set);
    losses.lose_if(Field::FrequencyPenalty, frequency_penalty)?;
    let presence_penalty = chat.presence_penalty.filter(is_set);
    losses.lose_if(Field::PresencePenalty, presence_penalty)?;
    losses.lose_if(Field::Seed, chat.seed)?;
    losses.lose_if(Field::N, chat.n.filter(|n| *n > 1))?;
    losses.lose_if(Field::Logprobs, chat.logprobs)?;
    losses.lose_if(Field::LogitBias, chat.logit_bias.as_ref())?;
    losses.lose_if(Field::Verbosity, chat.verbosity.as_ref())
}

/// Thoughts count: beside a budget of theirs, the answer still gets its default.
fn max_tokens(chat: &Chat, thinking: Option<Thinking>) -> u32 {
    let budget = thinking.and_then(Thinking::budget).unwrap_or_default();
    chat.max_tokens
        .unwrap_or_else(|| budget.saturating_add(MAX_TOKENS_IF_UNSET))
}

/// "Only these" becomes fewer tools.
fn tool_choice(chat: &Chat) -> Result<Option<ChoiceBody<'_>>, BadRequest> {
    let is_single = chat.parallel_tool_calls == Some(false);
    let (kind, name) = match &chat.tool_choice {
        Some(ToolChoice::Among { .. }) if chat.allowed_tools().next().is_none() => {
            let expected = "names of tools that are given";
            return Err(BadRequest::invalid("tool_choice", expected));
        }
        // The API refuses a choice of no tools.
        None | Some(ToolChoice::Auto | ToolChoice::None) if chat.tools.is_empty() => {
            return Ok(None);
        }
        None if !is_single => return Ok(None),
        None | Some(ToolChoice::Auto) => ("auto", None),
        Some(ToolChoice::None) => ("none", None),
        Some(ToolChoice::Required) => ("any", None),
        Some(ToolChoice::Named(name)) => ("tool", Some(&**name)),
        Some(ToolChoice::Among { names, is_required }) => match &names[..] {
            [name] if *is_required => ("tool", Some(&**name)),
            _ if *is_required => ("any", None),
            _ => ("auto", None),
        },
    };
    Ok(Some(ChoiceBody {
        r#type: kind,
        name,
        disable_parallel_tool_use: is_single && kind != "none",
    }))
}

/// Neither a name nor a description has a field here. The name says nothing to the model; the description goes where JSON
/// schema has it.
fn described(schema: &Schema) -> Cow<'_, Value> {
    match (&schema.schema, &schema.description) {
        (Value::Object(object), Some(description)) if !object.contains_key("description") => {
            let mut object = object.clone();
            object.insert("description".to_owned(), description.as_str().into());
            Cow::Owned(Value::Object(object))
        }
        (schema, _) => Cow::Borrowed(schema),
    }
}

/// From 0 to 1, and only the default of 1 beside thoughts.
fn temperature(
    chat: &Chat,
    has_thoughts: bool,
    losses: &Losses,
) -> Result<Option<f64>, Unsupported> {
    let Some(temperature) = chat.temperature else {
        return Ok(None);
    };
    let is_default = (temperature - 1.0).abs() < f64::EPSILON;
    let is_possible = (0.0..=1.0).contains(&temperature) && (is_default || !has_thoughts);
    if !is_possible {
        losses.lose(Field::Temperature)?;
    }
    Ok(is_possible.then_some(temperature))
}

/// Beside thoughts only from 0.95 to 1:
/// <https://platform.claude.com/docs/en/build-with-claude/extended-thinking#feature-compatibility>.
fn top_p(chat: &Chat, has_thoughts: bool, losses: &Losses) -> Result<Option<f64>, Unsupported> {
    let Some(top_p) = chat.top_p else {
        return Ok(None);
    };
    let is_possible = !has_thoughts || top_p >= 0.95;
    if !is_possible {
        losses.lose(Field::TopP)?;
    }
    Ok(is_possible.then_some(top_p))
}

/// The API refuses sequences of nothing but white space.
fn stop_sequences<'a>(chat: &'a Chat, losses: &Losses) -> Result<Vec<&'a str>, Unsupported> {
    let is_blank = |sequence: &&str| sequence.trim().is_empty();
    let sequences = chat.stop.iter().map(String::as_str);
    let (blank, sequences): (Vec<&str>, Vec<&str>) = sequences.partition(is_blank);
    losses.lose_if(Field::Stop, blank.first())?;
    Ok(sequences)
}

#[cfg(test)]
mod tests;
