//! The part of JSON schema that `parameters` and `responseSchema` take.

use crate::fields::{Fields, Item, Reading};

const TYPES: [&str; 7] = [
    "string", "number", "integer", "boolean", "array", "object", "null",
];

/// Refuses what is no `Schema` of Google's, at any depth.
pub(super) fn check(schema: &Item<'_>) -> Reading<()> {
    schema.object(|fields| {
        if let Some(kind) = fields.item("type") {
            let name = kind.text()?.to_ascii_lowercase();
            if !TYPES.contains(&name.as_str()) {
                return Err(
                    kind.wrong("one of the types in google.ai.generativelanguage.v1beta.Type")
                );
            }
        }
        check_properties(fields)?;
        if let Some(items) = fields.item("items") {
            check(&items)?;
        }
        for schema in fields.list("anyOf")?.unwrap_or_default() {
            check(&schema)?;
        }
        fields.texts("enum")?;
        fields.texts("required")?;
        fields.texts("propertyOrdering")?;
        fields.flag("nullable")?;
        for name in ["format", "title", "description", "pattern"] {
            fields.text(name)?;
        }
        fields.skip(&[
            "minimum",
            "maximum",
            "minItems",
            "maxItems",
            "minLength",
            "maxLength",
            "minProperties",
            "maxProperties",
            "example",
            "default",
        ]);
        Ok(())
    })
}

fn check_properties(fields: &mut Fields<'_>) -> Reading<()> {
    let Some(properties) = fields.item("properties") else {
        return Ok(());
    };
    properties.entries()?.iter().try_for_each(check)
}
