//! A model's forced fields, which are written as OpenAI writes them, for an upstream of another dialect.

use serde_json::{Map, Value};
use shared::config::{Dialect, Manners};

use super::{Chat, Field, Losses, Message, Part, Role, Tool};
use crate::{BadRequest, Target, openai_chat, wire};

/// Objects of several settings: of them one is set and the others stay. Any other value is replaced whole.
const GROUPS: [&str; 5] = [
    "generationConfig",
    "options",
    "output_config",
    "text",
    "toolConfig",
];

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

/// The field that OpenAI calls `name`, in `dialect`'s own words: what is to be set, by its path there.
///
/// They are what [`wire::write_chat`] writes for a chat that has the field, and does not write without it. What cannot be
/// told like that is left as it is, for the provider to judge. `is_set` tells whether the client's request has a path.
pub(crate) fn worded(
    name: &str,
    value: &Value,
    dialect: Dialect,
    is_set: impl Fn(&str) -> bool,
) -> Vec<(String, Value)> {
    let path = Field::of_openai(name).and_then(|field| field.path(dialect));
    let as_it_is = || vec![(path.unwrap_or(name).to_owned(), value.clone())];
    let (Some(field), false) = (Field::of_openai(name), value.is_null()) else {
        return as_it_is();
    };
    let mut chat = smallest_chat();
    let without = written(&chat, dialect);
    let is_known = openai_chat::set_field(&mut chat, name, value);
    let (Ok(true), Some(without), Some(with)) = (is_known, without, written(&chat, dialect)) else {
        return as_it_is();
    };
    let mut words = Vec::new();
    for (name, value) in with {
        let before = without.get(&name);
        match value {
            Value::Object(settings) if GROUPS.contains(&name.as_str()) => {
                let is_new = |(name, value): &(String, Value)| {
                    before.and_then(|before| before.get(name)) != Some(value)
                };
                let new = settings.into_iter().filter(is_new);
                words.extend(new.map(|(inner, value)| (format!("{name}.{inner}"), value)));
            }
            value if before != Some(&value) || path == Some(&name) => words.push((name, value)),
            _ => {}
        }
    }
    // What translated answers need beside it is not what was forced.
    words.retain(|(name, _)| name != "include" || path == Some("include"));
    // Where it is a part of the choice among tools, that choice stays the client's.
    if let (Field::ParallelToolCalls, Some((choice, part))) =
        (field, path.and_then(|path| path.split_once('.')))
        && is_set(choice)
    {
        for (path, value) in &mut words {
            *path = format!("{choice}.{part}");
            *value = value.get(part).cloned().unwrap_or(Value::Bool(false));
        }
    }
    match words.is_empty() {
        true => as_it_is(),
        false => words,
    }
}

fn smallest_chat() -> Chat {
    Chat {
        messages: vec![Message::new(Role::User, vec![Part::Text(String::new())])],
        // Some settings are about tools, and are not written where there are none.
        tools: vec![Tool {
            name: "f".to_owned(),
            description: None,
            parameters: None,
            strict: None,
        }],
        ..Chat::default()
    }
}

fn written(chat: &Chat, dialect: Dialect) -> Option<Map<String, Value>> {
    let target = Target {
        dialect,
        manners: Manners::default(),
        model: "",
        overrides: &Map::new(),
        drop_unsupported: false,
    };
    let losses = Losses::new(Dialect::OpenaiChat, dialect, false);
    let body = wire::write_chat(chat, &target, &losses).ok()?;
    serde_json::from_slice(&body).ok()
}
