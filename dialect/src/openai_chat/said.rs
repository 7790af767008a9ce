//! What replies and chunks have in common, and the many ways in which providers write it.

use std::fmt;

use serde::Deserialize;
use serde::de::{
    Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer,
};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{BLOCKS_ARE_OF, SIGNED_CALLS_ARE_OF};
use crate::UpstreamError;
use crate::canon::{Finish, Proof};

/// A `message` or a `delta`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Said {
    pub(super) content: Text,
    pub(super) refusal: Text,
    reasoning_content: Text,
    reasoning: Text,
    pub(super) thinking_blocks: Option<Vec<Block>>,
    pub(super) tool_calls: Option<Vec<Call>>,
    pub(super) extra_content: ExtraContent,
}

/// A tool call, or a piece of one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Call {
    /// Google's endpoint sends none.
    pub(super) index: Option<u32>,
    pub(super) id: Text,
    pub(super) function: Function,
    pub(super) extra_content: ExtraContent,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Function {
    pub(super) name: Text,
    pub(super) arguments: Arguments,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ExtraContent {
    google: Option<Google>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Google {
    thought_signature: Text,
}

/// Thoughts that were signed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Block {
    #[serde(rename = "type")]
    kind: Text,
    pub(super) thinking: Text,
    signature: Text,
    data: Text,
}

/// A string; empty for null, the texts of an array of parts, and nothing for what has no text.
#[derive(Debug, Default)]
pub(super) struct Text(pub(super) String);

/// JSON text; some servers send the object itself.
#[derive(Debug, Default)]
pub(super) struct Arguments(pub(super) String);

impl Said {
    /// Takes the thoughts out; providers differ in the name, and some send them under both.
    pub(super) fn take_thoughts(&mut self) -> Text {
        let reasoning = std::mem::take(&mut self.reasoning);
        match std::mem::take(&mut self.reasoning_content) {
            Text(text) if text.is_empty() => reasoning,
            text => text,
        }
    }
}

impl ExtraContent {
    pub(super) fn signature(self) -> Option<Proof> {
        Proof::read(self.google?.thought_signature.0, SIGNED_CALLS_ARE_OF)
    }
}

impl Block {
    /// Of the thoughts, or the thoughts themselves where they are redacted.
    pub(super) fn take_proof(&mut self) -> Option<Proof> {
        let proof = match self.is_redacted() {
            true => std::mem::take(&mut self.data),
            false => std::mem::take(&mut self.signature),
        };
        Proof::read(proof.0, BLOCKS_ARE_OF)
    }

    pub(super) fn is_redacted(&self) -> bool {
        self.kind.0 == "redacted_thinking"
    }
}

impl Text {
    /// `None` if it is empty.
    pub(super) fn some(self) -> Option<String> {
        (!self.0.is_empty()).then_some(self.0)
    }
}

/// The string that `raw` is; `None` if it is empty or no string.
pub(super) fn word(raw: Option<&RawValue>) -> Option<String> {
    let Text(word) = serde_json::from_str(raw?.get()).ok()?;
    (!word.is_empty()).then_some(word)
}

/// What a finish reason says, in an answer with tool calls or without.
///
/// # Errors
///
/// Some providers tell so of their own fault.
pub(super) fn finish(reason: &str, has_calls: bool) -> Result<Finish, Box<UpstreamError>> {
    match reason {
        "length" | "model_context_window_exceeded" => Ok(Finish::Length),
        "content_filter" | "sensitive" => Ok(Finish::ContentFilter),
        "tool_calls" | "function_call" => Ok(Finish::ToolCalls),
        "network_error" | "insufficient_system_resource" | "error" => {
            Err(Box::new(UpstreamError {
                message: format!("The provider broke off its answer: `{reason}`."),
                code: Some(reason.to_owned()),
                ..UpstreamError::default()
            }))
        }
        // Google's endpoint says `stop` after tool calls, too.
        _ if has_calls => Ok(Finish::ToolCalls),
        _ => Ok(Finish::Stop),
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text")
    }

    fn visit_str<E>(self, text: &str) -> Result<Text, E> {
        Ok(Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Text, E> {
        Ok(Text(text))
    }

    fn visit_unit<E>(self) -> Result<Text, E> {
        Ok(Text::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Text, E> {
        Ok(Text::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Text, E> {
        Ok(Text::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Text, E> {
        Ok(Text::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Text, E> {
        Ok(Text::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Text, A::Error> {
        let mut texts = Text::default();
        while let Some(Text(text)) = parts.next_element()? {
            texts.0.push_str(&text);
        }
        Ok(texts)
    }

    /// A part of an array: `{"type": "text", "text": "…"}`.
    fn visit_map<A: MapAccess<'de>>(self, mut part: A) -> Result<Text, A::Error> {
        let mut text = Text::default();
        while let Some(Text(name)) = part.next_key()? {
            match name.as_str() {
                "text" => text = part.next_value()?,
                _ => {
                    part.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(text)
    }
}

impl<'de> Deserialize<'de> for Arguments {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ArgumentsVisitor)
    }
}

struct ArgumentsVisitor;

impl<'de> Visitor<'de> for ArgumentsVisitor {
    type Value = Arguments;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the arguments of a call")
    }

    fn visit_str<E>(self, text: &str) -> Result<Arguments, E> {
        Ok(Arguments(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Arguments, E> {
        Ok(Arguments(text))
    }

    fn visit_unit<E>(self) -> Result<Arguments, E> {
        Ok(Arguments::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Arguments, A::Error> {
        let object = Value::deserialize(MapAccessDeserializer::new(object))?;
        Ok(Arguments(object.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_content(content: &str, expected: &str) {
        let said: Said = serde_json::from_str(&format!(r#"{{"content":{content}}}"#)).unwrap();
        assert_eq!(said.content.0, expected);
    }

    #[test]
    fn content_is_text_however_it_is_sent() {
        check_content(r#""a\nb""#, "a\nb");
        check_content("null", "");
        check_content("7", "");
        check_content(
            r#"[{"type":"thinking","thinking":[]},{"type":"text","text":"a"},{"text":"b"}]"#,
            "ab",
        );
    }

    #[test]
    fn thoughts_are_read_once_under_either_name() {
        for said in [
            r#"{"reasoning":"hm"}"#,
            r#"{"reasoning_content":"hm"}"#,
            r#"{"reasoning":"hm","reasoning_content":"hm"}"#,
            r#"{"reasoning":"hm","reasoning_content":null}"#,
        ] {
            let mut said: Said = serde_json::from_str(said).unwrap();

            assert_eq!(said.take_thoughts().0, "hm");
        }
    }

    #[test]
    fn arguments_may_be_an_object() {
        let function: Function = serde_json::from_str(r#"{"arguments":{"b":1,"a":[]}}"#).unwrap();

        assert_eq!(function.arguments.0, r#"{"b":1,"a":[]}"#);
    }

    #[test]
    fn reasons_of_their_own_are_understood() {
        assert_eq!(finish("sensitive", false), Ok(Finish::ContentFilter));
        assert_eq!(finish("stop", true), Ok(Finish::ToolCalls));
        assert_eq!(finish("length", true), Ok(Finish::Length));
        assert_eq!(finish("eos", false), Ok(Finish::Stop));
        let error = finish("network_error", false).unwrap_err();
        assert_eq!(error.code.as_deref(), Some("network_error"));
    }
}
