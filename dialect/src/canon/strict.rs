//! OpenAI's rules for a schema that is kept to strictly.

use serde_json::{Map, Value};

/// Words of JSON schema that a strict schema may use:
/// <https://platform.openai.com/docs/guides/structured-outputs#supported-schemas>.
const WORDS: [&str; 22] = [
    "$schema",
    "$ref",
    "$defs",
    "definitions",
    "type",
    "title",
    "description",
    "enum",
    "const",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "anyOf",
    "pattern",
    "multipleOf",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minItems",
    "maxItems",
];

/// Whether OpenAI takes `schema` with `strict: true`: an object, all of whose objects list every property as required
/// and take no others. Clients of other dialects do not know these rules.
pub(crate) fn is_strict(schema: &Value) -> bool {
    is_of_object(schema) && follows_rules(schema)
}

/// Whether the schema is of an object, as OpenAI wants it for every format and every tool.
pub(crate) fn is_of_object(schema: &Value) -> bool {
    schema.get("type").is_some_and(|kind| kind == "object")
}

fn follows_rules(schema: &Value) -> bool {
    let Value::Object(fields) = schema else {
        return false;
    };
    if fields.contains_key("$ref") {
        // "$ref cannot have keywords", not even a description.
        return fields.len() == 1;
    }
    let says_what = ["type", "anyOf", "enum", "const"];
    let says_what = says_what.iter().any(|name| fields.contains_key(*name));
    let knows_words = fields.keys().all(|name| WORDS.contains(&name.as_str()));
    let is_object = is_of_object(schema) || fields.contains_key("properties");
    let below = fields.iter().all(|(name, value)| match name.as_str() {
        "properties" | "$defs" | "definitions" => value
            .as_object()
            .is_some_and(|schemas| schemas.values().all(follows_rules)),
        "items" => follows_rules(value),
        "anyOf" => value
            .as_array()
            .is_some_and(|schemas| schemas.iter().all(follows_rules)),
        _ => true,
    });
    says_what && knows_words && below && (!is_object || is_closed(fields))
}

fn is_closed(fields: &Map<String, Value>) -> bool {
    let properties = fields.get("properties").and_then(Value::as_object);
    let required = fields.get("required").and_then(Value::as_array);
    let is_required = |name: &String| {
        required.is_some_and(|names| names.iter().any(|it| it.as_str() == Some(name)))
    };
    let takes_no_others = fields.get("additionalProperties") == Some(&Value::Bool(false));
    takes_no_others && properties.is_none_or(|properties| properties.keys().all(is_required))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_strict_schema_is_closed_and_asks_for_every_property() {
        let of = |inner: Value| json!({"type": "object", "properties": {"a": inner}, "required": ["a"], "additionalProperties": false});
        let closed = json!({"type": "object", "properties": {}, "additionalProperties": false});

        assert!(is_strict(&of(
            json!({"type": ["string", "null"], "pattern": "^a"})
        )));
        assert!(is_strict(&of(closed)));
        assert!(!is_strict(&of(json!({"type": "object"}))));
        assert!(!is_strict(&of(json!({"type": "string", "minLength": 1}))));
        let optional =
            json!({"type": "object", "properties": {"a": {}}, "additionalProperties": false});
        assert!(!is_strict(&optional));
        assert!(!is_strict(
            &json!({"type": "array", "items": {"type": "string"}})
        ));
    }

    #[test]
    fn a_strict_reference_stands_alone_and_every_schema_says_what_it_is_of() {
        let of = |inner: Value| {
            is_strict(&json!({
                "type": "object", "properties": {"a": inner}, "required": ["a"],
                "additionalProperties": false, "$defs": {"A": {"type": "string"}},
            }))
        };

        for fine in [
            json!({"$ref": "#/$defs/A"}),
            json!({"anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}], "description": "d"}),
            json!({"enum": ["a"]}),
            json!({"const": 1}),
        ] {
            assert!(of(fine.clone()), "{fine}");
        }
        for refused in [
            json!({"$ref": "#/$defs/A", "description": "d"}),
            json!({"type": "array", "items": {"$ref": "#/$defs/A", "title": "t"}}),
            json!({}),
            json!({"description": "d"}),
            json!({"type": "array", "items": {}}),
        ] {
            assert!(!of(refused.clone()), "{refused}");
        }
    }
}
