//! The fields of an object in a request, each taken once, as what it has to be.

use serde_json::{Map, Value};

use crate::BadRequest;
pub(super) use crate::place::Place;

/// What has not been taken yet of the object at a place. A null is an absent field.
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

    pub(super) fn place(&self) -> Place<'a> {
        self.place
    }

    pub(super) fn invalid(&self, name: &str, expected: &str) -> BadRequest {
        self.place.field(name).invalid(expected)
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.fields
            .shift_remove(name)
            .filter(|value| !value.is_null())
    }

    pub(super) fn peek(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)
    }

    pub(super) fn required(&mut self, name: &str) -> Result<Value, BadRequest> {
        let value = self.take(name);
        value.ok_or_else(|| BadRequest::missing(&self.place.field(name).to_string()))
    }

    pub(super) fn text(&mut self, name: &str) -> Result<String, BadRequest> {
        let value = self.required(name)?;
        self.as_text(name, value)
    }

    pub(super) fn optional_text(&mut self, name: &str) -> Result<Option<String>, BadRequest> {
        let value = self.take(name);
        value.map(|value| self.as_text(name, value)).transpose()
    }

    /// Absent is none.
    pub(super) fn optional_texts(&mut self, name: &str) -> Result<Vec<String>, BadRequest> {
        let texts = match self.take(name) {
            None => return Ok(Vec::new()),
            Some(Value::Array(texts)) => texts.into_iter().map(|text| match text {
                Value::String(text) => Some(text),
                _ => None,
            }),
            Some(_) => return Err(self.invalid(name, "an array of strings")),
        };
        let texts: Option<Vec<String>> = texts.collect();
        texts.ok_or_else(|| self.invalid(name, "an array of strings"))
    }

    pub(super) fn optional_flag(&mut self, name: &str) -> Result<Option<bool>, BadRequest> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(_) => Err(self.invalid(name, "`true` or `false`")),
        }
    }

    pub(super) fn count(&mut self, name: &str) -> Result<u32, BadRequest> {
        let value = self.required(name)?;
        self.as_count(name, &value)
    }

    pub(super) fn optional_count(&mut self, name: &str) -> Result<Option<u32>, BadRequest> {
        let value = self.take(name);
        value.map(|value| self.as_count(name, &value)).transpose()
    }

    pub(super) fn optional_number(&mut self, name: &str) -> Result<Option<f64>, BadRequest> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        match value.as_f64() {
            Some(number) => Ok(Some(number)),
            None => Err(self.invalid(name, "a number")),
        }
    }

    /// Drops fields that change no answer.
    pub(super) fn forget(&mut self, names: &[&str]) {
        for name in names {
            self.fields.shift_remove(*name);
        }
    }

    /// Moves what was not taken to the fields that nobody else can express, except hints for the cache.
    pub(super) fn leave_rest_to(self, others: &mut Vec<(String, Value)>) {
        let Self { place, fields } = self;
        let rest = fields
            .into_iter()
            .filter(|(name, value)| !value.is_null() && name != "cache_control");
        others.extend(rest.map(|(name, value)| (place.field(&name).to_string(), value)));
    }

    fn as_text(&self, name: &str, value: Value) -> Result<String, BadRequest> {
        match value {
            Value::String(text) => Ok(text),
            _ => Err(self.invalid(name, "a string")),
        }
    }

    fn as_count(&self, name: &str, value: &Value) -> Result<u32, BadRequest> {
        let count = value.as_u64().and_then(|count| u32::try_from(count).ok());
        count.ok_or_else(|| self.invalid(name, "a whole number"))
    }
}
