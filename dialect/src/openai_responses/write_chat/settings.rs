//! What is set for the whole answer: tools, its form, how much is thought.

use serde::Serialize;
use serde_json::Value;

use crate::canon::{
    Chat, Effort, Format, Losses, Reasoning, Tool, ToolChoice, is_of_object, is_strict,
};

/// Stands in for the name that this dialect wants of a schema and most others do not send.
const SCHEMA_NAME: &str = "response";

#[derive(Serialize)]
#[serde(tag = "type", rename = "function")]
pub(super) struct ToolOffered<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    /// May be null, but not absent.
    parameters: Option<&'a Value>,
    /// Always said: all other dialects take an absent one for `false`, this one for `true`.
    strict: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum ToolChoiceAsked<'a> {
    Word(&'static str),
    Named(FunctionNamed<'a>),
    Among(AllowedTools<'a>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "function")]
pub(super) struct FunctionNamed<'a> {
    name: &'a str,
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "allowed_tools")]
pub(super) struct AllowedTools<'a> {
    mode: &'static str,
    tools: Vec<FunctionNamed<'a>>,
}

#[derive(Serialize)]
pub(super) struct TextAsked<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<FormatAsked<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verbosity: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum FormatAsked<'a> {
    JsonObject,
    JsonSchema {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        schema: &'a Value,
        #[serde(skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
    },
}

#[derive(Serialize)]
pub(super) struct ReasoningAsked {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'static str>,
}

impl TextAsked<'_> {
    pub(super) fn has_format(&self) -> bool {
        self.format.is_some()
    }
}

impl ReasoningAsked {
    pub(super) fn is_thinking(&self) -> bool {
        self.effort != Some(Effort::None.as_str())
    }
}

/// What another dialect's client calls strict keeps to other rules, and is not strict where it breaks those of this one.
pub(super) fn tools<'a>(tools: &'a [Tool], losses: &Losses) -> Vec<ToolOffered<'a>> {
    let keeps_rules =
        |tool: &Tool| losses.is_within_a_family() || tool.parameters.as_ref().is_none_or(is_strict);
    let offered = tools.iter().map(|tool| ToolOffered {
        name: &tool.name,
        description: tool.description.as_deref(),
        parameters: tool.parameters.as_ref(),
        strict: tool.strict == Some(true) && keeps_rules(tool),
    });
    offered.collect()
}

pub(super) fn tool_choice(choice: &ToolChoice) -> ToolChoiceAsked<'_> {
    match choice {
        ToolChoice::None => ToolChoiceAsked::Word("none"),
        ToolChoice::Auto => ToolChoiceAsked::Word("auto"),
        ToolChoice::Required => ToolChoiceAsked::Word("required"),
        ToolChoice::Named(name) => ToolChoiceAsked::Named(FunctionNamed { name }),
        ToolChoice::Among { names, is_required } => ToolChoiceAsked::Among(AllowedTools {
            mode: match is_required {
                true => "required",
                false => "auto",
            },
            tools: names.iter().map(|name| FunctionNamed { name }).collect(),
        }),
    }
}

/// Schemas are of objects only, whatever another dialect's client asks for: then there is no format.
pub(super) fn text<'a>(chat: &'a Chat, losses: &Losses) -> Option<TextAsked<'a>> {
    let format = match &chat.format {
        None => None,
        Some(Format::Json) => Some(FormatAsked::JsonObject),
        Some(Format::Schema(schema)) => {
            let is_possible = losses.is_within_a_family() || is_of_object(&schema.schema);
            is_possible.then(|| FormatAsked::JsonSchema {
                name: schema.name.as_deref().unwrap_or(SCHEMA_NAME),
                description: schema.description.as_deref(),
                schema: &schema.schema,
                strict: schema.strict,
            })
        }
    };
    let verbosity = chat.verbosity.as_deref();
    let is_empty = format.is_none() && verbosity.is_none();
    (!is_empty).then_some(TextAsked { format, verbosity })
}

/// `None` if nothing of it can be said.
pub(super) fn reasoning(reasoning: Option<&Reasoning>) -> Option<ReasoningAsked> {
    let reasoning = reasoning?;
    let effort = reasoning.nearest_effort().map(Effort::as_str);
    let summary = (reasoning.is_shown == Some(true)).then_some("auto");
    (effort.is_some() || summary.is_some()).then_some(ReasoningAsked { effort, summary })
}
