//! A client's request → the canonical form.
//!
//! What lives at the provider (`previous_response_id`, `conversation`, `background`, hosted tools and their items) has
//! no place in a chat and is kept by its path for the refusal.

mod items;
mod parts;
mod settings;

use serde_json::Value;

use super::fields::{Fields, Place};
use crate::canon::{Chat, LogprobsAsked, Message, Part, Role};
use crate::{BadRequest, Endpoint};

/// Fields that change no answer; what would have been made shorter of the context is all there without it.
const HINTS: [&str; 9] = [
    "metadata",
    "client_metadata",
    "context_management",
    "store",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "stream_options",
];

/// Either of these stands for messages that were sent before, so that `input` may be absent.
const EARLIER_INPUT: [&str; 3] = ["previous_response_id", "conversation", "prompt"];

/// Reads a whole request.
///
/// # Errors
///
/// A field that is not as this dialect has it; the message names it.
pub(crate) fn read_chat(_endpoint: Endpoint, body: &[u8]) -> Result<Chat, BadRequest> {
    let body = serde_json::from_slice(body)
        .map_err(|error| BadRequest::new(format!("The request body is not JSON: {error}.")))?;
    let mut fields = Fields::new(&Place::Top, body)?;
    HINTS.iter().for_each(|hint| {
        fields.take(hint);
    });
    fields.drop_default("background", &[]);
    fields.drop_default("truncation", &["disabled"]);
    fields.drop_default("service_tier", &["auto", "default"]);

    let mut chat = Chat {
        model: fields.text("model")?.unwrap_or_default(),
        is_stream: fields.flag("stream")?.unwrap_or_default(),
        parallel_tool_calls: fields.flag("parallel_tool_calls")?,
        max_tokens: fields.count("max_output_tokens")?,
        temperature: fields.number("temperature")?,
        top_p: fields.number("top_p")?,
        top_k: fields.count("top_k")?,
        user: fields.text("user")?,
        ..Chat::default()
    };
    read_instructions(&mut fields, &mut chat)?;
    read_input(&mut fields, &mut chat)?;
    settings::read_tools(&mut fields, &mut chat)?;
    settings::read_tool_choice(&mut fields, &mut chat)?;
    settings::read_text(&mut fields, &mut chat)?;
    settings::read_reasoning(&mut fields, &mut chat)?;
    read_include(&mut fields, &mut chat)?;
    fields.leave_rest(&mut chat.others);
    Ok(chat)
}

fn read_instructions(fields: &mut Fields<'_>, chat: &mut Chat) -> Result<(), BadRequest> {
    let place = Place::Top.field("instructions");
    match fields.take("instructions") {
        None => {}
        Some(Value::String(text)) => {
            let parts = vec![Part::Text(text)];
            chat.messages.push(Message::new(Role::System, parts));
        }
        // As a response shows them.
        Some(Value::Array(list)) => items::read(&place, list, chat)?,
        Some(_) => return Err(place.invalid("a string")),
    }
    Ok(())
}

fn read_input(fields: &mut Fields<'_>, chat: &mut Chat) -> Result<(), BadRequest> {
    let place = Place::Top.field("input");
    match fields.take("input") {
        Some(Value::String(text)) => {
            let parts = vec![Part::Text(text)];
            chat.messages.push(Message::new(Role::User, parts));
            Ok(())
        }
        Some(Value::Array(list)) => items::read(&place, list, chat),
        Some(_) => Err(place.invalid("a string or an array of items")),
        None if EARLIER_INPUT.iter().any(|name| fields.has(name)) => Ok(()),
        None => Err(fields.missing("input")),
    }
}

/// Which extras the answer shall have; of those, a chat knows log probabilities. Thoughts come back encrypted in any case.
fn read_include(fields: &mut Fields<'_>, chat: &mut Chat) -> Result<(), BadRequest> {
    let place = Place::Top.field("include");
    let mut has_logprobs = false;
    for (index, value) in fields.array("include")?.into_iter().enumerate() {
        let place = place.item(index);
        match value.as_str() {
            None => return Err(place.invalid("a string")),
            Some("message.output_text.logprobs") => has_logprobs = true,
            Some("reasoning.encrypted_content") => {}
            Some(_) => chat.others.push((place.to_string(), value)),
        }
    }
    let top = fields.count("top_logprobs")?;
    if has_logprobs || top.is_some_and(|top| top > 0) {
        chat.logprobs = Some(LogprobsAsked { top });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
