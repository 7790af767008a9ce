//! The fields of an object, and what a count is.

use serde_json::{Map, Value};

use crate::BadRequest;
pub(super) use crate::place::{Others, Place};

pub(super) fn count(value: &Value, place: Place<'_>) -> Result<u32, BadRequest> {
    let count = value.as_u64().and_then(|count| u32::try_from(count).ok());
    count.ok_or_else(|| place.invalid("an integer of at least 0"))
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
