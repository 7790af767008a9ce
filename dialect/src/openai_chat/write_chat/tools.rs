//! Tools, which of them to call, and the form of the answer.

use serde::Serialize;
use serde_json::Value;

use crate::BadRequest;
use crate::canon::{Chat, Format, Losses, Tool, ToolChoice, is_of_object, is_strict};
use crate::openai_chat::manners::Habits;

#[derive(Serialize)]
pub(super) struct ToolShape<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    function: FunctionShape<'a>,
}

#[derive(Serialize)]
struct FunctionShape<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum ChoiceShape<'a> {
    Word(&'static str),
    Object(NamedShape<'a>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum NamedShape<'a> {
    Function { function: NameShape<'a> },
    AllowedTools { allowed_tools: AllowedShape<'a> },
}

#[derive(Serialize)]
pub(super) struct NameShape<'a> {
    name: &'a str,
}

#[derive(Serialize)]
pub(super) struct AllowedShape<'a> {
    mode: &'static str,
    tools: Vec<NamedShape<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum FormatShape<'a> {
    JsonObject,
    JsonSchema { json_schema: SchemaShape<'a> },
}

#[derive(Serialize)]
pub(super) struct SchemaShape<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    schema: &'a Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

impl<'a> ToolShape<'a> {
    /// `strict` is left out where OpenAI would refuse it: the rules of another dialect's client are not OpenAI's.
    pub(super) fn of(tool: &'a Tool, habits: &Habits, losses: &Losses) -> Self {
        let Tool {
            name,
            description,
            parameters,
            strict,
        } = tool;
        let knows_rules = !habits.has_schema_rules || losses.is_within_a_family();
        let is_possible =
            |strict: &bool| !strict || knows_rules || parameters.as_ref().is_none_or(is_strict);
        Self {
            kind: "function",
            function: FunctionShape {
                name,
                description: description.as_deref(),
                parameters: parameters.as_ref(),
                strict: strict.filter(is_possible),
            },
        }
    }
}

impl<'a> NamedShape<'a> {
    fn of(name: &'a str) -> Self {
        Self::Function {
            function: NameShape { name },
        }
    }
}

impl<'a> FormatShape<'a> {
    /// `None` for what can only be asked for in words: OpenAI has schemas of objects only, whatever another dialect's client
    /// asks for.
    pub(super) fn of(format: &'a Format, habits: &Habits, losses: &Losses) -> Option<Self> {
        let schema = match format {
            Format::Json => return Some(Self::JsonObject),
            Format::Schema(schema) => schema,
        };
        let knows_rules = !habits.has_schema_rules || losses.is_within_a_family();
        let is_possible = knows_rules || is_of_object(&schema.schema);
        is_possible.then(|| Self::JsonSchema {
            json_schema: SchemaShape {
                // Required here; it names the schema to the model.
                name: schema.name.as_deref().unwrap_or("answer"),
                description: schema.description.as_deref(),
                schema: &schema.schema,
                strict: schema.strict,
            },
        })
    }
}

/// The tools, and which of them to call. Who cannot be told to choose among some is given only those.
pub(super) fn offer<'a>(
    chat: &'a Chat,
    habits: &Habits,
    losses: &Losses,
) -> Result<(Vec<ToolShape<'a>>, Option<ChoiceShape<'a>>), BadRequest> {
    let shape = |tool| ToolShape::of(tool, habits, losses);
    let all = || chat.tools.iter().map(shape).collect();
    let choice = match &chat.tool_choice {
        None => return Ok((all(), None)),
        Some(ToolChoice::None) => ChoiceShape::Word("none"),
        Some(ToolChoice::Auto) => ChoiceShape::Word("auto"),
        Some(ToolChoice::Required) => ChoiceShape::Word("required"),
        Some(ToolChoice::Named(name)) => ChoiceShape::Object(NamedShape::of(name)),
        Some(ToolChoice::Among { names, is_required }) => {
            let mode = if *is_required { "required" } else { "auto" };
            if !habits.knows_allowed_tools {
                let allowed: Vec<ToolShape<'_>> = chat.allowed_tools().map(shape).collect();
                if allowed.is_empty() {
                    let expected = "names of tools that are given";
                    return Err(BadRequest::invalid("tool_choice", expected));
                }
                return Ok((allowed, Some(ChoiceShape::Word(mode))));
            }
            let tools = names.iter().map(|name| NamedShape::of(name)).collect();
            ChoiceShape::Object(NamedShape::AllowedTools {
                allowed_tools: AllowedShape { mode, tools },
            })
        }
    };
    Ok((all(), Some(choice)))
}
