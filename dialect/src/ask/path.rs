//! Fields by their dotted paths.

use std::iter;
use std::ops::Range;

use super::grammar::Grammar;
use crate::scan::{self, Object};

pub(super) fn split_path(path: &str) -> (&str, Option<&str>) {
    match path.split_once('.') {
        Some((name, rest)) => (name, Some(rest)),
        None => (path, None),
    }
}

/// Where in the body all values at `path` stand; `[]` after a name stands for every element of an array.
///
/// `raw`, which begins at `start` of the body, is what `object` was scanned from.
pub(super) fn values(
    grammar: &Grammar,
    object: &Object,
    raw: &[u8],
    start: usize,
    path: &str,
) -> Vec<Range<usize>> {
    let (name, rest) = split_path(path);
    let (name, is_list) = match name.strip_suffix("[]") {
        Some(name) => (name, true),
        None => (name, false),
    };
    let mut found = Vec::new();
    for member in &object.members {
        if !grammar.calls(name, member.name(raw)) {
            continue;
        }
        let value = raw.get(member.value.clone()).unwrap_or_default();
        let places = match is_list {
            true => scan::elements(value),
            false => iter::once(0..value.len()).collect(),
        };
        for place in places {
            let inner = value.get(place.clone()).unwrap_or_default();
            let start = start + member.value.start + place.start;
            let Some(rest) = rest else {
                found.push(start..start + inner.len());
                continue;
            };
            if let Ok(object) = scan::scan_object(inner, |_| false) {
                found.extend(values(grammar, &object, inner, start, rest));
            }
        }
    }
    found
}
