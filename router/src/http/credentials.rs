//! Headers and query → credentials, without judging them.

use std::borrow::Cow;

use http::header::AUTHORIZATION;
use http::{HeaderMap, Uri};

use crate::http::addressee::query_value;
use crate::pipeline::authenticate::Credentials;

/// Where the dialects' SDKs carry a credential, beside `Authorization: Bearer`: Azure, Anthropic, Google.
const CARRIERS: [&str; 3] = ["api-key", "x-api-key", "x-goog-api-key"];

/// What a request brought.
#[derive(Debug)]
pub(crate) struct Brought<'a>(Option<Cow<'a, [u8]>>);

impl Brought<'_> {
    pub(crate) fn credentials(&self) -> Credentials<'_> {
        match &self.0 {
            Some(token) => Credentials::Token(token),
            None => Credentials::None,
        }
    }
}

/// Reads the credential, wherever an SDK puts it; Google's may be in the query as `key`.
///
/// Two that differ are none: whoever asks has to say who it is.
pub(crate) fn credentials<'a>(headers: &'a HeaderMap, uri: &Uri) -> Brought<'a> {
    let mut tokens = Vec::new();
    for value in headers.get_all(AUTHORIZATION) {
        match bearer_token(value.as_bytes()) {
            Some(token) => tokens.push(Cow::Borrowed(token)),
            None => return Brought(None),
        }
    }
    if tokens.len() > 1 {
        return Brought(None);
    }
    let others = CARRIERS
        .iter()
        .flat_map(|carrier| headers.get_all(*carrier));
    tokens.extend(others.map(|value| Cow::Borrowed(value.as_bytes().trim_ascii())));
    tokens.extend(query_value(uri, "key").map(|key| Cow::Owned(key.into_bytes())));

    let first = tokens.first().cloned();
    let is_one = tokens.iter().all(|token| Some(token) == first.as_ref());
    Brought(first.filter(|_| is_one))
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

        let brought = credentials(&headers, &"/v1/models".parse().unwrap());

        assert_eq!(brought.credentials(), expected);
    }

    #[test]
    fn each_dialects_carrier_is_known() {
        check(&[("x-api-key", "sk-1")], Some("sk-1"));
        check(&[("api-key", "sk-1")], Some("sk-1"));
        check(&[("x-goog-api-key", "sk-1")], Some("sk-1"));

        let headers = HeaderMap::new();
        let brought = credentials(
            &headers,
            &"/v1beta/models?alt=sse&key=sk%2D1".parse().unwrap(),
        );
        assert_eq!(brought.credentials(), Credentials::Token(b"sk-1"));
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
