//! JSON schemas in the part of the language that Anthropic's models can be held to, at home and behind Bedrock.
//!
//! What that part is: <https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations>.
//! Every object is closed, so that whatever fits the narrow schema fits the given one, too. A rule that no one is held to
//! is told in the description instead, as Anthropic's own SDK does it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Formats of strings that are kept to.
const FORMATS: [&str; 10] = [
    "date-time",
    "time",
    "date",
    "duration",
    "email",
    "hostname",
    "uri",
    "ipv4",
    "ipv6",
    "uuid",
];

/// `schema`, narrowed; `None` for what cannot be: a schema that contains itself or refers elsewhere, and an object of any
/// keys, of which nothing but the empty one would be left.
pub(crate) fn narrow(schema: &Value) -> Option<Value> {
    match references_end(schema) {
        true => narrowed(schema),
        false => None,
    }
}

fn narrowed(schema: &Value) -> Option<Value> {
    let Value::Object(fields) = schema else {
        return Some(schema.clone());
    };
    if let Some(Value::Array(types)) = fields.get("type") {
        return narrowed(&Value::Object(union_of(fields, types)));
    }
    if let Some(reference) = fields.get("$ref") {
        // Nothing may stand beside it but what it refers to.
        let mut narrow = Map::from_iter([("$ref".to_owned(), reference.clone())]);
        for name in ["$defs", "definitions"] {
            if let Some(schemas) = fields.get(name) {
                narrow.insert(name.to_owned(), each_of_map(schemas)?);
            }
        }
        return Some(Value::Object(narrow));
    }
    let mut narrow = Map::with_capacity(fields.len() + 1);
    let mut told = Map::new();
    for (name, value) in fields {
        let (name, value) = match name.as_str() {
            "type" | "title" | "description" | "const" | "required" => (name, value.clone()),
            "enum" if is_of_plain_values(value) => (name, values_of_type(value, fields)),
            "format" if is_known_format(value) => (name, value.clone()),
            "minItems" if matches!(value.as_u64(), Some(0 | 1)) => (name, value.clone()),
            "properties" | "$defs" | "definitions" => (name, each_of_map(value)?),
            "items" if value.is_object() => (name, narrowed(value)?),
            "anyOf" | "allOf" => (name, each_of_list(value)?),
            "oneOf" => {
                narrow.insert("anyOf".to_owned(), each_of_list(value)?);
                continue;
            }
            // Closed below, or no rule at all.
            "additionalProperties" | "$schema" | "$id" | "$comment" => continue,
            _ => {
                told.insert(name.clone(), value.clone());
                continue;
            }
        };
        narrow.insert(name.clone(), value);
    }
    let is_object = fields.get("type").is_some_and(|kind| kind == "object");
    if is_object || fields.contains_key("properties") {
        if takes_any_key(fields) {
            return None;
        }
        narrow.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    if !told.is_empty() {
        tell(&mut narrow, told);
    }
    Some(Value::Object(narrow))
}

/// A schema of several types, as one of several schemas: an `enum` must fit the one type beside it.
fn union_of(fields: &Map<String, Value>, types: &[Value]) -> Map<String, Value> {
    let mut union = Map::new();
    let mut variants: Vec<Map<String, Value>> = types
        .iter()
        .map(|kind| Map::from_iter([("type".to_owned(), kind.clone())]))
        .collect();
    for (name, value) in fields {
        if matches!(
            name.as_str(),
            "title" | "description" | "default" | "examples" | "$defs" | "definitions" | "$schema"
        ) {
            union.insert(name.clone(), value.clone());
            continue;
        }
        for (variant, kind) in variants.iter_mut().zip(types) {
            if name != "type" && is_rule_for(name, kind.as_str().unwrap_or_default()) {
                variant.insert(name.clone(), value.clone());
            }
        }
    }
    variants.retain(|variant| match variant.get("enum") {
        Some(Value::Array(values)) => values
            .iter()
            .any(|value| is_of_type(value, &variant["type"])),
        _ => true,
    });
    let variants = variants.into_iter().map(Value::Object);
    union.insert("anyOf".to_owned(), variants.collect());
    union
}

fn is_rule_for(name: &str, kind: &str) -> bool {
    match name {
        "properties"
        | "required"
        | "additionalProperties"
        | "patternProperties"
        | "propertyNames"
        | "minProperties"
        | "maxProperties" => kind == "object",
        "items" | "prefixItems" | "contains" | "minItems" | "maxItems" | "uniqueItems" => {
            kind == "array"
        }
        "pattern" | "format" | "minLength" | "maxLength" => kind == "string",
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => {
            matches!(kind, "number" | "integer")
        }
        "enum" => true,
        _ => kind != "null",
    }
}

fn is_known_format(value: &Value) -> bool {
    value.as_str().is_some_and(|name| FORMATS.contains(&name))
}

fn is_of_plain_values(values: &Value) -> bool {
    let is_plain = |value: &Value| !value.is_object() && !value.is_array();
    values
        .as_array()
        .is_some_and(|values| values.iter().all(is_plain))
}

/// The values that can occur: the API refuses a schema for the others.
fn values_of_type(values: &Value, fields: &Map<String, Value>) -> Value {
    let (Some(kind), Value::Array(values)) = (fields.get("type"), values) else {
        return values.clone();
    };
    let fitting = values.iter().filter(|value| is_of_type(value, kind));
    fitting.cloned().collect()
}

fn is_of_type(value: &Value, kind: &Value) -> bool {
    match kind.as_str().unwrap_or_default() {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => true,
    }
}

/// Whether closing it would leave only the empty object.
fn takes_any_key(fields: &Map<String, Value>) -> bool {
    let names_some = match fields.get("properties") {
        Some(Value::Object(properties)) => !properties.is_empty(),
        _ => false,
    };
    let is_closed = match fields.get("additionalProperties") {
        None => fields.contains_key("properties"),
        Some(others) => *others == Value::Bool(false),
    };
    !names_some && !is_closed
}

/// Puts rules into the description, where the model reads them.
fn tell(schema: &mut Map<String, Value>, rules: Map<String, Value>) {
    let rules = Value::Object(rules).to_string();
    let description = match schema.get("description").and_then(Value::as_str) {
        Some(description) => format!("{description}\n\n{rules}"),
        None => rules,
    };
    schema.insert("description".to_owned(), description.into());
}

fn each_of_map(schemas: &Value) -> Option<Value> {
    let Value::Object(schemas) = schemas else {
        return Some(schemas.clone());
    };
    let schemas = schemas.iter();
    let schemas = schemas.map(|(name, schema)| Some((name.clone(), narrowed(schema)?)));
    schemas.collect::<Option<Map<_, _>>>().map(Value::Object)
}

fn each_of_list(schemas: &Value) -> Option<Value> {
    let Value::Array(schemas) = schemas else {
        return Some(schemas.clone());
    };
    let schemas = schemas.iter().map(narrowed);
    schemas.collect::<Option<Vec<_>>>().map(Value::Array)
}

/// Whether every reference is to a definition of this schema, and none leads back to where it stands.
fn references_end(schema: &Value) -> bool {
    let mut open: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for name in ["$defs", "definitions"] {
        let definitions = schema.get(name).and_then(Value::as_object);
        for (key, definition) in definitions.into_iter().flatten() {
            let mut references = Vec::new();
            find_references(definition, &mut references);
            open.insert(format!("#/{name}/{key}"), references);
        }
    }
    let mut references = Vec::new();
    find_references(schema, &mut references);
    if !references.iter().all(|it| open.contains_key(*it)) {
        return false;
    }
    // Whatever only refers to what has ended ends, too.
    loop {
        let is_open = |reference: &&str| open.contains_key(*reference);
        let ended = |references: &[&str]| !references.iter().any(is_open);
        let still: Vec<String> = open
            .iter()
            .filter(|(_, references)| !ended(references))
            .map(|(name, _)| name.clone())
            .collect();
        if still.len() == open.len() {
            return still.is_empty();
        }
        open.retain(|name, _| still.contains(name));
    }
}

fn find_references<'a>(schema: &'a Value, found: &mut Vec<&'a str>) {
    match schema {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str));
            fields
                .values()
                .for_each(|value| find_references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| find_references(item, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(schema: &Value, expected: impl Into<Option<Value>>) {
        assert_eq!(narrow(schema), expected.into());
    }

    #[test]
    fn every_object_is_closed() {
        check(
            &json!({"type": "object", "properties": {
                "list": {"type": "array", "minItems": 1, "items": {"properties": {"a": {"type": "string"}}}},
            }, "required": ["list"], "$schema": "x"}),
            json!({"type": "object", "properties": {
                "list": {"type": "array", "minItems": 1, "items": {
                    "properties": {"a": {"type": "string"}}, "additionalProperties": false,
                }},
            }, "required": ["list"], "additionalProperties": false}),
        );
    }

    #[test]
    fn a_rule_that_cannot_be_enforced_is_told() {
        check(
            &json!({"type": "integer", "description": "A size.", "minimum": 1, "maximum": 9}),
            json!({"type": "integer", "description": "A size.\n\n{\"minimum\":1,\"maximum\":9}"}),
        );
        check(
            &json!({"type": "array", "items": {"type": "string", "format": "email"}, "minItems": 2}),
            json!({"type": "array", "items": {"type": "string", "format": "email"}, "description": "{\"minItems\":2}"}),
        );
        check(
            &json!({"type": "string", "format": "enum", "enum": ["a"]}),
            json!({"type": "string", "enum": ["a"], "description": "{\"format\":\"enum\"}"}),
        );
    }

    #[test]
    fn several_types_are_several_schemas() {
        check(
            &json!({"type": ["string", "null"], "enum": ["a", null], "description": "d"}),
            json!({"description": "d", "anyOf": [
                {"type": "string", "enum": ["a"]}, {"type": "null", "enum": [null]},
            ]}),
        );
        check(
            &json!({"type": ["string", "null"], "enum": ["a"]}),
            json!({"anyOf": [{"type": "string", "enum": ["a"]}]}),
        );
        check(
            &json!({"type": ["array", "null"], "items": {"type": "number"}}),
            json!({"anyOf": [{"type": "array", "items": {"type": "number"}}, {"type": "null"}]}),
        );
        check(
            &json!({"oneOf": [{"type": "string"}, {"type": "null"}]}),
            json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
        );
    }

    #[test]
    fn a_property_may_be_called_like_a_rule() {
        check(
            &json!({"type": "object", "properties": {"minimum": {"type": "number"}}}),
            json!({"type": "object", "properties": {"minimum": {"type": "number"}}, "additionalProperties": false}),
        );
    }

    #[test]
    fn objects_of_any_keys_have_no_form() {
        check(&json!({"type": "object"}), None);
        check(
            &json!({"type": "object", "additionalProperties": {"type": "string"}}),
            None,
        );
        let empty = json!({"type": "object", "properties": {}, "additionalProperties": false});
        check(&empty, empty.clone());
    }

    #[test]
    fn references_may_not_lead_back_or_away() {
        let of = |definition: Value| {
            json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/A", "description": "d"}},
                "$defs": {"A": definition, "B": {"type": "string"}}, "additionalProperties": false})
        };
        let plain = json!({"anyOf": [{"$ref": "#/$defs/B"}]});

        let narrow = narrow(&of(plain)).unwrap();

        assert_eq!(narrow["properties"]["a"], json!({"$ref": "#/$defs/A"}));
        check(&of(json!({"items": {"$ref": "#/$defs/A"}})), None);
        check(&of(json!({"$ref": "#"})), None);
        check(&of(json!({"$ref": "https://example.com/schema"})), None);
    }

    proptest! {
        #[test]
        fn no_schema_panics(
            names in prop::collection::vec(r"type|properties|items|enum|anyOf|oneOf|\$ref|\$defs|format|required", 0..8),
            leaf in prop_oneof![Just(json!("object")), Just(json!(["string", "null", 7])), Just(json!([])), Just(json!({}))],
        ) {
            let schema = names.into_iter().fold(leaf, |value, name| json!({name: value, "type": ["array", "object"]}));

            let _ = narrow(&schema);
        }
    }
}
