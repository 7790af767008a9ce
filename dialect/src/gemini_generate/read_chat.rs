//! A client's request → the canonical form.

mod config;
mod contents;
mod part;
mod schema;
mod tools;

use serde_json::Value;

pub(super) use self::part::is_googles;
use super::place::{self, Others, Place, camel};
use crate::canon::{Chat, Message, Part, Role};
use crate::{BadRequest, Endpoint};

/// Reads a whole request. The model stands in its path, and so does whether the answer is a stream.
///
/// # Errors
///
/// A field that is not as this dialect has it; the message names it.
pub(crate) fn read_chat(_endpoint: Endpoint, body: &[u8]) -> Result<Chat, BadRequest> {
    let mut chat = Chat::default();
    let mut system = None;
    let mut messages = None;
    for (name, value) in place::fields(place::body(body)?, Place::Top)? {
        let at = Place::Top.field(&name);
        match &*camel(&name) {
            "contents" => {
                messages = Some(contents::read_contents(value, at, &mut chat.others)?);
            }
            "systemInstruction" => system = read_system(value, at, &mut chat.others)?,
            "generationConfig" => config::read_config(value, at, &mut chat)?,
            "tools" => tools::read_tools(value, at, &mut chat)?,
            "toolConfig" => tools::read_tool_config(value, at, &mut chat)?,
            "model" | "labels" => {}
            "serviceTier" if is_usual_tier(&value) => {}
            "store" if value == Value::Bool(false) => {}
            "safetySettings" if filters_nothing(&value) => {}
            _ => chat.others.push((name, value)),
        }
    }
    let messages = messages.ok_or_else(|| BadRequest::missing("contents"))?;
    chat.messages = system.into_iter().chain(messages).collect();
    Ok(chat)
}

fn read_system(
    value: Value,
    at: Place<'_>,
    others: &mut Others,
) -> Result<Option<Message>, BadRequest> {
    let mut parts = contents::read_content(value, at, others)?.parts;
    parts.retain(|part| !matches!(part, Part::Thinking { .. }));
    let has_turns = |part: &Part| matches!(part, Part::ToolCall(_) | Part::ToolResult(_));
    if parts.iter().any(has_turns) {
        return Err(at.field("parts").invalid("texts"));
    }
    Ok((!parts.is_empty()).then(|| Message::new(Role::System, parts)))
}

/// Filters that are turned off: no one else has them. Who wants one to filter is told that it would not.
fn filters_nothing(settings: &Value) -> bool {
    let is_off = |setting: &Value| {
        let mut fields = setting.as_object().into_iter().flatten();
        let threshold = fields.find(|(name, _)| camel(name) == "threshold");
        let threshold = threshold.and_then(|(_, value)| value.as_str());
        matches!(
            threshold,
            None | Some("OFF" | "BLOCK_NONE" | "HARM_BLOCK_THRESHOLD_UNSPECIFIED")
        )
    };
    settings
        .as_array()
        .is_some_and(|settings| settings.iter().all(is_off))
}

fn is_usual_tier(value: &Value) -> bool {
    let tier = value.as_str().unwrap_or_default().to_ascii_lowercase();
    let word = tier.strip_prefix("service_tier_").unwrap_or(&tier);
    matches!(word, "unspecified" | "auto" | "default" | "standard")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(body: &Value) -> Result<Chat, BadRequest> {
        read_chat(Endpoint::GenerateContent, body.to_string().as_bytes())
    }

    #[test]
    fn the_system_speaks_first() {
        let chat = read(&json!({
            "contents": [{"role": "user", "parts": {"text": "Hi"}}],
            "system_instruction": {"parts": {"text": "Be a cat."}},
        }))
        .unwrap();

        let text = |text: &str| vec![Part::Text(text.to_owned())];
        let expected = [
            Message::new(Role::System, text("Be a cat.")),
            Message::new(Role::User, text("Hi")),
        ];
        assert_eq!(chat.messages, expected);
        assert_eq!(chat.model, "");
    }

    #[test]
    fn hints_are_dropped_and_what_has_no_place_is_told() {
        let chat = read(&json!({
            "contents": [],
            "labels": {"team": "a"},
            "serviceTier": "STANDARD",
            "store": false,
            "safetySettings": [
                {"category": "HARM_CATEGORY_HATE_SPEECH", "threshold": "BLOCK_NONE"},
                {"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_LOW_AND_ABOVE"},
            ],
            "cached_content": "cachedContents/1",
            "tools": [{"googleSearch": {}}],
            "somethingNew": 1,
        }))
        .unwrap();

        let paths: Vec<&str> = chat.others.iter().map(|(path, _)| &**path).collect();
        let expected = [
            "safetySettings",
            "cached_content",
            "tools[0].googleSearch",
            "somethingNew",
        ];
        assert_eq!(paths, expected);
    }

    #[test]
    fn filters_that_are_off_ask_for_nothing() {
        let chat = read(&json!({
            "contents": [],
            "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
        }))
        .unwrap();

        assert_eq!(chat.others, []);
    }

    #[test]
    fn a_wrong_type_is_told_by_its_path() {
        let param = |body: Value| read(&body).unwrap_err().param.unwrap_or_default();

        assert_eq!(param(json!({})), "contents");
        assert_eq!(param(json!({"contents": "Hi"})), "contents");
        assert_eq!(
            param(json!({"contents": [{"parts": [{"text": 1}]}]})),
            "contents[0].parts[0].text"
        );
        assert_eq!(
            param(json!({"contents": [{"parts": [{"inline_data": {"mime_type": "image/png"}}]}]})),
            "contents[0].parts[0].inline_data.data"
        );
        assert_eq!(
            param(json!({"contents": [], "tools": [{"function_declarations": [{}]}]})),
            "tools[0].function_declarations[0].name"
        );
        assert_eq!(
            param(json!({"contents": [], "system_instruction": "x"})),
            "system_instruction"
        );
    }

    proptest! {
        #[test]
        fn no_request_panics(body in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = read_chat(Endpoint::GenerateContent, &body);
        }

        #[test]
        fn no_contents_panic(
            names in prop::collection::vec("role|parts|text|thought|functionCall|functionResponse|name|args|response|inlineData|data|id", 0..8),
            leaf in prop_oneof![Just(json!("model")), Just(json!(true)), Just(json!([])), Just(json!({}))],
        ) {
            let value = names.into_iter().fold(leaf, |value, name| json!({name: value}));

            let _ = read(&json!({"contents": [value]}));
        }
    }
}
