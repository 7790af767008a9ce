//! Arguments of tool calls: a JSON text in the canonical form, an object here.

use serde_json::value::RawValue;

/// `arguments` as an object on one line; `None` if they are none. No arguments at all are the empty object.
pub(super) fn object(arguments: &str) -> Option<Box<RawValue>> {
    let object = match arguments.trim_ascii() {
        "" => "{}".to_owned(),
        object if object.starts_with('{') => on_one_line(object),
        _ => return None,
    };
    RawValue::from_string(object).ok()
}

/// JSON without white space between its tokens, so that it cannot end a line of a stream; numbers keep every digit.
pub(super) fn on_one_line(json: &str) -> String {
    let mut is_in_string = false;
    let mut is_escaped = false;
    let is_kept = |letter: &char| {
        if is_in_string {
            is_in_string = is_escaped || *letter != '"';
            is_escaped = !is_escaped && *letter == '\\';
            return true;
        }
        is_in_string = *letter == '"';
        !letter.is_ascii_whitespace()
    };
    json.chars().filter(is_kept).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[track_caller]
    fn check(arguments: &str, expected: Option<&str>) {
        let object = object(arguments);
        assert_eq!(
            object.as_ref().map(|object| object.get()),
            expected,
            "{arguments}"
        );
    }

    #[test]
    fn an_object_keeps_its_text_but_not_its_lines() {
        check(
            "{\n  \"a\": \"x \\\" y\",\r\n \"b\\\\\" : [1, 2.50]\n}",
            Some(r#"{"a":"x \" y","b\\":[1,2.50]}"#),
        );
        check(
            r#" {"n":12345678901234567890123} "#,
            Some(r#"{"n":12345678901234567890123}"#),
        );
        check("", Some("{}"));
        check(" \n", Some("{}"));
    }

    #[test]
    fn what_is_no_object_is_none() {
        for arguments in ["[1]", "\"a\"", "null", "{\"a\":", "{} {}", "{a: 1}"] {
            check(arguments, None);
        }
    }

    proptest! {
        #[test]
        fn the_meaning_stays(texts in prop::collection::vec("[ \"\\\\\n{}a]{0,6}", 0..4)) {
            let value = serde_json::json!({"texts": texts, "n": 1});
            let pretty = serde_json::to_string_pretty(&value).unwrap();

            let line = on_one_line(&pretty);

            prop_assert_eq!(&line, &value.to_string());
            prop_assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), value);
        }
    }
}
