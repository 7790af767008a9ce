//! A client's request → the canonical form.
//!
//! What one field means is written once, in `fields`; a model's forced fields are set by the same code.

mod fields;
mod messages;
mod place;
mod tools;

use serde_json::Value;

use self::place::{Others, Place};
use crate::canon::Chat;
use crate::{BadRequest, Endpoint};

/// Reads a whole request.
///
/// # Errors
///
/// A field that is not as this dialect has it; the message names it.
pub(crate) fn read_chat(endpoint: Endpoint, body: &[u8]) -> Result<Chat, BadRequest> {
    if endpoint != Endpoint::ChatCompletions {
        return Err(BadRequest::new(format!(
            "`{}` cannot be put into the words of the model's upstream.",
            endpoint.name()
        )));
    }
    let Value::Object(fields) = super::parse(body)? else {
        return Err(BadRequest::new("The request body must be a JSON object."));
    };
    let has = |name: &str| fields.get(name).is_some_and(|value| !value.is_null());
    if !has("messages") {
        return Err(BadRequest::missing("messages"));
    }
    // The old name counts where the new one is absent, alternatives to tokens only where tokens are asked for.
    let has_max_completion_tokens = has("max_completion_tokens");
    let refuses_logprobs = fields.get("logprobs") == Some(&Value::Bool(false));

    let mut chat = Chat::default();
    for (name, value) in fields {
        match name.as_str() {
            _ if value.is_null() || is_hint(&name, &value) => {}
            "max_tokens" if has_max_completion_tokens => {}
            "top_logprobs" if refuses_logprobs => {}
            "model" => chat.model = Place::Top.field("model").text(value)?,
            "stream" => chat.is_stream = Place::Top.field("stream").flag(&value)?,
            "messages" => messages::read(value, Place::Top.field("messages"), &mut chat)?,
            _ => {
                if let Some(unknown) = fields::set(&mut chat, &name, value)? {
                    chat.others.push((name, unknown));
                }
            }
        }
    }
    Ok(chat)
}

/// Sets the field that OpenAI calls `name`, or takes it away if `value` is null; `false` if chats in general have no
/// such field.
///
/// # Errors
///
/// A value that is not as OpenAI has it.
pub(crate) fn set_field(chat: &mut Chat, name: &str, value: &Value) -> Result<bool, BadRequest> {
    // What the client said of it in words of its own goes with the value that is replaced.
    let others: Others = std::mem::take(&mut chat.others);
    let is_set = fields::set(chat, name, value.clone())?.is_none();
    let is_replaced = |path: &str| is_set && path.split(['.', '[']).next() == Some(name);
    let kept = others.into_iter().filter(|(path, _)| !is_replaced(path));
    chat.others.splice(0..0, kept);
    Ok(is_set)
}

/// Whether a field of the request changes no answer: labels, cache hints, and what is so without it.
fn is_hint(name: &str, value: &Value) -> bool {
    match name {
        "metadata"
        | "safety_identifier"
        | "stream_options"
        | "cache_control"
        | "prompt_cache_key"
        | "prompt_cache_options"
        | "prompt_cache_retention"
        // What the answer may look like: it comes faster if it does.
        | "prediction" => true,
        "store" => value == false,
        "service_tier" => value == "auto" || value == "default",
        "modalities" => {
            matches!(value.as_array().map(Vec::as_slice), Some([only]) if only == "text")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
