//! Messages as the items of `input`.

use std::borrow::Cow;

use serde::Serialize;

use crate::BadRequest;
use crate::canon::{Losses, Message, Part, Role, Source, ToolCall, ToolResult};
use crate::openai_responses::OWN;

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum InputItem<'a> {
    Message {
        role: &'static str,
        content: Content<'a>,
    },
    FunctionCall {
        call_id: &'a str,
        name: &'a str,
        arguments: &'a str,
    },
    FunctionCallOutput {
        call_id: &'a str,
        output: Content<'a>,
    },
    /// Without its id, which only means something to who stored it.
    Reasoning {
        summary: Vec<Summary<'a>>,
        encrypted_content: &'a str,
    },
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Content<'a> {
    Text(&'a str),
    Parts(Vec<ContentPart<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ContentPart<'a> {
    InputText {
        text: &'a str,
    },
    OutputText {
        text: &'a str,
    },
    Refusal {
        refusal: &'a str,
    },
    InputImage {
        #[serde(skip_serializing_if = "Option::is_none")]
        image_url: Option<Cow<'a, str>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<&'a str>,
    },
    InputFile {
        #[serde(skip_serializing_if = "Option::is_none")]
        filename: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_data: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_url: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_id: Option<&'a str>,
    },
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "summary_text")]
pub(super) struct Summary<'a> {
    text: &'a str,
}

impl<'a> InputItem<'a> {
    pub(super) fn system(text: &'a str) -> Self {
        Self::Message {
            role: "system",
            content: Content::Text(text),
        }
    }
}

/// The first system message as `instructions`, and the messages after it.
///
/// Only the first: instructions come before everything, and `input` may not be empty.
pub(super) fn split_instructions(messages: &[Message]) -> (Option<String>, &[Message]) {
    match messages {
        [first, rest @ ..] if first.role == Role::System && !rest.is_empty() => {
            let texts: Option<Vec<&str>> = first.parts.iter().map(text_of).collect();
            match texts {
                Some(texts) if first.name.is_none() => (Some(texts.join("\n\n")), rest),
                _ => (None, messages),
            }
        }
        _ => (None, messages),
    }
}

fn text_of(part: &Part) -> Option<&str> {
    match part {
        Part::Text(text) => Some(text),
        _ => None,
    }
}

/// Writes `messages`, the first of which is the chat's number `offset`.
pub(super) fn write<'a>(
    messages: &'a [Message],
    offset: usize,
    losses: &Losses,
) -> Result<Vec<InputItem<'a>>, BadRequest> {
    let mut items = Vec::with_capacity(messages.len());
    for (index, message) in (offset..).zip(messages) {
        if message.name.is_some() {
            losses.lose_name(index)?;
        }
        match message.role {
            Role::System => items.push(said("system", message, losses)?),
            Role::User => items.push(said("user", message, losses)?),
            Role::Assistant => write_turn(message, losses, &mut items)?,
            Role::Tool => {
                for part in &message.parts {
                    if let Part::ToolResult(result) = part {
                        items.push(call_output(result, losses)?);
                    }
                }
            }
        }
    }
    Ok(items)
}

/// What the user or the operator said.
fn said<'a>(
    role: &'static str,
    message: &'a Message,
    losses: &Losses,
) -> Result<InputItem<'a>, BadRequest> {
    Ok(InputItem::Message {
        role,
        content: content(&message.parts, losses)?,
    })
}

/// What the assistant did in one turn. Texts beside each other are one message.
fn write_turn<'a>(
    message: &'a Message,
    losses: &Losses,
    items: &mut Vec<InputItem<'a>>,
) -> Result<(), BadRequest> {
    let mut said: Vec<ContentPart<'a>> = Vec::new();
    for part in &message.parts {
        let item = match part {
            // Some clients send an empty text beside tool calls.
            Part::Text(text) if text.is_empty() => continue,
            Part::Text(text) => {
                said.push(ContentPart::OutputText { text });
                continue;
            }
            Part::Refusal(refusal) => {
                said.push(ContentPart::Refusal { refusal });
                continue;
            }
            Part::ToolCall(call) => function_call(call),
            // Only who thought it can prove it, and wants the proof.
            Part::Thinking { text, signature } => {
                let Some(encrypted_content) = signature.as_ref().and_then(|proof| proof.of(OWN))
                else {
                    continue;
                };
                InputItem::Reasoning {
                    summary: vec![Summary { text }],
                    encrypted_content,
                }
            }
            Part::RedactedThinking(sealed) => {
                let Some(encrypted_content) = sealed.of(OWN) else {
                    continue;
                };
                InputItem::Reasoning {
                    summary: Vec::new(),
                    encrypted_content,
                }
            }
            Part::Image { .. } | Part::Audio { .. } | Part::File { .. } | Part::ToolResult(_) => {
                losses.lose_part(part)?;
                continue;
            }
        };
        flush(&mut said, items);
        items.push(item);
    }
    flush(&mut said, items);
    Ok(())
}

fn flush<'a>(said: &mut Vec<ContentPart<'a>>, items: &mut Vec<InputItem<'a>>) {
    let content = match said.as_slice() {
        [] => return,
        [ContentPart::OutputText { text }] => Content::Text(text),
        _ => Content::Parts(std::mem::take(said)),
    };
    said.clear();
    items.push(InputItem::Message {
        role: "assistant",
        content,
    });
}

fn function_call(call: &ToolCall) -> InputItem<'_> {
    InputItem::FunctionCall {
        call_id: &call.id,
        name: &call.name,
        arguments: match call.arguments.as_str() {
            "" => "{}",
            arguments => arguments,
        },
    }
}

/// That a tool failed is told by what it put out: there is no field for it.
fn call_output<'a>(result: &'a ToolResult, losses: &Losses) -> Result<InputItem<'a>, BadRequest> {
    Ok(InputItem::FunctionCallOutput {
        call_id: &result.call_id,
        output: match result.parts.as_slice() {
            [] => Content::Text(""),
            parts => content(parts, losses)?,
        },
    })
}

fn content<'a>(parts: &'a [Part], losses: &Losses) -> Result<Content<'a>, BadRequest> {
    if let [Part::Text(text)] = parts {
        return Ok(Content::Text(text));
    }
    let mut written = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            // Only an assistant's refusal is more than what it says.
            Part::Text(text) | Part::Refusal(text) => written.push(ContentPart::InputText { text }),
            // Kept by another provider.
            Part::Image {
                source: Source::FileId(_),
                ..
            }
            | Part::File {
                source: Source::FileId(_),
                ..
            } if !losses.is_within_a_family() => losses.lose_part(part)?,
            Part::Image { source, detail, .. } => written.push(image(source, detail.as_deref())),
            Part::File { source, name, .. } => written.push(file(source, name.as_deref())),
            Part::Audio { .. }
            | Part::Thinking { .. }
            | Part::RedactedThinking(_)
            | Part::ToolCall(_)
            | Part::ToolResult(_) => losses.lose_part(part)?,
        }
    }
    Ok(Content::Parts(written))
}

fn image<'a>(source: &'a Source, detail: Option<&'a str>) -> ContentPart<'a> {
    let (image_url, file_id) = match source {
        Source::Url(url) => (Some(Cow::Borrowed(url.as_str())), None),
        Source::Data { media_type, base64 } => {
            (Some(Cow::Owned(data_url(media_type, base64))), None)
        }
        Source::FileId(id) => (None, Some(id.as_str())),
    };
    ContentPart::InputImage {
        image_url,
        file_id,
        detail,
    }
}

fn file<'a>(source: &'a Source, filename: Option<&'a str>) -> ContentPart<'a> {
    let (file_data, file_url, file_id) = match source {
        Source::Data { media_type, base64 } => (Some(data_url(media_type, base64)), None, None),
        Source::Url(url) => (None, Some(url.as_str()), None),
        Source::FileId(id) => (None, None, Some(id.as_str())),
    };
    ContentPart::InputFile {
        filename,
        file_data,
        file_url,
        file_id,
    }
}

fn data_url(media_type: &str, base64: &str) -> String {
    format!("data:{media_type};base64,{base64}")
}
