//! The messages of a request: one for each of the chat's, and one for each result of a tool.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::BadRequest;
use crate::canon::{Chat, Losses, Part, Role, Source, ToolCall, ToolResult, Unsupported};
use crate::ollama_chat::arguments;

#[derive(Serialize)]
pub(super) struct Message<'a> {
    role: &'static str,
    content: Cow<'a, str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    thinking: Cow<'a, str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_name: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    tool_call_id: &'a str,
}

#[derive(Serialize)]
struct Call<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: &'a RawValue,
}

pub(super) fn write_messages<'a>(
    chat: &'a Chat,
    losses: &Losses,
) -> Result<Vec<Message<'a>>, BadRequest> {
    let mut messages = Vec::with_capacity(chat.messages.len());
    for (index, message) in chat.messages.iter().enumerate() {
        if message.name.is_some() {
            losses.lose_name(index)?;
        }
        let role = match message.role {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        };
        let mut content = Content::default();
        for part in &message.parts {
            match part {
                Part::ToolResult(result) => {
                    messages.push(write_result(chat, result, losses)?);
                }
                Part::ToolCall(call) => {
                    let call = Call::of(call).ok_or_else(|| losses.no_object(call))?;
                    content.calls.push(call);
                }
                part => content.add(part, losses)?,
            }
        }
        if message.role != Role::Tool {
            messages.push(content.into_message(role));
        }
    }
    Ok(messages)
}

/// That it tells of an error is in its text, and nowhere else.
fn write_result<'a>(
    chat: &'a Chat,
    result: &'a ToolResult,
    losses: &Losses,
) -> Result<Message<'a>, Unsupported> {
    let mut content = Content::default();
    for part in &result.parts {
        content.add(part, losses)?;
    }
    let name = result.name.as_deref();
    Ok(Message {
        tool_name: name.or_else(|| chat.tool_name(&result.call_id)),
        tool_call_id: &result.call_id,
        ..content.into_message("tool")
    })
}

impl<'a> Call<'a> {
    /// `None` if its arguments are no object.
    fn of(call: &'a ToolCall) -> Option<Self> {
        Some(Self {
            id: &call.id,
            function: Function {
                name: &call.name,
                arguments: arguments::object_of(&call.arguments)?,
            },
        })
    }
}

/// The parts of one message, by kind.
#[derive(Default)]
struct Content<'a> {
    texts: Vec<&'a str>,
    thoughts: Vec<&'a str>,
    images: Vec<&'a str>,
    calls: Vec<Call<'a>>,
}

impl<'a> Content<'a> {
    fn add(&mut self, part: &'a Part, losses: &Losses) -> Result<(), Unsupported> {
        match part {
            Part::Text(text) | Part::Refusal(text) => self.texts.push(text),
            // Another provider's signature says nothing to Ollama, and its hidden thoughts nothing to anybody.
            Part::Thinking { text, .. } => self.thoughts.push(text),
            Part::RedactedThinking(_) => {}
            // Pictures come in one size.
            Part::Image { source, .. } => match source {
                Source::Data { base64, .. } => self.images.push(base64),
                Source::Url(_) | Source::FileId(_) => return losses.lose_part(part),
            },
            Part::Audio { .. } | Part::File { .. } => return losses.lose_part(part),
            // Inside a result.
            Part::ToolCall(_) | Part::ToolResult(_) => return losses.lose_part(part),
        }
        Ok(())
    }

    fn into_message(self, role: &'static str) -> Message<'a> {
        Message {
            role,
            content: join(&self.texts),
            thinking: join(&self.thoughts),
            images: self.images,
            tool_calls: self.calls,
            tool_name: None,
            tool_call_id: "",
        }
    }
}

/// Puts a blank line between texts, as Ollama does with neighbours of one role.
fn join<'a>(texts: &[&'a str]) -> Cow<'a, str> {
    match texts {
        [] => Cow::Borrowed(""),
        [text] => Cow::Borrowed(text),
        texts => Cow::Owned(texts.join("\n\n")),
    }
}
