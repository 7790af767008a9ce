//! Numbers as they are written: the `config` crate would round fractions and read `yes` as 1.

use std::fmt;

use schemars::JsonSchema;
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// A whole number, 0 or more. Text is read as one, because the environment knows only text.
#[derive(Clone, Copy, Serialize, JsonSchema)]
#[schemars(inline, description = "")]
pub(super) struct Whole(pub(super) u64);

/// A number with or without a fraction.
#[derive(Clone, Copy, Serialize, JsonSchema)]
#[schemars(inline, description = "")]
pub(super) struct Number(pub(super) f64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WholeVisitor)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

struct WholeVisitor;

impl Visitor<'_> for WholeVisitor {
    type Value = Whole;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number, 0 or more")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Whole, E> {
        Ok(Whole(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Whole, E> {
        u64::try_from(number)
            .map(Whole)
            .map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Whole, E> {
        text.parse()
            .map(Whole)
            .map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Number, E> {
        Ok(Number(number))
    }

    // The nearest f64 of a larger whole number is as good: weights are compared, not counted.
    fn visit_u64<E: Error>(self, number: u64) -> Result<Number, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Number, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
        text.parse()
            .map(Number)
            .map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }
}
