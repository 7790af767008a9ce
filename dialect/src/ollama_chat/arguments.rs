//! A tool call's arguments, which are an object here and text elsewhere.

use serde_json::value::RawValue;

/// The object that `arguments` is the text of; `None` if it is none.
///
/// No text at all is how some providers call a tool without parameters.
pub(super) fn object_of(arguments: &str) -> Option<&RawValue> {
    let text = match arguments.trim_ascii() {
        "" => "{}",
        text => text,
    };
    let raw: &RawValue = serde_json::from_str(text).ok()?;
    raw.get().starts_with('{').then_some(raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(arguments: &str, expected: Option<&str>) {
        assert_eq!(object_of(arguments).map(RawValue::get), expected);
    }

    #[test]
    fn only_objects_are_arguments() {
        check(r#" {"city":"Rome"} "#, Some(r#"{"city":"Rome"}"#));
        check("", Some("{}"));
        check(r#"{"city":"Ro"#, None);
        check("[1]", None);
        check("null", None);
        check(r#""{}""#, None);
    }
}
