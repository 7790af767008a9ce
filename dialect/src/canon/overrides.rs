//! A model's forced fields, which are written as OpenAI writes them, for an upstream of another dialect.

use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};
use shared::config::{Dialect, Manners};

use super::{Chat, Field, Losses, Message, Part, Role, Tool};
use crate::{BadRequest, Target, gemini_generate, openai_chat, wire};

/// Objects of several settings: of them one is set and the others stay. Any other value is replaced whole.
const GROUPS: [&str; 5] = [
    "generationConfig",
    "options",
    "output_config",
    "text",
    "toolConfig",
];

/// What is said, and by whom: no override replaces that.
const SAID: [&str; 6] = [
    "contents",
    "input",
    "instructions",
    "messages",
    "system",
    "systemInstruction",
];

/// A model's forced fields, with their words in each dialect, which are found once. A clone shares them.
#[derive(Clone, Debug, Default)]
pub struct Overrides(Arc<Forced>);

#[derive(Debug, Default)]
struct Forced {
    fields: Map<String, Value>,
    /// By dialect, as [`Dialect::ALL`] has them; of each field in its turn.
    wordings: [OnceLock<Vec<Wording>>; Dialect::ALL.len()],
    /// For the models of Gemini that know no levels of thought.
    of_gemini_2: OnceLock<Vec<Wording>>,
}

/// How one forced field is told to an upstream of the client's own dialect.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Wording {
    /// What is to be set, by its path.
    pub(crate) set: Vec<(String, Value)>,
    /// What is to be taken away where the client has set it.
    pub(crate) unset: Vec<&'static str>,
    /// What is to be asked for at the end of the system prompt.
    pub(crate) said: Option<String>,
    /// Instead of `set` where the client chose among its tools: a part of that choice.
    pub(crate) in_choice: Option<InChoice>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct InChoice {
    pub(crate) choice: &'static str,
    pub(crate) part: &'static str,
    pub(crate) value: Value,
}

impl From<Map<String, Value>> for Overrides {
    fn from(fields: Map<String, Value>) -> Self {
        Self(Arc::new(Forced {
            fields,
            ..Forced::default()
        }))
    }
}

impl PartialEq for Overrides {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.fields() == other.fields()
    }
}

impl Eq for Overrides {}

impl Overrides {
    /// As the configuration has them.
    pub fn fields(&self) -> &Map<String, Value> {
        &self.0.fields
    }

    /// Each field's wording in `dialect` for the upstream's `model`, in the order of [`Self::fields`].
    pub(crate) fn wordings(&self, dialect: Dialect, model: &str) -> &[Wording] {
        let (wordings, model) = match gemini_generate::knows_levels(model) {
            false if dialect == Dialect::GeminiGenerate => (Some(&self.0.of_gemini_2), model),
            // Nothing else depends on it.
            _ => {
                let position = Dialect::ALL.iter().position(|other| *other == dialect);
                let found = position.and_then(|position| self.0.wordings.get(position));
                (found, "")
            }
        };
        wordings.map_or(&[], |wordings| {
            wordings.get_or_init(|| {
                let fields = self.fields().iter();
                fields
                    .map(|(name, value)| worded(name, value, dialect, model))
                    .collect()
            })
        })
    }
}

/// Whether OpenAI's field `name` is about tools, and refused where there are none.
pub(crate) fn is_about_tools(name: &str) -> bool {
    matches!(name, "parallel_tool_calls" | "tool_choice")
}

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
    let has_tools = !chat.tools.is_empty() || overrides.contains_key("tools");
    for (name, value) in overrides {
        let is_ours = matches!(
            name.as_str(),
            "model" | "stream" | "stream_options" | "messages"
        );
        let is_idle = is_about_tools(name) && !has_tools;
        if !is_ours && !is_idle && !openai_chat::set_field(chat, name, value)? {
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

/// The field that OpenAI calls `name`, in `dialect`'s own words.
///
/// They are what [`wire::write_chat`] writes for a chat that has the field, and does not write without it. What cannot be
/// told like that is left as it is, for the provider to judge.
fn worded(name: &str, value: &Value, dialect: Dialect, model: &str) -> Wording {
    let field = Field::of_openai(name);
    let path = field.and_then(|field| field.path(dialect));
    let as_it_is = || Wording {
        set: vec![(path.unwrap_or(name).to_owned(), value.clone())],
        ..Wording::default()
    };
    let (Some(field), false) = (field, value.is_null()) else {
        return as_it_is();
    };
    let mut chat = smallest_chat();
    let without = written(&chat, dialect, model);
    let is_known = openai_chat::set_field(&mut chat, name, value);
    let (Ok(true), Some(without), Some(with)) = (is_known, without, written(&chat, dialect, model))
    else {
        return as_it_is();
    };
    let mut set = Vec::new();
    let mut is_said = false;
    for (name, value) in with {
        let before = without.get(&name);
        match value {
            _ if SAID.contains(&name.as_str()) => is_said |= name == "system" && before.is_none(),
            Value::Object(settings) if GROUPS.contains(&name.as_str()) => {
                let is_new = |(name, value): &(String, Value)| {
                    before.and_then(|before| before.get(name)) != Some(value)
                };
                let new = settings.into_iter().filter(is_new);
                set.extend(new.map(|(inner, value)| (format!("{name}.{inner}"), value)));
            }
            value if before != Some(&value) || path == Some(&name) => set.push((name, value)),
            _ => {}
        }
    }
    // What translated answers need beside it is not what was forced.
    set.retain(|(name, _)| name != "include" || path == Some("include"));
    // Where it is a part of the choice among tools, that choice stays the client's.
    let place = path.and_then(|path| path.split_once('.'));
    if let (Field::ParallelToolCalls, Some((choice, part)), Some(is_parallel)) =
        (field, place, value.as_bool())
    {
        let value = Value::Bool(!is_parallel);
        return Wording {
            set,
            in_choice: Some(InChoice {
                choice,
                part,
                value,
            }),
            ..Wording::default()
        };
    }
    let said = chat.format.as_ref().filter(|_| is_said);
    let said = said.map(|format| format.in_words().into_owned());
    let is_told_otherwise = |other: &&str| !set.iter().any(|(path, _)| path == other);
    let unset = match path {
        // OpenAI's own value is as good in its other dialect.
        Some(_) if dialect == Dialect::OpenaiResponses => Vec::new(),
        Some(_) if set.is_empty() || field == Field::Format => {
            field.words(dialect).filter(is_told_otherwise).collect()
        }
        _ => Vec::new(),
    };
    if set.is_empty() && unset.is_empty() && said.is_none() {
        return as_it_is();
    }
    Wording {
        set,
        unset,
        said,
        in_choice: None,
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

fn written(chat: &Chat, dialect: Dialect, model: &str) -> Option<Map<String, Value>> {
    let target = Target {
        dialect,
        manners: Manners::default(),
        model,
        overrides: &Overrides::default(),
        drop_unsupported: false,
    };
    let losses = Losses::new(Dialect::OpenaiChat, dialect, false);
    let body = wire::write_chat(chat, &target, &losses).ok()?;
    serde_json::from_slice(&body).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn forced(fields: Value) -> Overrides {
        match fields {
            Value::Object(fields) => Overrides::from(fields),
            _ => Overrides::default(),
        }
    }

    #[test]
    fn wordings_are_found_once_for_all_clones() {
        let overrides = forced(json!({"stop": "END"}));
        let clone = overrides.clone();

        let words = overrides.wordings(Dialect::AnthropicMessages, "claude");

        assert_eq!(
            words[0].set,
            [("stop_sequences".to_owned(), json!(["END"]))]
        );
        assert!(std::ptr::eq(
            words,
            clone.wordings(Dialect::AnthropicMessages, "claude")
        ));
    }

    #[test]
    fn calls_are_not_told_to_be_one_at_a_time_where_there_are_none() {
        let overrides = forced(json!({"parallel_tool_calls": false}));
        let mut without = Chat::default();
        let mut with = smallest_chat();

        override_fields(&mut without, overrides.fields()).unwrap();
        override_fields(&mut with, overrides.fields()).unwrap();

        assert_eq!(without.parallel_tool_calls, None);
        assert_eq!(with.parallel_tool_calls, Some(false));
    }
}
