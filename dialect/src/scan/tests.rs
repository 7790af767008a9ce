use proptest::prelude::*;
use serde::de::IgnoredAny;

use super::*;

fn scan(body: &str) -> Result<Object, ScanError> {
    scan_object(body.as_bytes(), |name| name == b"messages")
}

/// Almost JSON: fragments of it, in any order.
fn almost_json() -> impl Strategy<Value = String> {
    let fragment = prop::sample::select(vec![
        "{", "}", "[", "]", ",", ":", "\"", "\"a\"", "\"a\":", "\\", "\\u00e9", "\\ud800", "\\n",
        "\n", "\t", " ", "0", "-", "1", ".", "e", "E+", "true", "false", "null", "nul", "é",
        "\u{7}", "\"\\x\"", "[]", "{}",
    ]);
    prop::collection::vec(fragment, 0..12)
        .prop_map(|fragments| format!("{{\"a\":{}}}", fragments.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn it_takes_what_serde_json_takes(body in almost_json()) {
        let serde = serde_json::from_str::<IgnoredAny>(&body);

        prop_assert_eq!(scan(&body).is_ok(), serde.is_ok(), "{}", body);
    }
}

#[test]
fn nesting_stops_where_serde_json_stops() {
    for depth in [125, 126, 127, 128, 100_000] {
        let body = format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));

        let serde = serde_json::from_str::<serde_json::Value>(&body);

        assert_eq!(scan(&body).is_ok(), serde.is_ok(), "{depth}");
    }
}

#[test]
fn text_is_what_a_model_reads() {
    let body = r#"{"user":"no","messages":[{"role":"user","content":[{"type":"text","text":"yes"},
        {"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA","detail":"low"}}]},
        {"role":"assistant","tool_calls":[{"id":"x","function":{"name":"f","arguments":"{}"}}]}]}"#;

    let text = scan(body).unwrap().text;

    let strings: Vec<_> = text
        .strings
        .iter()
        .map(|span| &body[span.clone()])
        .collect();
    assert_eq!(strings, ["yes", "f", "{}"]);
    assert_eq!(text.n_attachments, 1);
}

#[test]
fn a_member_is_known_by_its_name_without_escapes() {
    let body = r#"{ "\u006dodel" : "x" }"#;

    let object = scan(body).unwrap();

    let [member] = object.members.as_slice() else {
        panic!("one member")
    };
    assert_eq!(member.name(body.as_bytes()), b"model");
    assert_eq!(&body[member.value.clone()], "\"x\"");
}

#[test]
fn an_error_says_what_was_expected_and_where() {
    let error = scan(r#"{"a":1 "b":2}"#).unwrap_err();

    assert_eq!(error.to_string(), "expected `,` or `}` at byte 7");
}
