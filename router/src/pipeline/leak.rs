//! Whether an upstream's words repeat a secret that it was sent. Clients must not see those.

use memchr::memmem;
use serde_json::Value;

use crate::fleet::FleetCandidate;

/// Shorter values of headers stand in texts by chance: a version, a region.
const HEADER_LEN_MIN: usize = 8;

/// Whether `body` repeats the key of `candidate`, or a header of its provider.
pub(super) fn has_secret_of(body: &[u8], candidate: &FleetCandidate) -> bool {
    let headers = candidate.provider.headers.iter();
    let values = headers
        .map(|(_, value)| without_scheme(value.expose()))
        .filter(|value| value.len() >= HEADER_LEN_MIN);
    // Of a key of AWS the first part is a name, which it also has in errors; the others are secrets each.
    let secret = candidate.secret.expose().as_str();
    let parts = secret
        .split(':')
        .skip(1)
        .filter(|part| part.len() >= HEADER_LEN_MIN && part.len() < secret.len());
    let secrets: Vec<&str> = std::iter::once(secret)
        .chain(parts)
        .chain(values)
        .filter(|secret| !secret.is_empty())
        .collect();
    repeats(body, &secrets)
}

/// A rejected `Bearer sk-…` is mostly repeated without its first word.
fn without_scheme(value: &str) -> &str {
    value.strip_prefix("Bearer ").unwrap_or(value)
}

/// As the body is written, and as a JSON reader would see it: `sk\/1` is `sk/1` to it.
fn repeats(body: &[u8], secrets: &[&str]) -> bool {
    let has = |text: &[u8], secret: &&str| memmem::find(text, secret.as_bytes()).is_some();
    secrets.iter().any(|secret| has(body, secret))
        || serde_json::from_slice::<Value>(body).is_ok_and(|body| {
            any_text(&body, &|text| {
                secrets.iter().any(|secret| has(text.as_bytes(), secret))
            })
        })
}

/// Whether a text or a field's name somewhere in `value` is such a one.
fn any_text(value: &Value, is_such: &impl Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => is_such(text),
        Value::Array(items) => items.iter().any(|item| any_text(item, is_such)),
        Value::Object(fields) => fields
            .iter()
            .any(|(name, value)| is_such(name) || any_text(value, is_such)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use shared::secret::Secret;

    use crate::fleet::tests::{config, fleet};

    use super::*;

    #[track_caller]
    fn check(header: &str, body: &str, expected: bool) {
        let mut config = config();
        let secret = |value: &str| Secret::new(value.to_owned());
        config.providers[0].headers = vec![("x-token".to_owned(), secret(header))];
        config.providers[0].keys[0].secret = secret("sk-a/b\"c");
        let fleet = fleet(&config);
        let candidate = &fleet.model("gpt").unwrap().candidates[0];
        assert_eq!(
            has_secret_of(body.as_bytes(), candidate),
            expected,
            "{body}"
        );
    }

    #[test]
    fn the_key_is_found_however_it_is_escaped() {
        check("x", r#"{"error":{"message":"bad key sk-a/b\"c"}}"#, true);
        check("x", r#"{"error":{"message":"bad key sk-a\/b\"c"}}"#, true);
        check("x", r#"{"error":{"message":"\u0073k-a/b\"c"}}"#, true);
        check("x", r#"{"error":{"keys":[{"sk-a/b\"c":1}]}}"#, true);
        check("x", r#"bad key sk-a/b"c"#, true);
        check("x", r#"{"error":{"message":"bad key sk-***"}}"#, false);
    }

    #[test]
    fn a_providers_header_is_a_secret_unless_it_is_short() {
        check("tenant-7", r#"{"error":{"message":"no tenant-7"}}"#, true);
        check("team-ab", r#"{"error":{"message":"no team-ab"}}"#, false);
        check("", r#"{"error":{"message":"no"}}"#, false);
        check(
            "Bearer sk-gateway",
            r#"{"error":{"message":"unknown token sk-gateway"}}"#,
            true,
        );
    }
}
