//! The canonical form → a request for an upstream.

mod messages;

use serde::Serialize;
use serde_json::{Value, json};

use self::messages::{Message, write_messages};
use crate::canon::{Chat, Effort, Field, Format, Losses, Reasoning, Tool, ToolChoice, Unsupported};
use crate::{BadRequest, Target};

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<ToolEntry<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<FormatEntry<'a>>,
    #[serde(skip_serializing_if = "Options::is_empty")]
    options: Options<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    think: Option<Think>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<u32>,
    /// Always said: absent is true.
    stream: bool,
}

#[derive(Serialize)]
struct ToolEntry<'a> {
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    parameters: Parameters<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Parameters<'a> {
    Schema(&'a Value),
    /// Templates of models look into it, whether there are any or not.
    None(Value),
}

#[derive(Serialize)]
#[serde(untagged)]
enum FormatEntry<'a> {
    Json(&'static str),
    Schema(&'a Value),
}

#[derive(Serialize)]
#[serde(untagged)]
enum Think {
    Flag(bool),
    Level(&'static str),
}

#[derive(Default, PartialEq, Serialize)]
struct Options<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    num_predict: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop: &'a [String],
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
    lose_what_has_no_place(chat, losses)?;
    let request = Request {
        model: target.model,
        messages: write_messages(chat, losses)?,
        tools: write_tools(chat, losses)?,
        format: chat.format.as_ref().map(|format| match format {
            Format::Json => FormatEntry::Json("json"),
            // Its name is for providers that want one, and it is followed strictly anyway.
            Format::Schema(schema) => FormatEntry::Schema(&schema.schema),
        }),
        options: Options {
            num_predict: chat.max_tokens,
            temperature: chat.temperature,
            top_p: chat.top_p,
            top_k: chat.top_k,
            min_p: chat.min_p,
            frequency_penalty: chat.frequency_penalty,
            presence_penalty: chat.presence_penalty,
            seed: chat.seed,
            stop: &chat.stop,
        },
        think: match &chat.reasoning {
            Some(reasoning) => write_reasoning(reasoning),
            None => None,
        },
        logprobs: chat.logprobs.map(|_| true),
        top_logprobs: chat.logprobs.and_then(|asked| asked.top),
        stream: chat.is_stream,
    };
    serde_json::to_vec(&request)
        .map_err(|error| BadRequest::new(format!("The request cannot be told as JSON: {error}.")))
}

/// `user` is for the abuse monitoring of providers; Ollama has none, and no answer depends on it.
fn lose_what_has_no_place(chat: &Chat, losses: &Losses) -> Result<(), Unsupported> {
    losses.lose_if(Field::N, chat.n.filter(|n| *n > 1))?;
    let logit_bias = chat.logit_bias.as_ref();
    losses.lose_if(
        Field::LogitBias,
        logit_bias.filter(|biases| !biases.is_empty()),
    )?;
    losses.lose_if(Field::Verbosity, chat.verbosity.as_ref())
}

/// A choice among tools is always the model's here; to let it call none, or only some, it is told of no others.
fn write_tools<'a>(chat: &'a Chat, losses: &Losses) -> Result<Vec<ToolEntry<'a>>, Unsupported> {
    match chat.tool_choice {
        Some(ToolChoice::None) => return Ok(Vec::new()),
        None
        | Some(
            ToolChoice::Auto
            | ToolChoice::Among {
                is_required: false, ..
            },
        ) => {}
        Some(
            ToolChoice::Required
            | ToolChoice::Named(_)
            | ToolChoice::Among {
                is_required: true, ..
            },
        ) => losses.lose(Field::ToolChoice)?,
    }
    let wants_one_call = chat.parallel_tool_calls == Some(false) && !chat.tools.is_empty();
    if wants_one_call {
        losses.lose(Field::ParallelToolCalls)?;
    }
    Ok(chat.allowed_tools().map(ToolEntry::of).collect())
}

impl<'a> ToolEntry<'a> {
    /// `strict` is not told: the schema is, and Ollama holds a model to it as well as it can.
    fn of(tool: &'a Tool) -> Self {
        Self {
            r#type: "function",
            function: Function {
                name: &tool.name,
                description: tool.description.as_deref(),
                parameters: match &tool.parameters {
                    Some(schema) => Parameters::Schema(schema),
                    None => Parameters::None(json!({"type": "object", "properties": {}})),
                },
            },
        }
    }
}

impl Options<'_> {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Levels go by their names; which of them a model has, the upstream knows. There are no budgets: who has one thinks.
fn write_reasoning(reasoning: &Reasoning) -> Option<Think> {
    match (reasoning.effort, reasoning.budget) {
        (Some(Effort::None), _) | (None, Some(0)) => Some(Think::Flag(false)),
        (Some(effort), _) => Some(Think::Level(level(effort))),
        (None, Some(_)) => Some(Think::Flag(true)),
        // Whoever wants to see thoughts wants the model to have some.
        (None, None) => (reasoning.is_shown == Some(true)).then_some(Think::Flag(true)),
    }
}

/// Ollama refuses any other word.
fn level(effort: Effort) -> &'static str {
    match effort {
        Effort::None | Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High | Effort::ExtraHigh => "high",
        Effort::Max => "max",
    }
}

#[cfg(test)]
mod tests;
