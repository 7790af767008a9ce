//! JSON schemas in the part of the language that Anthropic's models can be held to, at home and behind Bedrock.
//!
//! What that part is: <https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations>.
//! Every object is closed, so that whatever fits the narrow schema fits the given one, too. A rule that no one is held to
//! is told in the description instead, as Anthropic's own SDK does it.

mod references;

use std::collections::HashMap;

use serde_json::{Map, Value};

use self::references::{has_references, references_end};

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

/// `schema`, narrowed; `None` for what cannot be: a schema that contains itself or refers elsewhere, an object of any
/// keys, of which nothing but the empty one would be left, and what would grow out of all proportion.
pub(crate) fn narrow(schema: &Value) -> Option<Value> {
    if !references_end(schema) {
        return None;
    }
    let mut narrowing = Narrowing {
        room: size(schema).saturating_mul(GROWTH_MAX).saturating_add(256),
    };
    narrowing.schema(schema)
}

/// Schemas of several types repeat what they contain, those within them again: without a bound, a short schema becomes
/// one that no memory holds.
const GROWTH_MAX: usize = 8;

/// The rules of one schema, in their order.
type Rules<'a> = Vec<(&'a str, &'a Value)>;

struct Narrowing {
    /// How much may still be read and written, in the measure of [`size`].
    room: usize,
}

impl Narrowing {
    fn schema(&mut self, schema: &Value) -> Option<Value> {
        match schema {
            Value::Object(fields) => self.rules(rules_of(fields)),
            other => self.copy(other),
        }
    }

    fn rules(&mut self, mut rules: Rules<'_>) -> Option<Value> {
        self.take(1 + rules.len())?;
        while let Some(merged) = without_single_all_of(&rules) {
            self.take(merged.len())?;
            rules = merged;
        }
        if let Some(Value::Array(types)) = find(&rules, "type") {
            return self.union(&rules, types);
        }
        if let Some(reference) = find(&rules, "$ref") {
            return self.reference(&rules, reference);
        }
        self.plain(&rules)
    }

    /// Nothing may stand beside a reference but what it refers to.
    fn reference(&mut self, rules: &Rules<'_>, reference: &Value) -> Option<Value> {
        let mut narrow = Map::from_iter([("$ref".to_owned(), self.copy(reference)?)]);
        for name in ["$defs", "definitions"] {
            if let Some(schemas) = find(rules, name) {
                narrow.insert(name.to_owned(), self.each_of_map(schemas)?);
            }
        }
        Some(Value::Object(narrow))
    }

    /// A schema of several types, as one of several schemas: an `enum` must fit the one type beside it.
    fn union(&mut self, rules: &Rules<'_>, types: &[Value]) -> Option<Value> {
        let (of_all, of_each): (Rules<'_>, Rules<'_>) =
            rules.iter().partition(|(name, _)| is_of_all_types(name));
        let values = find(rules, "enum").and_then(Value::as_array);
        self.take(types.len() + values.map_or(0, Vec::len))?;
        let is_possible = |kind: &Value| match values {
            Some(values) => values.iter().any(|value| is_of_type(value, kind)),
            None => true,
        };
        let mut variants = Vec::new();
        for kind in distinct(types)? {
            if !is_possible(kind) {
                continue;
            }
            let name = kind.as_str().unwrap_or_default();
            let rules = of_each.iter().copied();
            let rules = rules.filter(|(rule, _)| *rule != "type" && is_rule_for(rule, name));
            let variant = [("type", kind)].into_iter().chain(rules).collect();
            variants.push(self.rules(variant)?);
        }
        if variants.is_empty() {
            return None;
        }
        let Some(Value::Object(mut union)) = self.plain(&of_all) else {
            return None;
        };
        union.insert("anyOf".to_owned(), Value::Array(variants));
        Some(Value::Object(union))
    }

    fn plain(&mut self, rules: &Rules<'_>) -> Option<Value> {
        let mut narrow = Map::with_capacity(rules.len() + 1);
        let mut told = Map::new();
        for &(name, value) in rules {
            let (name, value) = match name {
                "type" | "title" | "description" | "const" | "required" => {
                    (name, self.copy(value)?)
                }
                "enum" if is_of_plain_values(value) => {
                    self.take(value.as_array().map_or(0, Vec::len))?;
                    (
                        name,
                        self.copy(&values_of_type(value, find(rules, "type")))?,
                    )
                }
                "format" if is_known_format(value) => (name, self.copy(value)?),
                "minItems" if matches!(value.as_u64(), Some(0 | 1)) => (name, self.copy(value)?),
                "properties" | "$defs" | "definitions" => (name, self.each_of_map(value)?),
                "items" if value.is_object() => (name, self.schema(value)?),
                "allOf" => {
                    self.take(size(value))?;
                    // Here the API refuses references.
                    if has_references(value) {
                        return None;
                    }
                    (name, self.each_of_list(value)?)
                }
                "anyOf" => (name, self.each_of_list(value)?),
                "oneOf" => ("anyOf", self.each_of_list(value)?),
                // Closed below, or no rule at all.
                "additionalProperties" | "$schema" | "$id" | "$comment" => continue,
                _ => {
                    told.insert(name.to_owned(), self.copy(value)?);
                    continue;
                }
            };
            narrow.insert(name.to_owned(), value);
        }
        let is_object = find(rules, "type").is_some_and(|kind| kind == "object");
        if is_object || find(rules, "properties").is_some() {
            if takes_any_key(rules) {
                return None;
            }
            narrow.insert("additionalProperties".to_owned(), Value::Bool(false));
        }
        if !told.is_empty() {
            tell(&mut narrow, told);
        }
        Some(Value::Object(narrow))
    }

    fn each_of_map(&mut self, schemas: &Value) -> Option<Value> {
        let Value::Object(schemas) = schemas else {
            return self.copy(schemas);
        };
        let mut narrow = Map::with_capacity(schemas.len());
        for (name, schema) in schemas {
            self.take(name.len())?;
            narrow.insert(name.clone(), self.schema(schema)?);
        }
        Some(Value::Object(narrow))
    }

    fn each_of_list(&mut self, schemas: &Value) -> Option<Value> {
        let Value::Array(schemas) = schemas else {
            return self.copy(schemas);
        };
        let schemas = schemas.iter().map(|schema| self.schema(schema));
        schemas.collect::<Option<Vec<_>>>().map(Value::Array)
    }

    fn copy(&mut self, value: &Value) -> Option<Value> {
        self.take(size(value))?;
        Some(value.clone())
    }

    fn take(&mut self, size: usize) -> Option<()> {
        self.room = self.room.checked_sub(size)?;
        Some(())
    }
}

/// How many values there are, and how many bytes of text.
fn size(value: &Value) -> usize {
    1 + match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(size).sum(),
        Value::Object(fields) => {
            let fields = fields.iter();
            fields.map(|(name, value)| name.len() + size(value)).sum()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

fn rules_of(fields: &Map<String, Value>) -> Rules<'_> {
    let fields = fields.iter();
    fields.map(|(name, rule)| (name.as_str(), rule)).collect()
}

fn find<'a>(rules: &Rules<'a>, name: &str) -> Option<&'a Value> {
    let mut rules = rules.iter();
    rules.find(|(it, _)| *it == name).map(|(_, rule)| *rule)
}

/// Each of `types` once; `None` if there are none, or more than JSON has.
fn distinct(types: &[Value]) -> Option<Vec<&Value>> {
    let mut distinct = Vec::new();
    for kind in types {
        if !distinct.contains(&kind) {
            distinct.push(kind);
        }
        if distinct.len() > 7 {
            return None;
        }
    }
    (!distinct.is_empty()).then_some(distinct)
}

/// "All of" one schema is that schema, with what stands beside. `None` if it stays: where both have a rule of the same
/// name, and where a reference is not alone with words about it.
fn without_single_all_of<'a>(rules: &Rules<'a>) -> Option<Rules<'a>> {
    let inner = match find(rules, "allOf")?.as_array()?.as_slice() {
        [] => Rules::new(),
        [Value::Object(only)] => rules_of(only),
        _ => return None,
    };
    let mut outer = rules.clone();
    outer.retain(|(name, _)| *name != "allOf");
    let beside: HashMap<&str, &Value> = outer.iter().copied().collect();
    let agrees = |(name, rule): &(&str, &Value)| match beside.get(name) {
        Some(other) => is_about(name) || (*name == "type" && other == rule),
        None => true,
    };
    let may_stand_beside_reference =
        |(name, _): &(&str, &Value)| is_about(name) || matches!(*name, "$defs" | "definitions");
    let is_reference = inner.iter().any(|(name, _)| *name == "$ref");
    let is_one =
        inner.iter().all(agrees) && (!is_reference || outer.iter().all(may_stand_beside_reference));
    let inner = inner.into_iter();
    let inner = inner.filter(|(name, _)| !beside.contains_key(name));
    let inner: Rules<'_> = inner.collect();
    is_one.then(|| outer.into_iter().chain(inner).collect())
}

/// Whether it is said of a schema as a whole, whatever its types.
fn is_of_all_types(name: &str) -> bool {
    matches!(
        name,
        "title" | "description" | "default" | "examples" | "$defs" | "definitions" | "$schema"
    )
}

/// Whether it is no rule, but tells of the schema.
fn is_about(name: &str) -> bool {
    matches!(
        name,
        "title"
            | "description"
            | "default"
            | "examples"
            | "deprecated"
            | "$schema"
            | "$id"
            | "$comment"
    )
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
fn values_of_type(values: &Value, kind: Option<&Value>) -> Value {
    let (Some(kind), Value::Array(values)) = (kind, values) else {
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
fn takes_any_key(rules: &Rules<'_>) -> bool {
    let properties = find(rules, "properties");
    let names_some = match properties {
        Some(Value::Object(properties)) => !properties.is_empty(),
        _ => false,
    };
    let is_closed = match find(rules, "additionalProperties") {
        None => properties.is_some(),
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

#[cfg(test)]
mod tests;
