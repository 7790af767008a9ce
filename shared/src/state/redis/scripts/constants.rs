//! Constants of the scripts, put in where they are used.
//!
//! Lua pays for every local that a function captures, in each call: with some fifty of them that was a third of a
//! tick. A declaration whose names are all in capitals and whose values are all numbers or `KEYS[n]` is therefore taken
//! out, and its names are replaced by their values.

use std::collections::HashMap;

/// `source` without its constant declarations, and with their values in place. Comments go too.
pub(super) fn inline_constants(source: &str) -> String {
    let mut values = HashMap::new();
    let mut kept = String::with_capacity(source.len());
    for line in source.lines() {
        match declaration(line) {
            Some(constants) => values.extend(constants),
            None => {
                substitute(line, &values, &mut kept);
                kept.push('\n');
            }
        }
    }
    kept
}

/// The names and values of a line like `local LIMIT, TOTAL = 1, 2`.
fn declaration(line: &str) -> Option<Vec<(&str, &str)>> {
    let (names, values) = line.strip_prefix("local ")?.split_once(" = ")?;
    let names: Vec<&str> = names.split(", ").collect();
    let values: Vec<&str> = values.split(", ").collect();
    let is_name = |name: &&str| {
        name.bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte == b'_')
    };
    let is_value = |value: &&str| {
        let number = value
            .strip_prefix("KEYS[")
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(value);
        !number.is_empty()
            && number
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.')
    };
    let is_constant =
        names.len() == values.len() && names.iter().all(is_name) && values.iter().all(is_value);
    is_constant.then(|| names.into_iter().zip(values).collect())
}

/// Copies `line` up to its comment; replaces identifiers outside of strings.
fn substitute(line: &str, values: &HashMap<&str, &str>, kept: &mut String) {
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        if rest.starts_with("--") {
            return;
        }
        let len = match first {
            '\'' => rest[1..].find('\'').map_or(rest.len(), |end| end + 2),
            'a'..='z' | 'A'..='Z' | '_' => rest
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(rest.len()),
            first => first.len_utf8(),
        };
        let (word, after) = rest.split_at(len);
        kept.push_str(values.get(word).copied().unwrap_or(word));
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, expected: &str) {
        assert_eq!(inline_constants(source), expected);
    }

    #[test]
    fn a_constant_stands_where_it_was_used() {
        check(
            "local META, LIMIT = KEYS[1], 20\nf(META, row[at + LIMIT])",
            "f(KEYS[1], row[at + 20])\n",
        );
    }

    #[test]
    fn strings_longer_names_and_tables_are_left_alone() {
        check(
            "local LIMIT = 2\nlocal RING = { 1, 2 }\nf('LIMIT', LIMITED, RING)",
            "local RING = { 1, 2 }\nf('LIMIT', LIMITED, RING)\n",
        );
    }

    #[test]
    fn comments_go() {
        check("local LIMIT = 2\ng(LIMIT) -- LIMIT", "g(2) \n");
    }
}
