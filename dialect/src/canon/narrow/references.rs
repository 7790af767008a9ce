//! Where the references of a schema lead.

use std::collections::HashMap;

use serde_json::Value;

/// Whether every reference is to a definition of this schema, and none leads back to where it stands.
pub(super) fn references_end(schema: &Value) -> bool {
    let mut definitions = Vec::new();
    let mut places = HashMap::new();
    for name in ["$defs", "definitions"] {
        let named = schema.get(name).and_then(Value::as_object);
        for (key, definition) in named.into_iter().flatten() {
            places.insert(format!("#/{name}/{key}"), definitions.len());
            definitions.push(definition);
        }
    }
    let mut references = Vec::new();
    find_references(schema, &mut references);
    if !references.iter().all(|it| places.contains_key(*it)) {
        return false;
    }
    // How many references of each definition are not known to end, and whose they are.
    let mut n_open = vec![0_usize; definitions.len()];
    let mut users = vec![Vec::new(); definitions.len()];
    for (user, (definition, n_open)) in definitions.iter().zip(&mut n_open).enumerate() {
        references.clear();
        find_references(definition, &mut references);
        *n_open = references.len();
        for reference in &references {
            let place = places.get(*reference);
            if let Some(users) = place.and_then(|place| users.get_mut(*place)) {
                users.push(user);
            }
        }
    }
    let is_closed = |(place, n_open): (usize, &usize)| (*n_open == 0).then_some(place);
    let mut ended: Vec<usize> = n_open.iter().enumerate().filter_map(is_closed).collect();
    let mut n_ended = 0;
    while let Some(place) = ended.pop() {
        n_ended += 1;
        for &user in users.get(place).into_iter().flatten() {
            if let Some(n_open) = n_open.get_mut(user) {
                *n_open -= 1;
                if *n_open == 0 {
                    ended.push(user);
                }
            }
        }
    }
    n_ended == definitions.len()
}

pub(super) fn has_references(schemas: &Value) -> bool {
    let mut references = Vec::new();
    find_references(schemas, &mut references);
    !references.is_empty()
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
