//! Text in and out: how many tokens a request holds, and the words of every answer.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Plain words, one token each in common vocabularies, that need no escape in JSON.
const WORDS: [&str; 16] = [
    "the", "river", "runs", "past", "the", "mill", "and", "every", "wheel", "turns", "as", "the",
    "water", "comes", "down", "again",
];

/// Writes the word that is token `index` of an answer.
pub(crate) fn write_token(out: &mut Vec<u8>, index: u32) {
    if index > 0 {
        out.push(b' ');
    }
    out.extend_from_slice(word(index).as_bytes());
}

/// A whole answer of `tokens` tokens.
pub(crate) fn of_tokens(tokens: u32) -> String {
    let mut text = String::with_capacity(tokens as usize * 6);
    for index in 0..tokens {
        if index > 0 {
            text.push(' ');
        }
        text.push_str(word(index));
    }
    text
}

fn word(index: u32) -> &'static str {
    WORDS[index as usize % WORDS.len()]
}

/// The text of a request's `messages`, `prompt` or `input`, measured without keeping it.
///
/// Counts strings, wherever they are in arrays or in `content` and `text` fields. A number is one token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Texts {
    bytes: u64,
    /// Texts that are to be answered one by one: an array of numbers is one text.
    items: u32,
}

impl Texts {
    /// One token for every four bytes, and at least one.
    pub(crate) fn tokens(self) -> u32 {
        u32::try_from(self.bytes.div_ceil(4))
            .unwrap_or(u32::MAX)
            .max(1)
    }

    pub(crate) fn items(self) -> u32 {
        self.items.max(1)
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Measure)
    }
}

const TOKEN: Texts = Texts { bytes: 4, items: 0 };

struct Measure;

impl<'de> Visitor<'de> for Measure {
    type Value = Texts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an array")
    }

    fn visit_str<E>(self, text: &str) -> Result<Texts, E> {
        Ok(Texts {
            bytes: text.len() as u64,
            items: 1,
        })
    }

    fn visit_unit<E>(self) -> Result<Texts, E> {
        Ok(Texts::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Texts, E> {
        Ok(Texts::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Texts, E> {
        Ok(TOKEN)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Texts, E> {
        Ok(TOKEN)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Texts, E> {
        Ok(TOKEN)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Texts, A::Error> {
        let mut sum = Texts::default();
        while let Some(element) = elements.next_element::<Texts>()? {
            sum.bytes += element.bytes;
            sum.items += element.items;
        }
        sum.items = sum.items.max(1);
        Ok(sum)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Texts, A::Error> {
        let mut sum = Texts { bytes: 0, items: 1 };
        while let Some(field) = fields.next_key()? {
            match field {
                Field::Content | Field::Text => sum.bytes += fields.next_value::<Texts>()?.bytes,
                Field::Other => {
                    fields.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(sum)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Field {
    Content,
    Text,
    #[serde(other)]
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, tokens: u32, items: u32) {
        let texts: Texts = serde_json::from_str(json).unwrap();

        assert_eq!((texts.tokens(), texts.items()), (tokens, items));
    }

    #[test]
    fn texts_are_measured_in_every_form_a_request_may_have() {
        check(r#""four""#, 1, 1);
        check(r#""fours""#, 2, 1);
        check(r#"["four","four"]"#, 2, 2);
        check("[1,2,3]", 3, 1);
        check("[[1,2],[3]]", 3, 2);
        check(r#"[{"role":"user","content":"12345678"}]"#, 2, 1);
        check(
            r#"[{"role":"user","content":[{"type":"text","text":"1234"},{"type":"image_url","image_url":{"url":"data:"}}]}]"#,
            1,
            1,
        );
        check(
            r#"[{"role":"assistant","content":null,"tool_calls":[{"id":"x"}]}]"#,
            1,
            1,
        );
    }
}
