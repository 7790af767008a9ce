//! The messages and their blocks.

use serde_json::Value;

use super::fields::{Fields, Place};
use super::{read_texts, settings, source};
use crate::BadRequest;
use crate::anthropic_messages::OWN;
use crate::canon::{Chat, Message, Origin, Part, Proof, Role, ToolCall, ToolResult, proof};

/// Whose block it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    User,
    Assistant,
    ToolResult,
}

pub(super) fn read(messages: Value, chat: &mut Chat) -> Result<(), BadRequest> {
    let place = Place::Top.field("messages");
    let Value::Array(messages) = messages else {
        return Err(place.invalid("an array of messages"));
    };
    for (index, message) in messages.into_iter().enumerate() {
        let mut message = Fields::of(message, place.item(index))?;
        let role = message.text("role")?;
        let content = message.required("content")?;
        let message_place = message.place();
        let place = message_place.field("content");
        match &*role {
            "user" => {
                let parts = read_blocks(content, place, Holder::User, &mut chat.others)?;
                push_user(parts, chat);
            }
            "assistant" => {
                let parts = read_blocks(content, place, Holder::Assistant, &mut chat.others)?;
                chat.messages.push(Message::new(Role::Assistant, parts));
            }
            "system" => {
                let parts = read_texts(content, place, &mut chat.others)?;
                // One that says nothing is there for its settings only.
                let says_nothing =
                    |part: &Part| matches!(part, Part::Text(text) if text.is_empty());
                if !parts.iter().all(says_nothing) {
                    chat.messages.push(Message::new(Role::System, parts));
                }
                if let Some(config) = message.take("output_config") {
                    let place = message_place.field("output_config");
                    settings::read_turn_config(config, place, chat)?;
                }
            }
            _ => return Err(message.invalid("role", "`user`, `assistant` or `system`")),
        }
        message.leave_rest_to(&mut chat.others);
    }
    Ok(())
}

pub(super) fn text_part(block: &mut Fields<'_>) -> Result<Part, BadRequest> {
    let text = block.text("text")?;
    // An answer that is sent back may have an empty list of them.
    if let Some(Value::Array(citations)) = block.peek("citations")
        && citations.is_empty()
    {
        block.forget(&["citations"]);
    }
    Ok(Part::Text(text))
}

/// Tool results are a message of their own, and before what else the user says: the API takes them in no other order.
fn push_user(parts: Vec<Part>, chat: &mut Chat) {
    let (mut results, rest): (Vec<Part>, Vec<Part>) = parts
        .into_iter()
        .partition(|part| matches!(part, Part::ToolResult(_)));
    for part in &mut results {
        if let Part::ToolResult(result) = part {
            result.name = chat.tool_name(&result.call_id).map(str::to_owned);
        }
    }
    let has_rest = !rest.is_empty() || results.is_empty();
    if !results.is_empty() {
        chat.messages.push(Message::new(Role::Tool, results));
    }
    if has_rest {
        chat.messages.push(Message::new(Role::User, rest));
    }
}

fn read_blocks(
    content: Value,
    place: Place<'_>,
    holder: Holder,
    others: &mut Vec<(String, Value)>,
) -> Result<Vec<Part>, BadRequest> {
    let blocks = match content {
        Value::String(text) => return Ok(vec![Part::Text(text)]),
        Value::Array(blocks) => blocks,
        _ => return Err(place.invalid("a string or an array of content blocks")),
    };
    let mut parts = Vec::with_capacity(blocks.len());
    for (index, block) in blocks.into_iter().enumerate() {
        parts.extend(read_block(block, place.item(index), holder, others)?);
    }
    Ok(parts)
}

/// `None` for a block that nobody else has, and for one that says nothing.
fn read_block(
    block: Value,
    place: Place<'_>,
    holder: Holder,
    others: &mut Vec<(String, Value)>,
) -> Result<Option<Part>, BadRequest> {
    if is_foreign(&block) {
        others.push((place.to_string(), block));
        return Ok(None);
    }
    let mut block = Fields::of(block, place)?;
    let kind = block.text("type")?;
    let part = match (&*kind, holder) {
        ("text", _) => text_part(&mut block)?,
        ("image", _) => {
            let source = block.required("source")?;
            Part::Image {
                source: source::read(source, place.field("source"), others)?,
                detail: None,
                origin: Origin::at(&place),
            }
        }
        ("document", _) => {
            let source = block.required("source")?;
            let source = source::read(source, place.field("source"), others)?;
            let name = block.optional_text("title")?;
            let citations = block.peek("citations");
            if citations.is_some_and(|citations| citations["enabled"] == false) {
                block.forget(&["citations"]);
            }
            Part::File {
                source,
                name,
                origin: Origin::at(&place),
            }
        }
        ("thinking", Holder::Assistant) => Part::Thinking {
            text: block.text("thinking")?,
            signature: block.optional_text("signature")?.and_then(read_proof),
        },
        ("redacted_thinking", Holder::Assistant) => {
            let sealed = read_proof(block.text("data")?);
            block.leave_rest_to(others);
            return Ok(sealed.map(Part::RedactedThinking));
        }
        ("tool_use", Holder::Assistant) => Part::ToolCall(read_call(&mut block)?),
        ("tool_result", Holder::User) => Part::ToolResult(read_result(&mut block, others)?),
        _ => {
            let expected = match holder {
                Holder::User => "a block that users send",
                Holder::Assistant => "a block that assistants send",
                Holder::ToolResult => "a block that tools return",
            };
            return Err(block.invalid("type", expected));
        }
    };
    block.leave_rest_to(others);
    Ok(Some(part))
}

fn read_proof(text: String) -> Option<Proof> {
    Proof::read(text, OWN)
}

/// Whether the block is one of those without a canonical form: of the provider's own tools, or of a later version.
fn is_foreign(block: &Value) -> bool {
    match block["type"].as_str() {
        Some("image" | "document") => !source::is_known(block["source"]["type"].as_str()),
        None | Some("text" | "thinking" | "redacted_thinking" | "tool_use" | "tool_result") => {
            false
        }
        Some(_) => true,
    }
}

fn read_call(block: &mut Fields<'_>) -> Result<ToolCall, BadRequest> {
    let id = block.text("id")?;
    let (id, signature) = proof::unpack(&id);
    let input = block.required("input")?;
    if !input.is_object() {
        return Err(block.invalid("input", "an object"));
    }
    let is_direct = block
        .peek("caller")
        .is_some_and(|caller| caller["type"] == "direct");
    if is_direct {
        block.forget(&["caller"]);
    }
    Ok(ToolCall {
        id: id.to_owned(),
        name: block.text("name")?,
        arguments: input.to_string(),
        signature,
    })
}

fn read_result(
    block: &mut Fields<'_>,
    others: &mut Vec<(String, Value)>,
) -> Result<ToolResult, BadRequest> {
    let call_id = block.text("tool_use_id")?;
    let (call_id, _) = proof::unpack(&call_id);
    let place = block.place();
    let parts = match block.take("content") {
        Some(content) => read_blocks(content, place.field("content"), Holder::ToolResult, others)?,
        None => Vec::new(),
    };
    Ok(ToolResult {
        call_id: call_id.to_owned(),
        name: None,
        parts,
        is_error: block.optional_flag("is_error")?.unwrap_or_default(),
    })
}
