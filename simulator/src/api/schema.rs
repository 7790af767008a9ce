//! What providers demand of the names and the schemas of tools and formats.

use serde_json::Value;

use crate::fields::{Item, Reading};

/// Checks the schema that a model is held to, if it `is_strict`.
pub(super) fn check_held(schema: &Item<'_>, is_strict: bool) -> Reading<()> {
    match refusal(schema.value()) {
        Some(rule) if is_strict => Err(schema.against(rule)),
        _ => Ok(()),
    }
}

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

/// Whether the word that OpenAI demands beside `json_object` is in what `messages` say.
pub(super) fn says_json(messages: &Value) -> bool {
    match messages {
        Value::String(text) => text.to_lowercase().contains("json"),
        Value::Array(parts) => parts.iter().any(says_json),
        Value::Object(fields) => ["content", "text", "output"]
            .iter()
            .filter_map(|name| fields.get(*name))
            .any(says_json),
        _ => false,
    }
}

/// OpenAI's rule for formats: an answer is an object, and its schema says so.
pub(super) fn check_root(schema: &Item<'_>) -> Reading<()> {
    let kind = schema.any_object()?.get("type");
    match kind.is_some_and(|kind| kind == "object") {
        true => Ok(()),
        false => {
            let got = kind.map_or_else(|| "None".to_owned(), Value::to_string);
            let rule = format!(
                "Invalid schema for response_format: schema must be a JSON Schema of 'type: \"object\"', got 'type: {got}'."
            );
            Err(schema.against(rule))
        }
    }
}

/// `^[a-zA-Z0-9_-]{1,64}$`.
pub(super) fn name<'a>(item: &Item<'a>) -> Reading<&'a str> {
    let name = item.text()?;
    match name.len() <= 64 && is_plain(name) {
        true => Ok(name),
        false => Err(item.against("string does not match pattern '^[a-zA-Z0-9_-]{1,64}$'.")),
    }
}

/// `^[a-zA-Z0-9_.:-]{1,64}$`, as Bedrock has it for the ids of calls.
pub(super) fn call_id<'a>(item: &Item<'a>) -> Reading<&'a str> {
    let id = item.text()?;
    match id.len() <= 64 && is_plain(&id.replace(['.', ':'], "_")) {
        true => Ok(id),
        false => Err(item.against("string does not match pattern '^[a-zA-Z0-9_.:-]{1,64}$'.")),
    }
}

/// Letters, digits, `_` and `-`, at least one.
pub(super) fn is_plain(name: &str) -> bool {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !name.is_empty() && name.bytes().all(is_fine)
}

/// OpenAI's rules for `strict`: every object lists all its properties as required and takes no others, and nothing stands
/// beside a reference but definitions.
pub(super) fn is_strict(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => {
            let is_object = schema["type"] == "object" || schema.get("properties").is_some();
            let is_reference = schema["$ref"].is_string();
            let may_stand_beside = |name: &String| matches!(&**name, "$ref" | "$defs");
            (!is_object || is_closed(schema))
                && (!is_reference || fields.keys().all(may_stand_beside))
                && fields.values().all(is_strict)
        }
        Value::Array(elements) => elements.iter().all(is_strict),
        _ => true,
    }
}

/// What Anthropic refuses in a schema that it is to hold a model to: formats, and strict tools. `None` if it takes it.
///
/// <https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations>
pub(super) fn refusal(schema: &Value) -> Option<String> {
    refusal_at(schema, schema, 0)
}

/// No schema that ends goes deeper than this by its references.
const REFERENCES_MAX: usize = 64;

fn refusal_at(schema: &Value, root: &Value, n_references: usize) -> Option<String> {
    let fields = schema.as_object()?;
    if let Some(reference) = fields.get("$ref") {
        if n_references > REFERENCES_MAX {
            return Some("Recursive schemas are not supported".to_owned());
        }
        let pointer = reference.as_str().and_then(|it| it.strip_prefix('#'));
        let Some(target) = pointer.and_then(|pointer| root.pointer(pointer)) else {
            return Some("External '$ref' is not supported".to_owned());
        };
        return refusal_at(target, root, n_references + 1);
    }
    let kind = &schema["type"];
    let kinds = kind
        .as_array()
        .map_or(std::slice::from_ref(kind), Vec::as_slice);
    for kind in kinds.iter().filter_map(Value::as_str) {
        if kind == "object" && schema["additionalProperties"] != false {
            let rule = "For 'object' type, 'additionalProperties' must be explicitly set to false";
            return Some(rule.to_owned());
        }
        if kind == "array" && fields.get("minItems").is_some_and(|it| it != 0 && it != 1) {
            let rule = "For 'array' type, 'minItems' values other than 0 or 1 are not supported";
            return Some(rule.to_owned());
        }
        let unsupported: &[&str] = match kind {
            "integer" | "number" => &[
                "minimum",
                "maximum",
                "exclusiveMinimum",
                "exclusiveMaximum",
                "multipleOf",
            ],
            "string" => &["minLength", "maxLength"],
            "array" => &["maxItems", "uniqueItems", "prefixItems", "contains"],
            _ => &["minProperties", "maxProperties", "patternProperties"],
        };
        if let Some(name) = unsupported.iter().find(|name| fields.contains_key(**name)) {
            return Some(format!(
                "For '{kind}' type, property '{name}' is not supported"
            ));
        }
    }
    for name in ["oneOf", "not", "if", "dependentSchemas"] {
        if fields.contains_key(name) {
            return Some(format!("Schema type '{name}' is not supported"));
        }
    }
    if schema.get("allOf").is_some_and(has_reference) {
        return Some("'allOf' with '$ref' is not supported".to_owned());
    }
    let values = schema["enum"].as_array().into_iter().flatten();
    for value in values.filter(|_| !kind.is_null()) {
        let is_fitting = match kind.as_str() {
            Some("string") => value.is_string(),
            Some("integer" | "number") => value.is_number(),
            Some("boolean") => value.is_boolean(),
            Some("null") => value.is_null(),
            // Of several types, none is found to fit.
            _ => false,
        };
        if !is_fitting {
            return Some(format!(
                "Enum value {value} does not match declared type {kind}"
            ));
        }
    }
    let of_maps = ["properties", "$defs", "definitions"].into_iter();
    let of_maps = of_maps.filter_map(|name| schema[name].as_object());
    let of_lists = ["anyOf", "allOf"].into_iter();
    let of_lists = of_lists.filter_map(|name| schema[name].as_array());
    let mut below = of_maps
        .flat_map(|schemas| schemas.values())
        .chain(of_lists.flatten())
        .chain(fields.get("items"));
    below.find_map(|schema| refusal_at(schema, root, n_references))
}

fn has_reference(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => {
            fields.get("$ref").is_some_and(Value::is_string) || fields.values().any(has_reference)
        }
        Value::Array(elements) => elements.iter().any(has_reference),
        _ => false,
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
    fn anthropic_holds_models_to_a_part_of_the_language() {
        let object = |inner: serde_json::Value| {
            json!({
                "type": "object", "properties": {"minimum": inner}, "additionalProperties": false,
                "$defs": {"D": {"type": "string"}, "R": {"anyOf": [{"$ref": "#/$defs/R"}]}},
            })
        };
        let without_r = |inner: serde_json::Value| {
            let mut schema = object(inner);
            schema["$defs"].as_object_mut().unwrap().remove("R");
            schema
        };

        for fine in [
            json!({"type": "string", "enum": ["a"], "format": "date", "pattern": "^a"}),
            json!({"type": ["string", "null"]}),
            json!({"type": "array", "items": {"type": "null"}, "minItems": 1}),
            json!({"$ref": "#/$defs/D"}),
            json!({"allOf": [{"type": "string"}, {"format": "date"}]}),
        ] {
            assert_eq!(refusal(&without_r(fine.clone())), None, "{fine}");
        }
        for refused in [
            json!({"type": "object"}),
            json!({"type": "integer", "maximum": 5}),
            json!({"type": "string", "minLength": 1}),
            json!({"type": "array", "items": {"type": "string"}, "minItems": 2}),
            json!({"type": ["string", "null"], "enum": ["a", null]}),
            json!({"oneOf": [{"type": "string"}]}),
            json!({"$ref": "https://example.com"}),
            json!({"allOf": [{"$ref": "#/$defs/D"}]}),
        ] {
            assert!(refusal(&without_r(refused.clone())).is_some(), "{refused}");
        }
        assert!(refusal(&object(json!({"$ref": "#/$defs/R"}))).is_some());
    }

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
        assert!(is_strict(&json!({"anyOf": [{"$ref": "#/$defs/A"}]})));
        let described = json!({"$ref": "#/$defs/A", "description": "d"});
        assert!(!is_strict(&json!({"anyOf": [described]})));
    }
}
