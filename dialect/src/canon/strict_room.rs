//! How much Anthropic's models, at home and behind Bedrock, can be held to in one request.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{Tool, is_of_object, narrow};

/// What is left of the limits that hold for the strict tools and the format of a request together. Beyond them the API
/// refuses it: <https://platform.claude.com/docs/en/build-with-claude/structured-outputs#schema-complexity-limits>.
///
/// The format comes first: it has no other field, while a tool that is not strict is still a tool.
#[derive(Clone, Copy)]
pub(crate) struct StrictRoom {
    n_tools: usize,
    n_optional: usize,
    n_unions: usize,
}

impl StrictRoom {
    pub(crate) fn of_request() -> Self {
        Self {
            n_tools: 20,
            n_optional: 24,
            n_unions: 16,
        }
    }

    /// The schema of a format, narrowed; `None` if models cannot be held to it.
    pub(crate) fn format(&mut self, schema: &Value) -> Option<Value> {
        let narrow = narrow(schema)?;
        *self = self.without(&narrow)?;
        Some(narrow)
    }

    /// The schema of a tool's arguments, and whether the tool is strict. One that models cannot be held to is told all the
    /// same; a smaller one may still have room after it.
    pub(crate) fn tool<'a>(&mut self, tool: &'a Tool) -> (Cow<'a, Value>, bool) {
        let schema = tool.object_schema();
        let strict = match tool.strict {
            Some(true) => self.strict_tool(&schema),
            _ => None,
        };
        let is_strict = strict.is_some();
        (strict.map_or(schema, Cow::Owned), is_strict)
    }

    fn strict_tool(&mut self, schema: &Value) -> Option<Value> {
        let n_tools = self.n_tools.checked_sub(1)?;
        // A tool's schema says that it is of an object, which none can beside a reference.
        let narrow = narrow(schema).filter(is_of_object)?;
        *self = Self {
            n_tools,
            ..self.without(&narrow)?
        };
        Some(narrow)
    }

    /// What is left beside a narrow schema. `None` if it is too much.
    fn without(self, schema: &Value) -> Option<Self> {
        let Value::Object(fields) = schema else {
            return Some(self);
        };
        let n_unions = usize::from(fields.contains_key("anyOf"));
        let mut left = Self {
            n_tools: self.n_tools,
            n_optional: self.n_optional.checked_sub(n_optional(fields))?,
            n_unions: self.n_unions.checked_sub(n_unions)?,
        };
        for (name, value) in fields {
            left = match (name.as_str(), value) {
                ("items", schema) => left.without(schema)?,
                ("properties" | "$defs" | "definitions", Value::Object(schemas)) => {
                    schemas.values().try_fold(left, Self::without)?
                }
                ("anyOf" | "allOf", Value::Array(schemas)) => {
                    schemas.iter().try_fold(left, Self::without)?
                }
                _ => left,
            };
        }
        Some(left)
    }
}

fn n_optional(fields: &Map<String, Value>) -> usize {
    let required = fields.get("required").and_then(Value::as_array);
    let required: HashSet<&str> = required
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let properties = fields.get("properties").and_then(Value::as_object);
    let names = properties.into_iter().flat_map(Map::keys);
    names
        .filter(|name| !required.contains(name.as_str()))
        .count()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// An object with so many properties of each kind.
    fn schema(n_optional: usize, n_nullable: usize) -> Value {
        let optional = (0..n_optional).map(|n| (format!("o{n}"), json!({"type": "string"})));
        let nullable = (0..n_nullable).map(|n| {
            let value = json!({"type": ["string", "null"]});
            (format!("n{n}"), value)
        });
        let required: Vec<String> = (0..n_nullable).map(|n| format!("n{n}")).collect();
        let properties: Map<String, Value> = optional.chain(nullable).collect();
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
    }

    fn are_strict(room: &mut StrictRoom, schemas: &[Value]) -> Vec<bool> {
        let tools = schemas.iter().map(|schema| Tool {
            name: "find".to_owned(),
            description: None,
            parameters: Some(schema.clone()),
            strict: Some(true),
        });
        tools.map(|tool| room.tool(&tool).1).collect()
    }

    #[test]
    fn tools_are_strict_as_far_as_the_limits_go() {
        let check = |schemas: &[Value], expected: &[bool]| {
            assert_eq!(are_strict(&mut StrictRoom::of_request(), schemas), expected);
        };
        let many = vec![schema(0, 1); 21];
        let within = [vec![true; 16], vec![false; 5]].concat();

        check(
            &vec![schema(1, 0); 21],
            &[vec![true; 20], vec![false]].concat(),
        );
        check(&many, &within);
        check(
            &[schema(24, 0), schema(1, 0), schema(0, 16)],
            &[true, false, true],
        );
        check(
            &[schema(25, 0), schema(0, 17), schema(24, 16)],
            &[false, false, true],
        );
    }

    #[test]
    fn what_is_deep_within_counts() {
        let within = |inner: Value| {
            json!({"type": "object", "properties": {"list": {"type": "array", "items": inner}},
                "required": ["list"], "additionalProperties": false})
        };
        let defined = |inner: Value| {
            json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "required": ["a"],
                "additionalProperties": false, "$defs": {"A": inner}})
        };
        let is_taken = |schema: &Value| StrictRoom::of_request().format(schema).is_some();

        assert!(is_taken(&within(schema(24, 16))));
        assert!(!is_taken(&within(schema(25, 0))));
        assert!(!is_taken(&defined(schema(0, 17))));
        assert!(!is_taken(&json!({"anyOf": [schema(0, 16)]})));
    }

    #[test]
    fn a_format_takes_its_room_before_the_tools() {
        let mut room = StrictRoom::of_request();

        assert!(room.format(&schema(0, 17)).is_none());
        assert!(room.format(&schema(20, 0)).is_some());

        assert_eq!(
            are_strict(&mut room, &[schema(5, 0), schema(4, 0)]),
            [false, true]
        );
    }

    #[test]
    fn a_tool_that_is_but_a_reference_is_not_strict() {
        let reference = json!({"$ref": "#/$defs/A", "$defs": {"A": schema(0, 1)}});

        assert_eq!(
            are_strict(&mut StrictRoom::of_request(), &[reference]),
            [false]
        );
    }
}
