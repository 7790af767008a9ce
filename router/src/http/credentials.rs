//! Headers → credentials, without judging them.

use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::pipeline::authenticate::Credentials;

/// Where other dialects carry a credential: a second one that differs makes the request ambiguous.
const OTHER_CARRIERS: [&str; 2] = ["api-key", "x-api-key"];

/// Reads `Authorization: Bearer`.
pub(crate) fn credentials(headers: &HeaderMap) -> Credentials<'_> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Credentials::None;
    };
    let Some(token) = bearer_token(value.as_bytes()) else {
        return Credentials::None;
    };
    let is_ambiguous = OTHER_CARRIERS
        .iter()
        .flat_map(|carrier| headers.get_all(*carrier))
        .any(|other| other.as_bytes() != token);
    if is_ambiguous {
        return Credentials::None;
    }
    Credentials::Token(token)
}

fn bearer_token(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    scheme
        .eq_ignore_ascii_case(b"Bearer ")
        .then_some(token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(given: &[(&'static str, &'static str)], expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(*name, http::HeaderValue::from_static(value));
        }

        let expected = expected.map_or(Credentials::None, |token| {
            Credentials::Token(token.as_bytes())
        });

        assert_eq!(credentials(&headers), expected);
    }

    #[test]
    fn one_bearer_token_is_a_credential() {
        check(&[("authorization", "Bearer sk-1")], Some("sk-1"));
        check(&[("authorization", "bearer  sk-1 ")], Some("sk-1"));
    }

    #[test]
    fn anything_else_is_none() {
        check(&[], None);
        check(&[("authorization", "Basic c2stMTo=")], None);
        check(&[("authorization", "sk-1")], None);
        check(&[("x-api-key", "sk-1")], None);
    }

    #[test]
    fn two_credentials_that_differ_are_none() {
        check(
            &[
                ("authorization", "Bearer sk-1"),
                ("authorization", "Bearer sk-1"),
            ],
            None,
        );
        check(
            &[("authorization", "Bearer sk-1"), ("x-api-key", "sk-2")],
            None,
        );
        check(
            &[("authorization", "Bearer sk-1"), ("api-key", "sk-2")],
            None,
        );
        check(
            &[("authorization", "Bearer sk-1"), ("api-key", "sk-1")],
            Some("sk-1"),
        );
    }
}
