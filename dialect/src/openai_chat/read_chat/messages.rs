//! The conversation so far.

use serde_json::Value;

use super::place::{Fields, Others, Place};
use crate::BadRequest;
use crate::canon::{Chat, Message, Origin, Part, Proof, Role, Source, ToolCall, ToolResult};
use crate::openai_chat::{BLOCKS_ARE_OF, SIGNED_CALLS_ARE_OF};

/// Appends the messages in `value` to the chat's.
pub(super) fn read(value: Value, place: Place<'_>, chat: &mut Chat) -> Result<(), BadRequest> {
    let values = place.items(value)?;
    chat.messages.reserve(values.len());
    for (index, value) in (0..).zip(values) {
        let message = read_message(value, Place::Item(&place, index), chat)?;
        chat.messages.extend(message);
    }
    Ok(())
}

/// `None` if it is one that only OpenAI knows.
fn read_message(
    value: Value,
    place: Place<'_>,
    chat: &mut Chat,
) -> Result<Option<Message>, BadRequest> {
    // A result of the functions that were there before tools.
    if value.get("role").is_some_and(|role| role == "function") {
        chat.others.push((place.to_string(), value));
        return Ok(None);
    }
    let mut message = Fields::of(value, place)?;
    let role = match message.require_text("role")?.as_str() {
        "system" | "developer" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => Role::Tool,
        _ => {
            return Err(Place::Field(&place, "role")
                .invalid("`developer`, `system`, `user`, `assistant` or `tool`"));
        }
    };
    let name = message.take_text("name")?;
    let read = match role {
        Role::System | Role::User => Message {
            role,
            name,
            parts: require_content(&mut message, place, &mut chat.others)?,
        },
        Role::Assistant => Message {
            role,
            name,
            parts: read_assistant(&mut message, place, &mut chat.others)?,
        },
        Role::Tool => {
            let call_id = message.require_text("tool_call_id")?;
            let result = ToolResult {
                name: name.or_else(|| chat.tool_name(&call_id).map(str::to_owned)),
                parts: require_content(&mut message, place, &mut chat.others)?,
                is_error: false,
                call_id,
            };
            Message::new(role, vec![Part::ToolResult(result)])
        }
    };
    message.finish(&mut chat.others);
    Ok(Some(read))
}

fn require_content(
    message: &mut Fields<'_>,
    place: Place<'_>,
    others: &mut Others,
) -> Result<Vec<Part>, BadRequest> {
    let content = message.require("content")?;
    read_content(content, Place::Field(&place, "content"), others)
}

fn read_assistant(
    message: &mut Fields<'_>,
    place: Place<'_>,
    others: &mut Others,
) -> Result<Vec<Part>, BadRequest> {
    let mut parts = Vec::new();
    // Both hold the same thoughts; only blocks have signatures.
    let reasoning = message.take_text("reasoning")?;
    let thoughts = message.take_text("reasoning_content")?.or(reasoning);
    match (message.take("thinking_blocks"), thoughts) {
        (Some(blocks), _) => {
            parts = read_thinking(blocks, Place::Field(&place, "thinking_blocks"), others)?;
        }
        (None, Some(text)) if !text.is_empty() => parts.push(Part::Thinking {
            text,
            signature: None,
        }),
        (None, _) => {}
    }
    match message.take("content") {
        Some(Value::String(text)) if text.is_empty() => {}
        Some(content) => {
            parts.extend(read_content(
                content,
                Place::Field(&place, "content"),
                others,
            )?);
        }
        None => {}
    }
    parts.extend(message.take_text("refusal")?.map(Part::Refusal));
    if let Some(calls) = message.take("tool_calls") {
        read_calls(
            calls,
            Place::Field(&place, "tool_calls"),
            &mut parts,
            others,
        )?;
    }
    // Of an answer that is sent back as it came.
    message.take("annotations");
    Ok(parts)
}

fn read_thinking(
    value: Value,
    place: Place<'_>,
    others: &mut Others,
) -> Result<Vec<Part>, BadRequest> {
    let mut parts = Vec::new();
    for (index, value) in (0..).zip(place.items(value)?) {
        let mut block = Fields::of(value, Place::Item(&place, index))?;
        let kind = block.take_kind()?;
        match kind.as_str() {
            "thinking" => parts.push(Part::Thinking {
                text: block.require_text("thinking")?,
                signature: block
                    .take_text("signature")?
                    .and_then(|text| Proof::read(text, BLOCKS_ARE_OF)),
            }),
            "redacted_thinking" => {
                let sealed = Proof::read(block.require_text("data")?, BLOCKS_ARE_OF);
                parts.extend(sealed.map(Part::RedactedThinking));
            }
            _ => block.give_up(kind, others),
        }
    }
    Ok(parts)
}

fn read_calls(
    value: Value,
    place: Place<'_>,
    parts: &mut Vec<Part>,
    others: &mut Others,
) -> Result<(), BadRequest> {
    for (index, value) in (0..).zip(place.items(value)?) {
        let place = Place::Item(&place, index);
        let mut call = Fields::of(value, place)?;
        // Some clients leave it out of what they send back.
        let kind = call.take_text("type")?;
        if let Some(kind) = kind.filter(|kind| kind != "function") {
            call.give_up(kind, others);
            continue;
        }
        let id = call.require_text("id")?;
        let function = call.require("function")?;
        let mut function = Fields::of(function, Place::Field(&place, "function"))?;
        parts.push(Part::ToolCall(ToolCall {
            id,
            name: function.require_text("name")?,
            arguments: function.take_text("arguments")?.unwrap_or_default(),
            signature: signature(call.take("extra_content")),
        }));
        // Of a call that is sent back as it was streamed.
        call.take("index");
        call.finish(others);
    }
    Ok(())
}

/// Where Google's endpoint has it: `google.thought_signature`.
fn signature(extra_content: Option<Value>) -> Option<Proof> {
    match extra_content?
        .pointer_mut("/google/thought_signature")?
        .take()
    {
        Value::String(signature) => Proof::read(signature, SIGNED_CALLS_ARE_OF),
        _ => None,
    }
}

fn read_content(
    value: Value,
    place: Place<'_>,
    others: &mut Others,
) -> Result<Vec<Part>, BadRequest> {
    let values = match value {
        Value::String(text) => return Ok(vec![Part::Text(text)]),
        Value::Array(values) => values,
        _ => return Err(place.invalid("a string or an array of parts")),
    };
    let mut parts = Vec::with_capacity(values.len());
    for (index, value) in (0..).zip(values) {
        parts.extend(read_part(value, Place::Item(&place, index), others)?);
    }
    Ok(parts)
}

/// `None` if it is of a kind that chats in general do not have.
fn read_part(
    value: Value,
    place: Place<'_>,
    others: &mut Others,
) -> Result<Option<Part>, BadRequest> {
    let mut part = Fields::of(value, place)?;
    let kind = part.take_kind()?;
    let read = match kind.as_str() {
        "text" => Part::Text(part.require_text("text")?),
        "refusal" => Part::Refusal(part.require_text("refusal")?),
        "image_url" => {
            let image = part.require("image_url")?;
            let mut image = Fields::of(image, Place::Field(&place, "image_url"))?;
            let read = Part::Image {
                source: Source::of_url(&image.require_text("url")?),
                detail: image.take_text("detail")?,
                origin: Origin::at(&place),
            };
            image.finish(others);
            read
        }
        "input_audio" => {
            let audio = part.require("input_audio")?;
            let mut audio = Fields::of(audio, Place::Field(&place, "input_audio"))?;
            let read = Part::Audio {
                data: audio.require_text("data")?,
                media_type: format!("audio/{}", audio.require_text("format")?),
                origin: Origin::at(&place),
            };
            audio.finish(others);
            read
        }
        "file" => {
            let file_place = Place::Field(&place, "file");
            let mut file = Fields::of(part.require("file")?, file_place)?;
            let read = read_file(&mut file, file_place, Origin::at(&place))?;
            file.finish(others);
            read
        }
        _ => {
            part.give_up(kind, others);
            return Ok(None);
        }
    };
    part.finish(others);
    Ok(Some(read))
}

fn read_file(file: &mut Fields<'_>, place: Place<'_>, origin: Origin) -> Result<Part, BadRequest> {
    let name = file.take_text("filename")?;
    let source = match (file.take_text("file_data")?, file.take_text("file_id")?) {
        (Some(url), _) => match Source::of_url(&url) {
            // Bare base64 does not say what it is.
            Source::Url(_) => {
                let data = Place::Field(&place, "file_data");
                return Err(data.invalid("a data URL, such as `data:application/pdf;base64,…`"));
            }
            source => source,
        },
        (None, Some(id)) => Source::FileId(id),
        (None, None) => return Err(place.invalid("`file_data` or `file_id`")),
    };
    Ok(Part::File {
        source,
        name,
        origin,
    })
}
