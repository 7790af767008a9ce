//! A client's request → the canonical form.
//!
//! What is asked of the provider's own tools, containers and servers, in fields and in blocks, goes to
//! [`Chat::others`]; so does what later versions add.

mod fields;
mod messages;
mod settings;
mod source;

use serde_json::Value;

use self::fields::{Fields, Place};
use crate::canon::{Chat, Message, Part, Role};
use crate::{BadRequest, Endpoint};

/// Reads a whole request.
///
/// # Errors
///
/// A field that is not as this dialect has it; the message names it.
pub(crate) fn read_chat(_endpoint: Endpoint, body: &[u8]) -> Result<Chat, BadRequest> {
    let body: Value = serde_json::from_slice(body).map_err(|error| {
        BadRequest::new(format!("The request body is not valid JSON: {error}."))
    })?;
    let mut body = Fields::of(body, Place::Top)?;
    let mut chat = Chat {
        model: body.text("model")?,
        is_stream: body.optional_flag("stream")?.unwrap_or_default(),
        max_tokens: Some(body.count("max_tokens")?),
        temperature: body.optional_number("temperature")?,
        top_p: body.optional_number("top_p")?,
        top_k: body.optional_count("top_k")?,
        stop: body.optional_texts("stop_sequences")?,
        ..Chat::default()
    };
    settings::read(&mut body, &mut chat)?;

    if let Some(system) = body.take("system") {
        let parts = read_texts(system, Place::Top.field("system"), &mut chat.others)?;
        chat.messages.push(Message::new(Role::System, parts));
    }
    let messages = body.required("messages")?;
    messages::read(messages, &mut chat)?;

    body.forget(&[
        // None of them changes what is answered.
        "diagnostics",
        "service_tier",
    ]);
    body.leave_rest_to(&mut chat.others);
    Ok(chat)
}

/// Reads a text, or an array of text blocks.
fn read_texts(
    content: Value,
    place: Place<'_>,
    others: &mut Vec<(String, Value)>,
) -> Result<Vec<Part>, BadRequest> {
    let blocks = match content {
        Value::String(text) => return Ok(vec![Part::Text(text)]),
        Value::Array(blocks) => blocks,
        _ => return Err(place.invalid("a string or an array of text blocks")),
    };
    let mut parts = Vec::with_capacity(blocks.len());
    for (index, block) in blocks.into_iter().enumerate() {
        let mut block = Fields::of(block, place.item(index))?;
        if block.text("type")? != "text" {
            return Err(block.invalid("type", "`text`"));
        }
        parts.push(messages::text_part(&mut block)?);
        block.leave_rest_to(others);
    }
    Ok(parts)
}

#[cfg(test)]
mod tests;
