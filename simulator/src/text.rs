//! The texts of a `prompt` or an `input`: how many there are, and how many tokens they hold.

use serde_json::Value;

use crate::ask;
use crate::fields::{Item, Reading};

/// Texts in any form that OpenAI takes: a string, strings, tokens, or arrays of tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Texts {
    bytes: u64,
    /// Texts that are to be answered one by one: an array of numbers is one text.
    items: u32,
}

impl Texts {
    pub(crate) fn read(item: &Item<'_>) -> Reading<Self> {
        let is_token = |value: &Value| value.is_u64();
        let mut texts = Self::default();
        if item.is_text() {
            texts.add(item.text()?.len());
            return Ok(texts);
        }
        if !item.is_list() {
            return Err(item.wrong("a string or an array"));
        }
        let elements = item.some()?;
        if elements.iter().all(|element| is_token(element.value())) {
            texts.add(elements.len().saturating_mul(4));
            return Ok(texts);
        }
        for element in elements {
            match element.value() {
                Value::String(text) => texts.add(text.len()),
                Value::Array(tokens) if tokens.iter().all(is_token) => {
                    texts.add(tokens.len().saturating_mul(4));
                }
                _ => return Err(element.wrong("a string or an array of tokens")),
            }
        }
        Ok(texts)
    }

    /// One token for every four bytes, and at least one.
    pub(crate) fn tokens(self) -> u32 {
        ask::tokens_in(self.bytes)
    }

    pub(crate) fn items(self) -> u32 {
        self.items.max(1)
    }

    fn add(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        self.items += 1;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::fields::Manners;

    use super::*;

    fn read(value: &Value) -> Option<(u32, u32)> {
        let manners = Manners {
            null_is_absent: true,
            takes_snake_case: false,
        };
        let texts = Texts::read(&Item::root(value, manners)).ok()?;
        Some((texts.tokens(), texts.items()))
    }

    #[test]
    fn texts_are_measured_in_every_form_a_request_may_have() {
        assert_eq!(read(&json!("four")), Some((1, 1)));
        assert_eq!(read(&json!("fours")), Some((2, 1)));
        assert_eq!(read(&json!(["four", "four"])), Some((2, 2)));
        assert_eq!(read(&json!([1, 2, 3])), Some((3, 1)));
        assert_eq!(read(&json!([[1, 2], [3]])), Some((3, 2)));
    }

    #[test]
    fn what_is_no_text_is_refused() {
        for value in [json!(1), json!([]), json!([{"text": "x"}]), json!(["x", 1])] {
            assert_eq!(read(&value), None, "{value}");
        }
    }
}
