//! Values of a client's request, and where they stand in it.
//!
//! Names are accepted as `camelCase` and as `snake_case`, and told to the client as it wrote them.

use std::borrow::Cow;
use std::fmt;

use serde_json::{Map, Value};

use crate::BadRequest;

/// Fields that the canonical form has no place for, by their path.
pub(super) type Others = Vec<(String, Value)>;

/// The path of a value; written out only when something is wrong there.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    Top,
    Field(&'a Self, &'a str),
    Item(&'a Self, usize),
}

impl<'a> Place<'a> {
    pub(super) fn field(&'a self, name: &'a str) -> Self {
        Self::Field(self, name)
    }

    pub(super) fn item(&'a self, index: usize) -> Self {
        Self::Item(self, index)
    }

    pub(super) fn invalid(&self, expected: &str) -> BadRequest {
        BadRequest::invalid(&self.to_string(), expected)
    }

    pub(super) fn missing(&self) -> BadRequest {
        BadRequest::missing(&self.to_string())
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top => Ok(()),
            Self::Field(Self::Top, name) => formatter.write_str(name),
            Self::Field(parent, name) => write!(formatter, "{parent}.{name}"),
            Self::Item(parent, index) => write!(formatter, "{parent}[{index}]"),
        }
    }
}

/// The object in a request's body.
pub(super) fn body(body: &[u8]) -> Result<Value, BadRequest> {
    serde_json::from_slice(body)
        .map_err(|error| BadRequest::new(format!("The request body is not valid JSON: {error}.")))
}

/// The fields of an object that are not null, which would be the same as none.
pub(super) fn fields(
    value: Value,
    at: Place<'_>,
) -> Result<impl Iterator<Item = (String, Value)>, BadRequest> {
    let fields = object(value, at)?.into_iter();
    Ok(fields.filter(|(_, value)| !value.is_null()))
}

/// `max_output_tokens` → `maxOutputTokens`.
pub(super) fn camel(name: &str) -> Cow<'_, str> {
    if !name.contains('_') {
        return Cow::Borrowed(name);
    }
    let mut camel = String::with_capacity(name.len());
    let mut is_start = false;
    for letter in name.chars() {
        match letter {
            '_' => is_start = true,
            letter if is_start => {
                camel.push(letter.to_ascii_uppercase());
                is_start = false;
            }
            letter => camel.push(letter),
        }
    }
    Cow::Owned(camel)
}

pub(super) fn object(value: Value, at: Place<'_>) -> Result<Map<String, Value>, BadRequest> {
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(at.invalid("an object")),
    }
}

/// An array; Google takes a single object for an array of it, and its documentation makes use of that.
pub(super) fn list(value: Value, at: Place<'_>) -> Result<Vec<Value>, BadRequest> {
    match value {
        Value::Array(items) => Ok(items),
        Value::Object(_) => Ok(vec![value]),
        _ => Err(at.invalid("an array")),
    }
}

pub(super) fn texts(value: Value, at: Place<'_>) -> Result<Vec<String>, BadRequest> {
    let Value::Array(items) = value else {
        return Err(at.invalid("an array of strings"));
    };
    let texts = (0..).zip(items);
    texts
        .map(|(index, item)| text(item, at.item(index)))
        .collect()
}

pub(super) fn text(value: Value, at: Place<'_>) -> Result<String, BadRequest> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(at.invalid("a string")),
    }
}

pub(super) fn flag(value: &Value, at: Place<'_>) -> Result<bool, BadRequest> {
    value.as_bool().ok_or_else(|| at.invalid("a boolean"))
}

pub(super) fn number(value: &Value, at: Place<'_>) -> Result<f64, BadRequest> {
    value.as_f64().ok_or_else(|| at.invalid("a number"))
}

/// A whole number; SDKs write some of them with a fraction of zero.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the range is checked before"
)]
pub(super) fn integer(value: &Value, at: Place<'_>) -> Result<i64, BadRequest> {
    let whole = |number: &f64| number.fract() == 0.0 && number.abs() <= f64::from(u32::MAX);
    let rounded = || value.as_f64().filter(whole).map(|number| number as i64);
    let integer = value.as_i64().or_else(rounded);
    integer.ok_or_else(|| at.invalid("an integer"))
}

pub(super) fn count(value: &Value, at: Place<'_>) -> Result<u32, BadRequest> {
    let count = u32::try_from(integer(value, at)?);
    count.map_err(|_| at.invalid("a positive integer"))
}

/// Base64 in its usual alphabet and with its padding, which others insist on; Google's SDK writes the alphabet for URLs.
pub(super) fn standard_base64(base64: String) -> String {
    let is_standard = base64.len().is_multiple_of(4) && !base64.contains(['-', '_']);
    if is_standard {
        return base64;
    }
    let mut standard = base64.replace('-', "+").replace('_', "/");
    while !standard.len().is_multiple_of(4) {
        standard.push('=');
    }
    standard
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_as_the_client_wrote_it() {
        let contents = Place::Top.field("contents");
        let content = contents.item(2);
        let part = content.field("function_call");

        assert_eq!(part.to_string(), "contents[2].function_call");
    }

    #[test]
    fn names_in_snake_case_are_the_same() {
        assert_eq!(camel("max_output_tokens"), "maxOutputTokens");
        assert_eq!(camel("top_p"), "topP");
        assert_eq!(camel("contents"), "contents");
        assert_eq!(camel("_"), "");
    }

    #[test]
    fn base64_for_urls_becomes_the_usual_one() {
        assert_eq!(standard_base64("-_8".to_owned()), "+/8=");
        assert_eq!(standard_base64("+/8=".to_owned()), "+/8=");
        assert_eq!(standard_base64("AAAA".to_owned()), "AAAA");
    }
}
