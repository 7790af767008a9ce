//! The name that somebody who mistyped may have meant.

/// The known name that is few edits away from `unknown`, if there is one.
pub(super) fn nearest<'a>(unknown: &str, known: &[&'a str]) -> Option<&'a str> {
    let edits_max = (unknown.chars().count() / 3).max(1);
    known
        .iter()
        .map(|name| (edits(&unknown.to_lowercase(), name), *name))
        .filter(|(edits, _)| *edits <= edits_max)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, name)| name)
}

/// Levenshtein's distance, one row at a time.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (position, character) in from.chars().enumerate() {
        let mut diagonal = position;
        let mut left = position + 1;
        for (above, target) in row.iter_mut().skip(1).zip(&to) {
            let replaced = diagonal + usize::from(character != *target);
            diagonal = *above;
            left = replaced.min(*above + 1).min(left + 1);
            *above = left;
        }
        if let Some(first) = row.first_mut() {
            *first = position + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(unknown: &str, expected: Option<&str>) {
        assert_eq!(nearest(unknown, &["listen", "limits", "state"]), expected);
    }

    #[test]
    fn a_mistyped_name_finds_the_one_that_was_meant() {
        check("listn", Some("listen"));
        check("Listen", Some("listen"));
        check("limit", Some("limits"));
        check("sttae", None);
        check("stat", Some("state"));
        check("teams", None);
        check("", None);
    }
}
