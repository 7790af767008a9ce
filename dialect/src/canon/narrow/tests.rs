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

#[test]
fn a_short_schema_does_not_become_a_long_one() {
    let nested = |depth, types: &Value, leaf: Value| {
        (0..depth).fold(leaf, |inner, n| {
            let rule = ["anyOf", "oneOf", "allOf"][n % 3];
            json!({"type": types, rule: [inner, {"type": "string"}]})
        })
    };
    let two = json!(["string", "number"]);
    let same = json!(["string", "string"]);

    check(&nested(60, &two, json!({"type": "string"})), None);
    let text = json!({"enum": ["a".repeat(100_000)], "pattern": "b".repeat(100_000)});
    check(&nested(60, &two, text), None);
    let values: Vec<usize> = (0..10_000).collect();
    check(
        &nested(60, &two, json!({"type": "string", "enum": values})),
        None,
    );
    let shallow = json!({"type": same, "anyOf": [{"type": ["string", "string", "null"]}]});
    check(
        &shallow,
        json!({"anyOf": [{"type": "string", "anyOf": [
            {"anyOf": [{"type": "string"}, {"type": "null"}]},
        ]}]}),
    );
    assert!(narrow(&nested(2, &two, json!({"type": "string"}))).is_some());
}

#[test]
fn long_chains_of_references_are_followed_at_once() {
    let chain = |last: Value| {
        let link = |n: usize| {
            (
                format!("D{n}"),
                json!({"$ref": format!("#/$defs/D{}", n + 1)}),
            )
        };
        let mut definitions: Map<String, Value> = (0..5_000).map(link).collect();
        definitions.insert("D5000".to_owned(), last);
        json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/D0"}}, "$defs": definitions})
    };
    let start = std::time::Instant::now();

    let ends = narrow(&chain(json!({"type": "string"})));
    let returns = narrow(&chain(json!({"$ref": "#/$defs/D0"})));

    assert!(ends.is_some());
    assert_eq!(returns, None);
    assert!(start.elapsed() < std::time::Duration::from_secs(2));
}

#[test]
fn all_of_one_schema_is_that_schema() {
    let of = |inner: Value| {
        json!({"type": "object", "properties": {"a": inner}, "$defs": {"A": {"type": "string"}},
            "additionalProperties": false})
    };
    let single = json!({"allOf": [{"$ref": "#/$defs/A"}], "description": "d", "default": "x"});
    check(&of(single), of(json!({"$ref": "#/$defs/A"})));
    let nested = json!({"allOf": [{"allOf": [{"type": "string", "description": "inner"}]}], "description": "d"});
    check(
        &of(nested),
        of(json!({"type": "string", "description": "d"})),
    );
    for (rule, value) in [("properties", json!({"b": {}})), ("type", json!("string"))] {
        let beside_rules = json!({"allOf": [{"$ref": "#/$defs/A"}], rule: value});
        check(&of(beside_rules), None);
    }
    let several = json!({"allOf": [{"anyOf": [{"$ref": "#/$defs/A"}]}, {"type": "string"}]});
    check(&of(several), None);
    let without_references = json!({"allOf": [{"type": "string"}, {"format": "date"}]});
    check(&of(without_references.clone()), of(without_references));
}

proptest! {
    #[test]
    fn nothing_grows_out_of_proportion(
        rules in prop::collection::vec(
            (prop::sample::select(vec!["anyOf", "oneOf", "allOf", "items", "properties", "not"]), 1..3_usize), 0..12,
        ),
        types in prop::sample::select(vec![
            json!(["string", "number"]), json!(["object", "array", "null"]), json!(["array", "array"]), json!("object"),
        ]),
        leaf in "[\"a-z]{0,200}",
    ) {
        let schema = rules.into_iter().fold(json!({"const": leaf}), |inner, (rule, n)| {
            let value = match rule {
                "items" | "not" => inner,
                "properties" => json!({"a": inner}),
                _ => vec![inner; n].into(),
            };
            json!({"type": types, rule: value, "minLength": 3})
        });
        prop_assume!(size(&schema) < 100_000);

        let narrow = narrow(&schema).map_or(0, |narrow| narrow.to_string().len());

        prop_assert!(narrow <= 32 * (schema.to_string().len() + 256), "{narrow}");
    }

    #[test]
    fn no_schema_panics(
        names in prop::collection::vec(r"type|properties|items|enum|anyOf|oneOf|\$ref|\$defs|format|required", 0..8),
        leaf in prop_oneof![Just(json!("object")), Just(json!(["string", "null", 7])), Just(json!([])), Just(json!({}))],
    ) {
        let schema = names.into_iter().fold(leaf, |value, name| json!({name: value, "type": ["array", "object"]}));

        let _ = narrow(&schema);
    }
}
