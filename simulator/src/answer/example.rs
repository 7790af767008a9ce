//! Values that fit a JSON schema, always the same ones.

use serde_json::{Map, Number, Value};

/// References may go round in circles.
const DEPTH_MAX: usize = 16;

const CITIES: [&str; 2] = ["Paris", "Berlin"];

/// A value for `schema`; `variant` tells several values of one schema apart.
pub(super) fn of(schema: &Value, variant: usize) -> Value {
    Example {
        root: schema,
        variant,
    }
    .fit(schema, 0)
}

struct Example<'a> {
    root: &'a Value,
    variant: usize,
}

impl Example<'_> {
    fn fit(&self, schema: &Value, depth: usize) -> Value {
        if depth > DEPTH_MAX {
            return Value::Null;
        }
        if let Some(pointer) = schema["$ref"].as_str() {
            let target = pointer
                .strip_prefix('#')
                .and_then(|it| self.root.pointer(it));
            return target.map_or(Value::Null, |it| self.fit(it, depth + 1));
        }
        if let Some(constant) = schema.get("const") {
            return constant.clone();
        }
        if let Some(choices) = schema["enum"].as_array()
            && let Some(chosen) = choices.get(self.variant % choices.len().max(1))
        {
            return chosen.clone();
        }
        for several in ["anyOf", "oneOf", "allOf"] {
            let first = schema[several]
                .as_array()
                .and_then(|schemas| schemas.iter().find(|it| it["type"] != "null"));
            if let Some(first) = first {
                return self.fit(first, depth + 1);
            }
        }
        match kind(schema).as_str() {
            "string" => self.text(schema),
            "integer" | "number" => self.number(schema).into(),
            "boolean" => true.into(),
            "array" => self.array(schema, depth),
            "null" => Value::Null,
            _ => self.object(schema, depth).into(),
        }
    }

    fn text(&self, schema: &Value) -> Value {
        let text = match schema["format"].as_str() {
            Some("date") => "2024-01-01",
            Some("date-time") => "2024-01-01T00:00:00Z",
            Some("time") => "00:00:00Z",
            Some("email") => "someone@example.com",
            Some("uri" | "url") => "https://example.com/",
            Some("uuid") => "00000000-0000-4000-8000-000000000000",
            _ => CITIES[self.variant % CITIES.len()],
        };
        let least = length(schema, "minLength").unwrap_or(0);
        let most = length(schema, "maxLength").unwrap_or(usize::MAX);
        let filled = text.chars().chain(std::iter::repeat('x'));
        let n_chars = text.chars().count().clamp(least.min(most), most);
        filled.take(n_chars).collect::<String>().into()
    }

    fn number(&self, schema: &Value) -> Number {
        let number = i64::try_from(self.variant).unwrap_or(0) + 1;
        let bounds = [
            schema["minimum"].as_i64(),
            schema["exclusiveMinimum"].as_i64().map(|it| it + 1),
        ];
        let least = bounds.into_iter().flatten().max().unwrap_or(i64::MIN);
        let bounds = [
            schema["maximum"].as_i64(),
            schema["exclusiveMaximum"].as_i64().map(|it| it - 1),
        ];
        let most = bounds.into_iter().flatten().min().unwrap_or(i64::MAX);
        number.max(least).min(most).into()
    }

    fn array(&self, schema: &Value, depth: usize) -> Value {
        let least = length(schema, "minItems").unwrap_or(1);
        let most = length(schema, "maxItems").unwrap_or(usize::MAX);
        let n_items = least.max(1).min(most).min(DEPTH_MAX);
        let item = self.fit(&schema["items"], depth + 1);
        vec![item; n_items].into()
    }

    /// The required properties; all of them if nothing is said of that.
    fn object(&self, schema: &Value, depth: usize) -> Map<String, Value> {
        let Some(properties) = schema["properties"].as_object() else {
            return Map::new();
        };
        let required = schema["required"].as_array();
        properties
            .iter()
            .filter(|(name, _)| {
                required.is_none_or(|required| required.iter().any(|it| it == name.as_str()))
            })
            .map(|(name, schema)| (name.clone(), self.fit(schema, depth + 1)))
            .collect()
    }
}

/// Gemini writes types in capitals; a list of types is that of its first that is not null.
fn kind(schema: &Value) -> String {
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().find(|kind| **kind != "null"),
        kind => Some(kind),
    };
    match kind.and_then(Value::as_str) {
        Some(kind) => kind.to_ascii_lowercase(),
        None => "object".to_owned(),
    }
}

fn length(schema: &Value, name: &str) -> Option<usize> {
    let length = match &schema[name] {
        // Gemini's API writes 64-bit numbers as strings.
        Value::String(length) => length.parse().ok(),
        length => length.as_u64(),
    };
    length.and_then(|length| usize::try_from(length).ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(schema: &Value, expected: &[Value; 2]) {
        assert_eq!([of(schema, 0), of(schema, 1)], *expected);
    }

    #[test]
    fn values_fit_their_schema() {
        let schema = json!({
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer"},
                "unit": {"enum": ["c", "f"]},
                "optional": {"type": "string"},
                "is_on": {"type": ["null", "boolean"]},
                "list": {"type": "array", "items": {"$ref": "#/$defs/item"}, "minItems": 2},
            },
            "required": ["city", "days", "unit", "is_on", "list"],
            "$defs": {"item": {"anyOf": [{"type": "null"}, {"type": "number", "minimum": 5}]}},
        });

        check(
            &schema,
            &[
                json!({"city": "Paris", "days": 1, "unit": "c", "is_on": true, "list": [5, 5]}),
                json!({"city": "Berlin", "days": 2, "unit": "f", "is_on": true, "list": [5, 5]}),
            ],
        );
        check(
            &json!({"type": "OBJECT", "properties": {"a": {"type": "STRING", "minLength": "7"}}}),
            &[json!({"a": "Parisxx"}), json!({"a": "Berlinx"})],
        );
        check(&json!({}), &[json!({}), json!({})]);
    }

    #[test]
    fn a_schema_of_itself_comes_to_an_end() {
        let schema = json!({"$ref": "#"});

        assert_eq!(of(&schema, 0), Value::Null);
    }
}
