//! Tools, which of them to call, and the form of the answer.

use serde::Serialize;
use serde_json::Value;

use crate::canon::{Field, Format, Losses, Tool, ToolChoice, Unsupported};
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
    pub(super) fn of(tool: &'a Tool) -> Self {
        let Tool {
            name,
            description,
            parameters,
            strict,
        } = tool;
        Self {
            kind: "function",
            function: FunctionShape {
                name,
                description: description.as_deref(),
                parameters: parameters.as_ref(),
                strict: *strict,
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
    pub(super) fn of(format: &'a Format) -> Self {
        match format {
            Format::Json => Self::JsonObject,
            Format::Schema(schema) => Self::JsonSchema {
                json_schema: SchemaShape {
                    // Required here; it names the schema to the model.
                    name: schema.name.as_deref().unwrap_or("answer"),
                    description: schema.description.as_deref(),
                    schema: &schema.schema,
                    strict: schema.strict,
                },
            },
        }
    }
}

pub(super) fn choice<'a>(
    choice: Option<&'a ToolChoice>,
    habits: &Habits,
    losses: &Losses,
) -> Result<Option<ChoiceShape<'a>>, Unsupported> {
    let shape = match choice {
        None => return Ok(None),
        Some(ToolChoice::None) => ChoiceShape::Word("none"),
        Some(ToolChoice::Auto) => ChoiceShape::Word("auto"),
        Some(ToolChoice::Required) => ChoiceShape::Word("required"),
        Some(ToolChoice::Named(name)) => ChoiceShape::Object(NamedShape::of(name)),
        Some(ToolChoice::Among { .. }) if !habits.knows_allowed_tools => {
            losses.lose(Field::ToolChoice)?;
            return Ok(None);
        }
        Some(ToolChoice::Among { names, is_required }) => {
            let allowed_tools = AllowedShape {
                mode: if *is_required { "required" } else { "auto" },
                tools: names.iter().map(|name| NamedShape::of(name)).collect(),
            };
            ChoiceShape::Object(NamedShape::AllowedTools { allowed_tools })
        }
    };
    Ok(Some(shape))
}
