//! What the model may call.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::BadRequest;
use crate::canon::{Chat, Field, Losses, StrictRoom, Tool, ToolChoice};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolConfig<'a> {
    tools: Vec<Spec<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Spec<'a> {
    #[serde(rename_all = "camelCase")]
    ToolSpec {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        input_schema: InputSchema<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
    },
}

#[derive(Serialize)]
struct InputSchema<'a> {
    json: Cow<'a, Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Choice<'a> {
    Auto(Map<String, Value>),
    Any(Map<String, Value>),
    Tool { name: &'a str },
}

impl<'a> ToolConfig<'a> {
    /// `have_tools`: whether the messages have calls or results, for which Bedrock wants a `toolConfig`.
    ///
    /// Bedrock knows no choice "none". Without calls in the messages, no tools are sent, which comes to the same.
    /// With such it is lost: tools have to be sent, and may be called. "Only these" becomes fewer tools.
    ///
    /// # Errors
    ///
    /// Messages with calls, or a choice, and no tools at all: nothing can be made up for the model.
    pub(super) fn of(
        chat: &'a Chat,
        have_tools: bool,
        room: &mut StrictRoom,
        losses: &Losses,
    ) -> Result<Option<Self>, BadRequest> {
        let must_choose = chat.tool_choice.as_ref().is_some_and(ToolChoice::is_forced);
        if chat.tools.is_empty() {
            return match have_tools || must_choose {
                true => Err(BadRequest::missing("tools")),
                false => Ok(None),
            };
        }
        if chat.parallel_tool_calls == Some(false) {
            losses.lose(Field::ParallelToolCalls)?;
        }
        let tools: Vec<Spec<'_>> = chat
            .allowed_tools()
            .map(|tool| Spec::of(tool, room))
            .collect();
        if tools.is_empty() {
            return Err(BadRequest::invalid(
                "tool_choice",
                "names of tools that are given",
            ));
        }
        let tool_choice = match &chat.tool_choice {
            None => None,
            Some(ToolChoice::None) if !have_tools => return Ok(None),
            Some(ToolChoice::None) => {
                losses.lose(Field::ToolChoice)?;
                None
            }
            Some(
                ToolChoice::Auto
                | ToolChoice::Among {
                    is_required: false, ..
                },
            ) => Some(Choice::Auto(Map::new())),
            Some(
                ToolChoice::Required
                | ToolChoice::Among {
                    is_required: true, ..
                },
            ) => Some(Choice::Any(Map::new())),
            Some(ToolChoice::Named(name)) => Some(Choice::Tool { name }),
        };
        Ok(Some(Self { tools, tool_choice }))
    }
}

impl<'a> Spec<'a> {
    /// A strict tool whose schema models cannot be held to is refused; the schema is told all the same.
    fn of(tool: &'a Tool, room: &mut StrictRoom) -> Self {
        let description = tool.description.as_deref();
        let (json, is_strict) = room.tool(tool);
        Self::ToolSpec {
            name: &tool.name,
            // An empty one is refused.
            description: description.filter(|description| !description.is_empty()),
            input_schema: InputSchema { json },
            strict: is_strict.then_some(true),
        }
    }
}
