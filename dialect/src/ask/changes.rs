//! Fields that are set in a body whose other bytes stay as they are.

use serde_json::{Map, Value, json};

use super::grammar::Grammar;
use super::path::split_path;
use crate::scan::{self, Object};
use crate::splice::Splice;

/// What is set in an object, by the names of its fields.
#[derive(Debug, Default)]
pub(super) struct Changes(Vec<(String, Change)>);

#[derive(Debug)]
enum Change {
    To(Value),
    /// A text, or a list of blocks of text, goes on with this.
    Saying(String),
    /// The object's other fields stay.
    Within(Changes),
}

impl Changes {
    /// Sets `path` (dotted). What was set there before is forgotten.
    pub(super) fn set(&mut self, path: &str, value: Value) {
        let (name, rest) = split_path(path);
        let place = self.0.iter_mut().find(|(of, _)| of == name);
        match (place, rest) {
            (Some((_, place)), None) => *place = Change::To(value),
            (Some((_, Change::Within(changes))), Some(rest)) => changes.set(rest, value),
            (Some((_, Change::Saying(_))), Some(_)) => {}
            (Some((_, Change::To(whole))), Some(rest)) => set_in_value(whole, rest, value),
            (None, None) => self.0.push((name.to_owned(), Change::To(value))),
            (None, Some(rest)) => {
                let mut changes = Self::default();
                changes.set(rest, value);
                self.0.push((name.to_owned(), Change::Within(changes)));
            }
        }
    }

    /// Adds `text` to what the field `name` says, unless that is set as a whole.
    pub(super) fn say(&mut self, name: &str, text: &str) {
        if !self.0.iter().any(|(of, _)| of == name) {
            let change = Change::Saying(text.to_owned());
            self.0.push((name.to_owned(), change));
        }
    }

    /// Makes the changes in `object`, which stands in `raw`; `raw` begins at `start` of the body.
    ///
    /// A field that comes twice, as only one that routing does not read may, is set twice. An object that is missing on
    /// the way is made, and put in the place of what is no object.
    pub(super) fn apply(
        &self,
        grammar: &Grammar,
        object: &Object,
        raw: &[u8],
        start: usize,
        splice: &mut Splice,
    ) {
        let mut added = Vec::new();
        for (name, change) in &self.0 {
            let mut is_there = false;
            for member in &object.members {
                if !grammar.calls(name, member.name(raw)) {
                    continue;
                }
                is_there = true;
                let start = start + member.value.start;
                let inner = raw.get(member.value.clone()).unwrap_or_default();
                if let Change::Saying(text) = change
                    && let Some(added) = saying(inner, text)
                {
                    splice.insert(start + inner.len() - 1, added);
                    continue;
                }
                match (change, scan::scan_object(inner, |_| false)) {
                    (Change::Within(changes), Ok(object)) => {
                        changes.apply(grammar, &object, inner, start, splice);
                    }
                    _ => splice.replace(start..start + inner.len(), change.to_value().to_string()),
                }
            }
            if !is_there {
                let name = Value::from(name.as_str());
                added.push(format!("{name}:{}", change.to_value()));
            }
        }
        if !added.is_empty() {
            let comma = if object.members.is_empty() { "" } else { "," };
            splice.insert(start + object.inside, added.join(",") + comma);
        }
    }
}

impl Change {
    /// The field's value where there was none.
    fn to_value(&self) -> Value {
        match self {
            Self::To(value) => value.clone(),
            Self::Saying(text) => Value::from(text.as_str()),
            Self::Within(Changes(changes)) => {
                let fields = changes.iter();
                let fields = fields.map(|(name, change)| (name.clone(), change.to_value()));
                Value::Object(fields.collect())
            }
        }
    }
}

/// What to write before the last byte of `said` so that it says `text` too; `None` if it is neither a text nor a list.
fn saying(said: &[u8], text: &str) -> Option<String> {
    match said {
        [b'"', before @ .., b'"'] => {
            let gap = if before.is_empty() { "" } else { "\n\n" };
            let quoted = Value::from(format!("{gap}{text}")).to_string();
            let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
            Some(inner.to_owned())
        }
        [b'[', before @ .., b']'] => {
            let is_first = before.trim_ascii().is_empty();
            let comma = if is_first { "" } else { "," };
            let block = json!({"type": "text", "text": text});
            Some(format!("{comma}{block}"))
        }
        _ => None,
    }
}

fn set_in_value(whole: &mut Value, path: &str, value: Value) {
    let (name, rest) = split_path(path);
    let mut fields = match whole.take() {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    let place = fields.entry(name).or_insert(Value::Null);
    match rest {
        Some(rest) => set_in_value(place, rest, value),
        None => *place = value,
    }
    *whole = Value::Object(fields);
}
