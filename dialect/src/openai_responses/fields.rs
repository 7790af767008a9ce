//! Taking a request's JSON apart, so that whoever sent a wrong field is told its path.

use serde_json::{Map, Value};

use crate::BadRequest;
pub(super) use crate::place::Place;

/// An object whose fields are taken out one by one. A null field is an absent one.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    place: &'a Place<'a>,
    fields: Map<String, Value>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(place: &'a Place<'a>, value: Value) -> Result<Self, BadRequest> {
        match value {
            Value::Object(fields) => Ok(Self { place, fields }),
            _ => Err(place.invalid("an object")),
        }
    }

    pub(super) fn place(&self) -> &'a Place<'a> {
        self.place
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.get(name).is_some_and(|value| !value.is_null())
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        // A null stays behind, so that what is left keeps its order.
        match self.fields.get_mut(name).map(Value::take) {
            None | Some(Value::Null) => None,
            value => value,
        }
    }

    /// Takes a field out that says what holds without it, too.
    pub(super) fn drop_default(&mut self, name: &str, defaults: &[&str]) {
        let is_default = |value: &Value| match value {
            Value::String(text) => defaults.contains(&text.as_str()),
            value => *value == Value::Bool(false),
        };
        if self.fields.get(name).is_some_and(is_default) {
            self.take(name);
        }
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, BadRequest> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.invalid(name, "a string")),
        }
    }

    pub(super) fn required_text(&mut self, name: &str) -> Result<String, BadRequest> {
        self.text(name)?.ok_or_else(|| self.missing(name))
    }

    pub(super) fn flag(&mut self, name: &str) -> Result<Option<bool>, BadRequest> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(_) => Err(self.invalid(name, "a boolean")),
        }
    }

    pub(super) fn number(&mut self, name: &str) -> Result<Option<f64>, BadRequest> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let number = value.as_f64();
        number
            .map(Some)
            .ok_or_else(|| self.invalid(name, "a number"))
    }

    pub(super) fn count(&mut self, name: &str) -> Result<Option<u32>, BadRequest> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let count = value.as_u64().and_then(|count| u32::try_from(count).ok());
        count
            .map(Some)
            .ok_or_else(|| self.invalid(name, "a whole number that is not negative"))
    }

    /// An array; empty if it is absent.
    pub(super) fn array(&mut self, name: &str) -> Result<Vec<Value>, BadRequest> {
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(self.invalid(name, "an array")),
        }
    }

    pub(super) fn invalid(&self, name: &str, expected: &str) -> BadRequest {
        self.place.field(name).invalid(expected)
    }

    pub(super) fn missing(&self, name: &str) -> BadRequest {
        BadRequest::missing(&self.place.field(name).to_string())
    }

    /// Moves what nobody took into `others`, by its path.
    pub(super) fn leave_rest(self, others: &mut Vec<(String, Value)>) {
        let Self { place, fields } = self;
        for (name, value) in fields {
            if !value.is_null() {
                others.push((place.field(&name).to_string(), value));
            }
        }
    }
}
