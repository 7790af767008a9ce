//! Google's schemas, which follow `OpenAPI` 3.0, → JSON schema.

use serde_json::{Map, Value};

use super::super::place::camel;

/// Types become lower case, `nullable` another type, and counts numbers; what both have stays.
pub(super) fn of_openapi(schema: Value) -> Value {
    let Value::Object(fields) = schema else {
        return schema;
    };
    let mut schema = Map::with_capacity(fields.len());
    let mut is_nullable = false;
    let mut order = Value::Null;
    for (name, value) in fields {
        let name = camel(&name).into_owned();
        match name.as_str() {
            _ if value.is_null() => {}
            "type" => schema.extend(type_of(value).map(|value| (name, value))),
            "nullable" => is_nullable = value == Value::Bool(true),
            "propertyOrdering" => order = value,
            "properties" | "defs" | "$defs" => {
                schema.insert(name, each_field(value));
            }
            "items" | "additionalProperties" => {
                schema.insert(name, of_openapi(value));
            }
            "anyOf" | "prefixItems" => {
                schema.insert(name, each_item(value));
            }
            // Google writes counts of 64 bits as strings.
            "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties"
            | "maxProperties" => {
                schema.insert(name, as_number(value));
            }
            _ => {
                schema.insert(name, value);
            }
        }
    }
    if let Some(properties) = schema.get_mut("properties") {
        put_in_order(properties, &order);
    }
    if is_nullable {
        allow_null(&mut schema);
    }
    Value::Object(schema)
}

/// `OBJECT` → `object`; `None` for a type that is left open.
fn type_of(value: Value) -> Option<Value> {
    match value {
        Value::String(name) if name == "TYPE_UNSPECIFIED" => None,
        Value::String(name) => Some(Value::from(name.to_ascii_lowercase())),
        value => Some(value),
    }
}

fn each_field(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let schemas = fields.into_iter();
            Value::Object(
                schemas
                    .map(|(name, schema)| (name, of_openapi(schema)))
                    .collect(),
            )
        }
        value => value,
    }
}

fn each_item(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(of_openapi).collect()),
        value => value,
    }
}

fn as_number(value: Value) -> Value {
    let number = value.as_str().and_then(|text| text.parse::<u64>().ok());
    number.map_or(value, Value::from)
}

/// Models write properties in the order of the schema.
fn put_in_order(properties: &mut Value, order: &Value) {
    let (Value::Object(properties), Value::Array(order)) = (properties, order) else {
        return;
    };
    let mut ordered = Map::with_capacity(properties.len());
    for name in order.iter().filter_map(Value::as_str) {
        ordered.extend(properties.shift_remove_entry(name));
    }
    ordered.append(properties);
    *properties = ordered;
}

fn allow_null(schema: &mut Map<String, Value>) {
    if let Some(Value::Array(values)) = schema.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
    if let Some(Value::Array(schemas)) = schema.get_mut("anyOf") {
        schemas.push(Value::from_iter([("type", "null")]));
    }
    if let Some(name) = schema.get_mut("type") {
        *name = Value::from(vec![name.take(), Value::from("null")]);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(openapi: Value, expected: &Value) {
        let text = of_openapi(openapi).to_string();

        assert_eq!(text, expected.to_string());
    }

    #[test]
    fn types_are_written_in_lower_case_at_every_depth() {
        check(
            json!({"type": "OBJECT", "properties": {
                "TYPE": {"type": "STRING", "format": "enum", "enum": ["A", "B"]},
                "tags": {"type": "ARRAY", "items": {"type": "INTEGER"}, "minItems": "1", "max_items": 3},
                "both": {"anyOf": [{"type": "NUMBER"}, {"type": "TYPE_UNSPECIFIED"}]},
            }, "required": ["TYPE"]}),
            &json!({"type": "object", "properties": {
                "TYPE": {"type": "string", "format": "enum", "enum": ["A", "B"]},
                "tags": {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3},
                "both": {"anyOf": [{"type": "number"}, {}]},
            }, "required": ["TYPE"]}),
        );
    }

    #[test]
    fn what_may_be_null_says_so_in_its_type() {
        check(
            json!({"type": "STRING", "nullable": true, "enum": ["a"]}),
            &json!({"type": ["string", "null"], "enum": ["a", null]}),
        );
        check(
            json!({"anyOf": [{"type": "STRING"}], "nullable": true}),
            &json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
        );
        check(
            json!({"type": "STRING", "nullable": false}),
            &json!({"type": "string"}),
        );
    }

    #[test]
    fn properties_stand_in_the_order_that_was_asked_for() {
        check(
            json!({"properties": {"a": {}, "b": {}, "c": {}}, "propertyOrdering": ["c", "a"]}),
            &json!({"properties": {"c": {}, "a": {}, "b": {}}}),
        );
    }
}
