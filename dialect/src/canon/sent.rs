//! The client's request once more, for the words of a refusal.
//!
//! The canonical form does not keep which of several spellings the client chose, nor where its calls stood: both are
//! looked up here, and only when something is refused.

use bytes::Bytes;
use serde_json::Value;
use shared::config::Dialect;

use super::{Field, ToolCall, ToolResult, proof};

/// What the client sent.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) dialect: Dialect,
    /// Empty where nobody kept it.
    pub(super) body: Bytes,
}

impl Sent {
    /// A field as the client wrote it. One that it did not write was forced by the configuration, in OpenAI's words.
    pub(super) fn field(&self, field: Field) -> String {
        let request = self.request();
        let mut words = field.words(self.dialect);
        let found = words.find_map(|word| match word {
            // It may be there for other extras.
            "include" => included(&request, "message.output_text.logprobs"),
            word => spelled(&request, word),
        });
        found.unwrap_or_else(|| {
            let is_known = !request.is_null();
            let forced = field.path(Dialect::OpenaiChat).filter(|_| is_known);
            forced.unwrap_or(field.name(self.dialect)).to_owned()
        })
    }

    /// The field that is called `name`, wherever it stands.
    pub(super) fn key(&self, name: &str) -> String {
        let found = find(&self.request(), "", &|key, value| {
            is_same_name(key, name) && !value.is_null()
        });
        found.unwrap_or_else(|| name.to_owned())
    }

    /// The arguments of `call`, where clients send them as text.
    pub(super) fn arguments(&self, call: &ToolCall) -> String {
        self.find_in_list(&|key, value| key == "arguments" && *value == call.arguments)
    }

    /// The id of the call that `result` answers.
    pub(super) fn call_id(&self, result: &ToolResult) -> String {
        let is_id = |key: &str| matches!(key, "tool_call_id" | "call_id" | "tool_use_id");
        self.find_in_list(&|key, value| {
            let id = value.as_str().filter(|_| is_id(key));
            id.is_some_and(|id| proof::unpack(id).0 == result.call_id)
        })
    }

    /// The first thing that the assistant says.
    pub(super) fn first_answer(&self) -> String {
        let list = self.list();
        let request = self.request();
        let items = request.get(list).and_then(Value::as_array);
        let is_answer = |item: &Value| match (item["role"].as_str(), item["type"].as_str()) {
            (Some(role), _) => matches!(&*role.to_ascii_lowercase(), "assistant" | "model"),
            (None, kind) => matches!(kind, Some("function_call" | "reasoning")),
        };
        match items.and_then(|items| items.iter().position(is_answer)) {
            Some(index) => format!("{list}[{index}]"),
            None => list.to_owned(),
        }
    }

    /// The field that holds the conversation.
    pub(super) fn list(&self) -> &'static str {
        match self.dialect {
            Dialect::OpenaiResponses => "input",
            Dialect::GeminiGenerate => "contents",
            Dialect::OpenaiChat
            | Dialect::AnthropicMessages
            | Dialect::OllamaChat
            | Dialect::BedrockConverse => "messages",
        }
    }

    fn find_in_list(&self, is_it: &dyn Fn(&str, &Value) -> bool) -> String {
        let list = self.list();
        let request = self.request();
        let found = request.get(list).and_then(|items| find(items, list, is_it));
        found.unwrap_or_else(|| list.to_owned())
    }

    fn request(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// The path of `word` as it is spelled in `request`; `None` if it is not there.
fn spelled(request: &Value, word: &str) -> Option<String> {
    let mut value = request;
    let mut names = Vec::new();
    for step in word.split('.') {
        let mut fields = value.as_object()?.iter();
        let (name, inner) =
            fields.find(|(name, value)| is_same_name(name, step) && !value.is_null())?;
        names.push(name.as_str());
        value = inner;
    }
    Some(names.join("."))
}

/// Google takes `topK` and `top_k` for the same.
fn is_same_name(one: &str, other: &str) -> bool {
    let letters = |name: &str| {
        let letters = name.bytes().filter(|letter| *letter != b'_');
        letters.map(|letter| letter.to_ascii_lowercase()).collect()
    };
    let (one, other): (Vec<u8>, Vec<u8>) = (letters(one), letters(other));
    one == other
}

fn included(request: &Value, extra: &str) -> Option<String> {
    let index = request["include"]
        .as_array()?
        .iter()
        .position(|value| value == extra)?;
    Some(format!("include[{index}]"))
}

/// The path of the first field, in the order of the text, that `is_it`; `value` stands at `path`.
fn find(value: &Value, path: &str, is_it: &dyn Fn(&str, &Value) -> bool) -> Option<String> {
    match value {
        Value::Array(items) => (0..).zip(items).find_map(|(index, item)| match item {
            Value::Array(_) | Value::Object(_) => find(item, &format!("{path}[{index}]"), is_it),
            _ => None,
        }),
        Value::Object(fields) => fields.iter().find_map(|(name, value)| {
            let place = match path.is_empty() {
                true => name.clone(),
                false => format!("{path}.{name}"),
            };
            match is_it(name, value) {
                true => Some(place),
                false => find(value, &place, is_it),
            }
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sent(dialect: Dialect, body: &Value) -> Sent {
        Sent {
            dialect,
            body: body.to_string().into(),
        }
    }

    #[track_caller]
    fn check(dialect: Dialect, body: &Value, field: Field, expected: &str) {
        assert_eq!(sent(dialect, body).field(field), expected);
    }

    #[test]
    fn a_field_has_the_word_that_the_client_chose() {
        let gemini = |config: &str| json!({"generation_config": {config: 1}});
        let json_only = gemini("responseMimeType");
        check(
            Dialect::GeminiGenerate,
            &json_only,
            Field::Format,
            "generation_config.responseMimeType",
        );
        check(
            Dialect::GeminiGenerate,
            &gemini("stop_sequences"),
            Field::Stop,
            "generation_config.stop_sequences",
        );
        check(
            Dialect::AnthropicMessages,
            &json!({"output_config": {"effort": "low"}}),
            Field::Reasoning,
            "output_config.effort",
        );
        check(
            Dialect::OpenaiChat,
            &json!({"logprobs": null, "top_logprobs": 2}),
            Field::Logprobs,
            "top_logprobs",
        );
        check(
            Dialect::OpenaiResponses,
            &json!({"include": ["reasoning.encrypted_content"], "top_logprobs": 2}),
            Field::Logprobs,
            "top_logprobs",
        );
        let both = json!({"include": ["x", "message.output_text.logprobs"], "top_logprobs": 2});
        check(
            Dialect::OpenaiResponses,
            &both,
            Field::Logprobs,
            "include[1]",
        );
    }

    #[test]
    fn a_field_that_is_forced_has_the_word_of_the_configuration() {
        let body = json!({"contents": []});

        check(Dialect::GeminiGenerate, &body, Field::Seed, "seed");
    }

    #[test]
    fn a_call_and_its_result_are_found_where_the_client_has_them() {
        let call = ToolCall {
            arguments: "[1]".to_owned(),
            ..ToolCall::default()
        };
        let result = ToolResult {
            call_id: "b".to_owned(),
            name: None,
            parts: Vec::new(),
            is_error: false,
        };
        let found = |dialect, body: Value| {
            let sent = sent(dialect, &body);
            [sent.arguments(&call), sent.call_id(&result)]
        };

        let openai = json!({
            "tools": [{"arguments": "[1]"}],
            "messages": [
                {"role": "assistant", "tool_calls": [
                    {"id": "a", "function": {"arguments": "{}"}}, {"id": "c", "function": {"arguments": "[1]"}}]},
                {"role": "tool", "tool_call_id": "a"}, {"role": "tool", "tool_call_id": "b"},
            ],
        });
        assert_eq!(
            found(Dialect::OpenaiChat, openai),
            [
                "messages[0].tool_calls[1].function.arguments",
                "messages[2].tool_call_id"
            ]
        );
        let responses = json!({"input": [
            {"type": "function_call", "call_id": "a", "arguments": "{}"},
            {"type": "function_call", "call_id": "c", "arguments": "[1]"},
            {"type": "function_call_output", "call_id": "b", "output": ""},
        ]});
        assert_eq!(
            found(Dialect::OpenaiResponses, responses),
            ["input[1].arguments", "input[2].call_id"]
        );
    }

    #[test]
    fn the_first_answer_is_found_in_every_conversation() {
        let first = |dialect, body: Value| sent(dialect, &body).first_answer();

        let openai =
            json!({"messages": [{"role": "system"}, {"role": "assistant"}, {"role": "assistant"}]});
        assert_eq!(first(Dialect::OpenaiChat, openai), "messages[1]");
        let gemini = json!({"contents": [{"role": "model"}]});
        assert_eq!(first(Dialect::GeminiGenerate, gemini), "contents[0]");
        let responses = json!({"input": [{"role": "developer"}, {"type": "function_call"}]});
        assert_eq!(first(Dialect::OpenaiResponses, responses), "input[1]");
    }
}
