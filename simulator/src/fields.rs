//! Strict reading of JSON: a field that the reader does not ask for is an unknown field.
//!
//! Every object is read in a closure, and what it left unasked is refused behind it, so that no reader can forget to.
//! How a refusal is worded is the dialect's business.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

pub(crate) type Reading<T> = Result<T, Invalid>;

/// What is wrong with a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Invalid {
    /// As `messages[0].content`; empty for the request as a whole.
    pub(crate) path: String,
    pub(crate) problem: Problem,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// The body is no JSON, and why.
    NotJson(String),
    /// The field is none of this API's.
    Unknown,
    Missing,
    /// What it should be.
    Wrong(Cow<'static, str>),
    /// The rule that it breaks, in a whole sentence.
    Against(String),
}

/// What a dialect takes beside the exact form of its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manners {
    /// Whether `null` is as good as nothing.
    pub(crate) null_is_absent: bool,
    /// Whether `camelCase` names may be written as `snake_case`.
    pub(crate) takes_snake_case: bool,
}

/// One value, and where it is.
#[derive(Clone, Debug)]
pub(crate) struct Item<'a> {
    value: &'a Value,
    path: String,
    manners: Manners,
}

/// The fields of an object.
pub(crate) struct Fields<'a> {
    map: &'a Map<String, Value>,
    path: String,
    manners: Manners,
    asked: Vec<&'static str>,
    takes_others: bool,
}

/// Parses a body.
///
/// # Errors
/// When it is no JSON.
pub(crate) fn json(body: &[u8]) -> Reading<Value> {
    serde_json::from_slice(body).map_err(|error| Invalid {
        path: String::new(),
        problem: Problem::NotJson(error.to_string()),
    })
}

impl<'a> Item<'a> {
    pub(crate) fn root(value: &'a Value, manners: Manners) -> Self {
        Self {
            value,
            path: String::new(),
            manners,
        }
    }

    pub(crate) fn value(&self) -> &'a Value {
        self.value
    }

    pub(crate) fn is_text(&self) -> bool {
        self.value.is_string()
    }

    pub(crate) fn is_list(&self) -> bool {
        self.value.is_array()
    }

    pub(crate) fn text(&self) -> Reading<&'a str> {
        self.value.as_str().ok_or_else(|| self.wrong("a string"))
    }

    pub(crate) fn list(&self) -> Reading<Vec<Self>> {
        let Value::Array(elements) = self.value else {
            return Err(self.wrong("an array"));
        };
        let elements = elements.iter().enumerate().map(|(index, value)| Self {
            value,
            path: format!("{}[{index}]", self.path),
            manners: self.manners,
        });
        Ok(elements.collect())
    }

    /// A list that is not empty.
    pub(crate) fn some(&self) -> Reading<Vec<Self>> {
        let list = self.list()?;
        match list.is_empty() {
            true => Err(self.wrong("an array with at least one element")),
            false => Ok(list),
        }
    }

    pub(crate) fn object<T>(&self, read: impl FnOnce(&mut Fields<'a>) -> Reading<T>) -> Reading<T> {
        let Value::Object(map) = self.value else {
            return Err(self.wrong("an object"));
        };
        let mut fields = Fields {
            map,
            path: self.path.clone(),
            manners: self.manners,
            asked: Vec::with_capacity(map.len()),
            takes_others: false,
        };
        let read = read(&mut fields)?;
        fields.finish()?;
        Ok(read)
    }

    /// The values of an object that is a map.
    pub(crate) fn entries(&self) -> Reading<Vec<Self>> {
        let entries = self.any_object()?.iter().map(|(name, value)| Self {
            value,
            path: format!("{}.{name}", self.path),
            manners: self.manners,
        });
        Ok(entries.collect())
    }

    /// An object whose fields are nobody's business.
    pub(crate) fn any_object(&self) -> Reading<&'a Map<String, Value>> {
        self.value
            .as_object()
            .ok_or_else(|| self.wrong("an object"))
    }

    /// What should be here instead.
    pub(crate) fn wrong(&self, expected: impl Into<Cow<'static, str>>) -> Invalid {
        Invalid {
            path: self.path.clone(),
            problem: Problem::Wrong(expected.into()),
        }
    }

    /// The rule that this breaks.
    pub(crate) fn against(&self, rule: impl Into<String>) -> Invalid {
        Invalid {
            path: self.path.clone(),
            problem: Problem::Against(rule.into()),
        }
    }
}

impl<'a> Fields<'a> {
    /// The value of `name`, if it is there.
    pub(crate) fn value(&mut self, name: &'static str) -> Option<&'a Value> {
        self.asked.push(name);
        let value = match self.map.get(name) {
            None if self.manners.takes_snake_case => {
                let mut fields = self.map.iter();
                fields.find_map(|(key, value)| is_snake_of(key, name).then_some(value))
            }
            value => value,
        };
        value.filter(|value| !(self.manners.null_is_absent && value.is_null()))
    }

    pub(crate) fn item(&mut self, name: &'static str) -> Option<Item<'a>> {
        let value = self.value(name)?;
        Some(Item {
            value,
            path: self.path_of(name),
            manners: self.manners,
        })
    }

    /// As [`Self::item`], for fields that may be `null` even where others may not.
    pub(crate) fn nullable(&mut self, name: &'static str) -> Option<Item<'a>> {
        self.item(name).filter(|item| !item.value.is_null())
    }

    pub(crate) fn need(&mut self, name: &'static str) -> Reading<Item<'a>> {
        self.item(name).ok_or_else(|| self.missing(name))
    }

    pub(crate) fn text(&mut self, name: &'static str) -> Reading<Option<&'a str>> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(name, "a string")),
        }
    }

    pub(crate) fn need_text(&mut self, name: &'static str) -> Reading<&'a str> {
        self.text(name)?.ok_or_else(|| self.missing(name))
    }

    pub(crate) fn flag(&mut self, name: &'static str) -> Reading<Option<bool>> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(self.wrong(name, "a boolean")),
        }
    }

    pub(crate) fn number(
        &mut self,
        name: &'static str,
        range: RangeInclusive<f64>,
    ) -> Reading<Option<f64>> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        match value.as_f64() {
            Some(number) if range.contains(&number) => Ok(Some(number)),
            _ => Err(self.out_of(name, "a number", &range)),
        }
    }

    pub(crate) fn whole(
        &mut self,
        name: &'static str,
        range: RangeInclusive<i64>,
    ) -> Reading<Option<i64>> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        match value.as_i64() {
            Some(number) if range.contains(&number) => Ok(Some(number)),
            _ => Err(self.out_of(name, "an integer", &range)),
        }
    }

    /// A count of tokens or of other things, at least `least`.
    pub(crate) fn count(&mut self, name: &'static str, least: u32) -> Reading<Option<u32>> {
        let count = self.whole(name, least.into()..=u32::MAX.into())?;
        Ok(count.and_then(|count| u32::try_from(count).ok()))
    }

    pub(crate) fn one_of(
        &mut self,
        name: &'static str,
        choices: &[&'static str],
    ) -> Reading<Option<&'static str>> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        let chosen = choices.iter().find(|choice| value == **choice);
        match chosen {
            Some(chosen) => Ok(Some(chosen)),
            None => Err(self.wrong(name, one_of(choices))),
        }
    }

    pub(crate) fn need_one_of(
        &mut self,
        name: &'static str,
        choices: &[&'static str],
    ) -> Reading<&'static str> {
        self.one_of(name, choices)?
            .ok_or_else(|| self.missing(name))
    }

    pub(crate) fn list(&mut self, name: &'static str) -> Reading<Option<Vec<Item<'a>>>> {
        self.item(name).map(|item| item.list()).transpose()
    }

    pub(crate) fn texts(&mut self, name: &'static str) -> Reading<Option<Vec<&'a str>>> {
        let Some(list) = self.list(name)? else {
            return Ok(None);
        };
        list.iter()
            .map(Item::text)
            .collect::<Reading<_>>()
            .map(Some)
    }

    pub(crate) fn object<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Self) -> Reading<T>,
    ) -> Reading<Option<T>> {
        self.item(name).map(|item| item.object(read)).transpose()
    }

    pub(crate) fn any_object(
        &mut self,
        name: &'static str,
    ) -> Reading<Option<&'a Map<String, Value>>> {
        self.item(name).map(|item| item.any_object()).transpose()
    }

    /// Fields that change nothing in the answer.
    pub(crate) fn skip(&mut self, names: &[&'static str]) {
        self.asked.extend_from_slice(names);
    }

    /// Whatever else is there changes nothing in the answer.
    pub(crate) fn skip_others(&mut self) {
        self.takes_others = true;
    }

    pub(crate) fn unknown(&self, name: &str) -> Invalid {
        self.invalid(name, Problem::Unknown)
    }

    pub(crate) fn missing(&self, name: &str) -> Invalid {
        self.invalid(name, Problem::Missing)
    }

    pub(crate) fn wrong(&self, name: &str, expected: impl Into<Cow<'static, str>>) -> Invalid {
        self.invalid(name, Problem::Wrong(expected.into()))
    }

    pub(crate) fn against(&self, name: &str, rule: impl Into<String>) -> Invalid {
        self.invalid(name, Problem::Against(rule.into()))
    }

    fn finish(self) -> Reading<()> {
        if self.takes_others {
            return Ok(());
        }
        let is_asked = |key: &str| {
            self.asked.iter().any(|asked| {
                *asked == key || self.manners.takes_snake_case && is_snake_of(key, asked)
            })
        };
        match self.map.keys().find(|key| !is_asked(key)) {
            Some(key) => Err(self.unknown(key)),
            None => Ok(()),
        }
    }

    fn out_of<N: Bound>(&self, name: &str, kind: &str, range: &RangeInclusive<N>) -> Invalid {
        let mut expected = kind.to_owned();
        if !range.start().is_endless() {
            let _ = write!(expected, " from {}", range.start());
        }
        if !range.end().is_endless() {
            let _ = write!(expected, " to {}", range.end());
        }
        self.wrong(name, expected)
    }

    fn invalid(&self, name: &str, problem: Problem) -> Invalid {
        Invalid {
            path: self.path_of(name),
            problem,
        }
    }

    fn path_of(&self, name: &str) -> String {
        match self.path.is_empty() {
            true => name.to_owned(),
            false => format!("{}.{name}", self.path),
        }
    }
}

/// A number at the end of a range, where the range may also have no end.
trait Bound: std::fmt::Display {
    fn is_endless(&self) -> bool;
}

impl Bound for f64 {
    fn is_endless(&self) -> bool {
        self.is_infinite()
    }
}

impl Bound for i64 {
    fn is_endless(&self) -> bool {
        *self == Self::MIN || *self >= u32::MAX.into()
    }
}

fn one_of(choices: &[&str]) -> String {
    let quoted: Vec<_> = choices.iter().map(|choice| format!("'{choice}'")).collect();
    format!("one of {}", quoted.join(", "))
}

/// Whether `key` is `camel`, written in snake case.
fn is_snake_of(key: &str, camel: &str) -> bool {
    let mut key = key.chars();
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() && key.next() != Some('_') {
            return false;
        }
        if key.next() != Some(letter.to_ascii_lowercase()) {
            return false;
        }
    }
    key.next().is_none()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const STRICT: Manners = Manners {
        null_is_absent: false,
        takes_snake_case: false,
    };
    const LOOSE: Manners = Manners {
        null_is_absent: true,
        takes_snake_case: true,
    };

    #[track_caller]
    fn check(value: &Value, manners: Manners, expected: Result<(), (&str, Problem)>) {
        let read = Item::root(value, manners).object(|fields| {
            fields.count("topK", 1)?;
            let parts = fields.need("parts")?.list()?;
            for part in parts {
                part.object(|fields| fields.need_text("text"))?;
            }
            Ok(())
        });

        let expected = expected.map_err(|(path, problem)| Invalid {
            path: path.to_owned(),
            problem,
        });
        assert_eq!(read, expected);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let part = json!([{"text": "x"}]);
        check(&json!({"parts": part, "topK": 1}), STRICT, Ok(()));
        check(
            &json!({"parts": part, "top_k": 1}),
            STRICT,
            Err(("top_k", Problem::Unknown)),
        );
        check(
            &json!({"topK": 1}),
            STRICT,
            Err(("parts", Problem::Missing)),
        );
        check(
            &json!({"parts": [{"text": "x"}, {"text": "x", "y": 1}]}),
            STRICT,
            Err(("parts[1].y", Problem::Unknown)),
        );
        check(
            &json!({"parts": part, "topK": 0}),
            STRICT,
            Err(("topK", Problem::Wrong("an integer from 1".into()))),
        );
        check(
            &json!({"parts": part, "topK": null}),
            STRICT,
            Err(("topK", Problem::Wrong("an integer from 1".into()))),
        );
    }

    #[test]
    fn some_dialects_take_null_and_snake_case() {
        let part = json!([{"text": "x"}]);

        check(&json!({"parts": part, "topK": null}), LOOSE, Ok(()));
        check(&json!({"parts": part, "top_k": 1}), LOOSE, Ok(()));
        check(
            &json!({"parts": part, "top_k": 0}),
            LOOSE,
            Err(("topK", Problem::Wrong("an integer from 1".into()))),
        );
    }
}
