//! What providers demand of the names and the schemas of tools and formats.

use serde_json::Value;

use crate::fields::{Item, Reading};

/// A JSON schema of an object, as every API wants it for a tool's arguments.
pub(super) fn of_arguments(item: &Item<'_>) -> Reading<Value> {
    let schema = item.any_object()?;
    match schema.get("type") {
        None => {}
        Some(Value::String(kind)) if kind == "object" => {}
        Some(kind) => {
            let rule = format!("schema must be a JSON Schema of 'type: \"object\"', got {kind}.");
            return Err(item.against(rule));
        }
    }
    Ok(item.value().clone())
}

/// `^[a-zA-Z0-9_-]{1,64}$`.
pub(super) fn name<'a>(item: &Item<'a>) -> Reading<&'a str> {
    let name = item.text()?;
    match name.len() <= 64 && is_plain(name) {
        true => Ok(name),
        false => Err(item.against("string does not match pattern '^[a-zA-Z0-9_-]{1,64}$'.")),
    }
}

/// Letters, digits, `_` and `-`, at least one.
pub(super) fn is_plain(name: &str) -> bool {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !name.is_empty() && name.bytes().all(is_fine)
}

/// OpenAI's rule for `strict`: every object lists all its properties as required and takes no others.
pub(super) fn is_strict(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => {
            let is_object = schema["type"] == "object" || schema.get("properties").is_some();
            (!is_object || is_closed(schema)) && fields.values().all(is_strict)
        }
        Value::Array(elements) => elements.iter().all(is_strict),
        _ => true,
    }
}

/// Anthropic's rule for formats: every object takes no other properties than its own.
pub(super) fn has_closed_objects(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => {
            let is_object = schema["type"] == "object";
            let is_closed = schema["additionalProperties"] == false;
            (!is_object || is_closed) && fields.values().all(has_closed_objects)
        }
        Value::Array(elements) => elements.iter().all(has_closed_objects),
        _ => true,
    }
}

fn is_closed(schema: &Value) -> bool {
    let properties = schema["properties"].as_object();
    let required = schema["required"].as_array();
    let is_required = |name: &String| {
        required.is_some_and(|required| required.iter().any(|it| it.as_str() == Some(name)))
    };
    // A property may be called `properties`; that one is no schema.
    let is_schema = properties.is_some() || schema.get("properties").is_none();
    !is_schema
        || schema["additionalProperties"] == false
            && properties.is_none_or(|properties| properties.keys().all(is_required))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_strict_schema_is_closed_all_the_way_down() {
        let inner = |additional: bool| {
            json!({
                "type": "object",
                "properties": {"list": {"type": "array", "items": {
                    "type": "object", "properties": {}, "additionalProperties": additional,
                }}},
                "required": ["list"],
                "additionalProperties": false,
            })
        };

        assert!(is_strict(&inner(false)));
        assert!(!is_strict(&inner(true)));
        let optional = json!({
            "type": "object", "properties": {"a": {}}, "required": [], "additionalProperties": false,
        });
        assert!(!is_strict(&optional));
    }
}
