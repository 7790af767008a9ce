//! Values of a client's request, and where they stand in it.
//!
//! Names are accepted as `camelCase` and as `snake_case`, and told to the client as it wrote them.

use std::borrow::Cow;

use serde_json::Value;

use crate::BadRequest;
pub(super) use crate::place::{Others, Place};

/// The object in a request's body.
pub(super) fn body(body: &[u8]) -> Result<Value, BadRequest> {
    serde_json::from_slice(body)
        .map_err(|error| BadRequest::new(format!("The request body is not valid JSON: {error}.")))
}

/// The fields of an object that are not null, which would be the same as none.
pub(super) fn fields(
    value: Value,
    at: Place<'_>,
) -> Result<impl Iterator<Item = (String, Value)>, BadRequest> {
    let fields = at.object(value)?.into_iter();
    Ok(fields.filter(|(_, value)| !value.is_null()))
}

/// `max_output_tokens` → `maxOutputTokens`.
pub(super) fn camel(name: &str) -> Cow<'_, str> {
    if !name.contains('_') {
        return Cow::Borrowed(name);
    }
    let mut camel = String::with_capacity(name.len());
    let mut is_start = false;
    for letter in name.chars() {
        match letter {
            '_' => is_start = true,
            letter if is_start => {
                camel.push(letter.to_ascii_uppercase());
                is_start = false;
            }
            letter => camel.push(letter),
        }
    }
    Cow::Owned(camel)
}

/// An array; Google takes a single object for an array of it, and its documentation makes use of that.
pub(super) fn list(value: Value, at: Place<'_>) -> Result<Vec<Value>, BadRequest> {
    match value {
        Value::Array(items) => Ok(items),
        Value::Object(_) => Ok(vec![value]),
        _ => Err(at.invalid("an array")),
    }
}

pub(super) fn texts(value: Value, at: Place<'_>) -> Result<Vec<String>, BadRequest> {
    let Value::Array(items) = value else {
        return Err(at.invalid("an array of strings"));
    };
    let texts = (0..).zip(items);
    texts
        .map(|(index, item)| at.item(index).text(item))
        .collect()
}

pub(super) fn count(value: &Value, at: Place<'_>) -> Result<u32, BadRequest> {
    let count = u32::try_from(at.rounded(value)?);
    count.map_err(|_| at.invalid("a positive integer"))
}

/// Base64 in its usual alphabet and with its padding, which others insist on; Google's SDK writes the alphabet for URLs.
pub(super) fn standard_base64(base64: String) -> String {
    let is_standard = base64.len().is_multiple_of(4) && !base64.contains(['-', '_']);
    if is_standard {
        return base64;
    }
    let mut standard = base64.replace('-', "+").replace('_', "/");
    while !standard.len().is_multiple_of(4) {
        standard.push('=');
    }
    standard
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_snake_case_are_the_same() {
        assert_eq!(camel("max_output_tokens"), "maxOutputTokens");
        assert_eq!(camel("top_p"), "topP");
        assert_eq!(camel("contents"), "contents");
        assert_eq!(camel("_"), "");
    }

    #[test]
    fn base64_for_urls_becomes_the_usual_one() {
        assert_eq!(standard_base64("-_8".to_owned()), "+/8=");
        assert_eq!(standard_base64("+/8=".to_owned()), "+/8=");
        assert_eq!(standard_base64("AAAA".to_owned()), "AAAA");
    }
}
