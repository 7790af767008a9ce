//! Where in a client's request a value stands, and the simple values.
//!
//! Every dialect reads with these. What is peculiar to one (which numbers it takes for whole, what it calls a count, how
//! names are spelled) is beside its reader.

use std::fmt;

use serde_json::{Map, Value};

use crate::BadRequest;

/// Fields that the canonical form has no place for, by their path.
pub(crate) type Others = Vec<(String, Value)>;

/// A path such as `messages[2].content`; written out only where something is wrong, or may be refused.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'a> {
    /// The request itself.
    Top,
    Field(&'a Self, &'a str),
    Item(&'a Self, usize),
}

impl<'a> Place<'a> {
    pub(crate) fn field(&'a self, name: &'a str) -> Self {
        Self::Field(self, name)
    }

    pub(crate) fn item(&'a self, index: usize) -> Self {
        Self::Item(self, index)
    }
}

impl Place<'_> {
    /// `expected` ends the sentence "expected …".
    pub(crate) fn invalid(self, expected: &str) -> BadRequest {
        match self {
            Self::Top => BadRequest::new(format!("Invalid request body: expected {expected}.")),
            place => BadRequest::invalid(&place.to_string(), expected),
        }
    }

    pub(crate) fn missing(self) -> BadRequest {
        BadRequest::missing(&self.to_string())
    }

    pub(crate) fn text(self, value: Value) -> Result<String, BadRequest> {
        match value {
            Value::String(text) => Ok(text),
            _ => Err(self.invalid("a string")),
        }
    }

    pub(crate) fn flag(self, value: &Value) -> Result<bool, BadRequest> {
        value.as_bool().ok_or_else(|| self.invalid("a boolean"))
    }

    pub(crate) fn number(self, value: &Value) -> Result<f64, BadRequest> {
        value.as_f64().ok_or_else(|| self.invalid("a number"))
    }

    pub(crate) fn integer(self, value: &Value) -> Result<i64, BadRequest> {
        value.as_i64().ok_or_else(|| self.invalid("an integer"))
    }

    /// As [`Self::integer`], where `100.0` is taken for 100: SDKs write some of them so.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "only whole numbers that a float holds exactly are cast"
    )]
    pub(crate) fn rounded(self, value: &Value) -> Result<i64, BadRequest> {
        const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
        let whole = |number: &f64| number.fract() == 0.0 && number.abs() <= EXACT_MAX;
        match value.as_f64().filter(whole) {
            Some(number) if value.is_f64() => Ok(number as i64),
            _ => self.integer(value),
        }
    }

    pub(crate) fn items(self, value: Value) -> Result<Vec<Value>, BadRequest> {
        match value {
            Value::Array(items) => Ok(items),
            _ => Err(self.invalid("an array")),
        }
    }

    pub(crate) fn object(self, value: Value) -> Result<Map<String, Value>, BadRequest> {
        match value {
            Value::Object(object) => Ok(object),
            _ => Err(self.invalid("an object")),
        }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_place_is_told_as_the_client_wrote_it() {
        let contents = Place::Top.field("contents");
        let content = contents.item(2);
        let part = content.field("function_call");

        assert_eq!(part.to_string(), "contents[2].function_call");
    }

    #[test]
    fn only_what_is_whole_is_rounded() {
        let rounded = |value: Value| Place::Top.field("n").rounded(&value).ok();

        assert_eq!(rounded(json!(100.0)), Some(100));
        assert_eq!(rounded(json!(i64::MAX)), Some(i64::MAX));
        assert_eq!(rounded(json!(-1)), Some(-1));
        assert_eq!(rounded(json!(1.5)), None);
        assert_eq!(rounded(json!(1e300)), None);
        assert_eq!(rounded(json!("1")), None);
    }

    #[test]
    fn what_is_wrong_with_a_whole_body_is_wrong_with_no_field() {
        let refused = Place::Top.object(json!([])).unwrap_err();

        assert_eq!(refused.param, None);
        assert_eq!(refused.message, "Invalid request body: expected an object.");
    }
}
