//! Values of a request, and where they stand.

use std::fmt;

use serde_json::{Map, Value};

use crate::BadRequest;

/// Where a value stands, in the client's own naming; written out only when something is wrong with it.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    /// A field of the request itself.
    Top(&'a str),
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

    pub(crate) fn invalid(self, expected: &str) -> BadRequest {
        BadRequest::invalid(&self.to_string(), expected)
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

    /// Ollama itself takes `100.0` for 100.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "only whole numbers that a float holds exactly are cast"
    )]
    pub(crate) fn integer(self, value: &Value) -> Result<i64, BadRequest> {
        const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
        let whole = |number: &f64| number.fract() == 0.0 && number.abs() <= EXACT_MAX;
        value
            .as_i64()
            .or_else(|| value.as_f64().filter(whole).map(|number| number as i64))
            .ok_or_else(|| self.invalid("an integer"))
    }

    pub(crate) fn count(self, value: &Value) -> Result<u32, BadRequest> {
        let count = self.integer(value)?;
        u32::try_from(count).map_err(|_| self.invalid("an integer of at least 0"))
    }

    pub(crate) fn array(self, value: Value) -> Result<Vec<Value>, BadRequest> {
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

    pub(crate) fn texts(self, value: Value) -> Result<Vec<String>, BadRequest> {
        let items = self.array(value)?.into_iter().enumerate();
        items
            .map(|(index, item)| self.item(index).text(item))
            .collect()
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top(name) => formatter.write_str(name),
            Self::Field(parent, name) => write!(formatter, "{parent}.{name}"),
            Self::Item(parent, index) => write!(formatter, "{parent}[{index}]"),
        }
    }
}
