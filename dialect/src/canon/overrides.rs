//! A model's forced fields, in a chat that is translated.

use serde_json::{Map, Value};

use super::Chat;
use crate::{BadRequest, openai_chat};

/// Sets the fields of `overrides` that chats have in general, and returns the others: they are the upstream's own.
///
/// # Errors
///
/// A field that is not as OpenAI has it; only the configuration can be at fault.
pub(crate) fn override_fields(
    chat: &mut Chat,
    overrides: &Map<String, Value>,
) -> Result<Map<String, Value>, BadRequest> {
    let mut rest = Map::new();
    for (name, value) in overrides {
        let is_ours = matches!(
            name.as_str(),
            "model" | "stream" | "stream_options" | "messages"
        );
        if !is_ours && !openai_chat::set_field(chat, name, value)? {
            rest.insert(name.clone(), value.clone());
        }
    }
    Ok(rest)
}

/// Sets each field of `fields` at the top of the object in `body`.
pub(crate) fn set_top_level(body: Vec<u8>, fields: &Map<String, Value>) -> Vec<u8> {
    if fields.is_empty() {
        return body;
    }
    let Ok(Value::Object(mut object)) = serde_json::from_slice(&body) else {
        return body;
    };
    object.extend(fields.clone());
    Value::Object(object).to_string().into_bytes()
}
