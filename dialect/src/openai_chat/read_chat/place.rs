//! Where in a request a value stands, spelled out only when something is wrong with it; and the simple values.

use std::fmt;

use serde_json::{Map, Value};

use crate::BadRequest;

/// Fields that a chat in general does not have, by their path.
pub(super) type Others = Vec<(String, Value)>;

/// A path such as `messages[2].content`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'a> {
    Top(&'a str),
    Field(&'a Self, &'a str),
    Item(&'a Self, usize),
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

impl Place<'_> {
    /// `expected` ends the sentence "expected …".
    pub(super) fn invalid(&self, expected: &str) -> BadRequest {
        BadRequest::invalid(&self.to_string(), expected)
    }

    pub(super) fn text(&self, value: Value) -> Result<String, BadRequest> {
        match value {
            Value::String(text) => Ok(text),
            _ => Err(self.invalid("a string")),
        }
    }

    pub(super) fn flag(&self, value: &Value) -> Result<bool, BadRequest> {
        value.as_bool().ok_or_else(|| self.invalid("a boolean"))
    }

    pub(super) fn number(&self, value: &Value) -> Result<f64, BadRequest> {
        value.as_f64().ok_or_else(|| self.invalid("a number"))
    }

    pub(super) fn integer(&self, value: &Value) -> Result<i64, BadRequest> {
        value.as_i64().ok_or_else(|| self.invalid("an integer"))
    }

    pub(super) fn count(&self, value: &Value) -> Result<u32, BadRequest> {
        let count = value.as_u64().and_then(|count| u32::try_from(count).ok());
        count.ok_or_else(|| self.invalid("an integer of at least 0"))
    }

    pub(super) fn items(&self, value: Value) -> Result<Vec<Value>, BadRequest> {
        match value {
            Value::Array(items) => Ok(items),
            _ => Err(self.invalid("an array")),
        }
    }
}

/// An object whose fields are taken out one by one.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    place: Place<'a>,
    fields: Map<String, Value>,
}

impl<'a> Fields<'a> {
    pub(super) fn of(value: Value, place: Place<'a>) -> Result<Self, BadRequest> {
        match value {
            Value::Object(fields) => Ok(Self { place, fields }),
            _ => Err(place.invalid("an object")),
        }
    }

    /// Takes a field out; `None` if it is absent or null.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.fields
            .shift_remove(name)
            .filter(|value| !value.is_null())
    }

    pub(super) fn require(&mut self, name: &str) -> Result<Value, BadRequest> {
        self.take(name)
            .ok_or_else(|| BadRequest::missing(&self.place(name).to_string()))
    }

    pub(super) fn take_text(&mut self, name: &str) -> Result<Option<String>, BadRequest> {
        self.take(name)
            .map(|value| self.place(name).text(value))
            .transpose()
    }

    pub(super) fn require_text(&mut self, name: &str) -> Result<String, BadRequest> {
        let value = self.require(name)?;
        self.place(name).text(value)
    }

    pub(super) fn take_flag(&mut self, name: &str) -> Result<Option<bool>, BadRequest> {
        self.take(name)
            .map(|value| self.place(name).flag(&value))
            .transpose()
    }

    /// Takes out the `type` that says what the object is.
    pub(super) fn take_kind(&mut self) -> Result<String, BadRequest> {
        self.require_text("type")
    }

    /// Puts what is left to the others, but for the hints to caches.
    pub(super) fn finish(self, others: &mut Others) {
        for (name, value) in self.fields {
            let is_hint = matches!(name.as_str(), "cache_control" | "prompt_cache_breakpoint");
            if !is_hint && !value.is_null() {
                others.push((Place::Field(&self.place, &name).to_string(), value));
            }
        }
    }

    /// Puts the whole object to the others, as it was but for its `type`.
    pub(super) fn give_up(mut self, kind: String, others: &mut Others) {
        self.fields
            .shift_insert(0, "type".to_owned(), Value::String(kind));
        others.push((self.place.to_string(), Value::Object(self.fields)));
    }

    fn place<'b>(&'b self, name: &'b str) -> Place<'b> {
        Place::Field(&self.place, name)
    }
}
