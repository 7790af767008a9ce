use proptest::prelude::*;
use serde::de::IgnoredAny;

use super::AttachmentKind::{Document, Image, Sound};
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
    assert_eq!(text.n_attachments(AttachmentKind::Image), 1);
}

/// `content` stands where each dialect has what a message says.
#[track_caller]
fn check(content: &str, expected_text: &[&str], expected: &[(AttachmentKind, &str)]) {
    let body = format!("{{\"messages\":[{content}]}}");
    let text = scan(&body).unwrap().text;

    let strings: Vec<_> = text
        .strings
        .iter()
        .map(|span| &body[span.clone()])
        .collect();
    assert_eq!(strings, expected_text, "{content}");
    let attachments: Vec<_> = text
        .attachments
        .iter()
        .map(|attachment| (attachment.kind(), &body[attachment.value.clone()]))
        .collect();
    assert_eq!(attachments, expected, "{content}");
    for kind in [Image, Sound, Document] {
        let n = expected.iter().filter(|(of, _)| *of == kind).count();
        assert_eq!(text.n_attachments(kind), n, "{kind:?} in {content}");
    }
    assert_eq!(text.n_unsettled(), 0, "{content}");
}

#[test]
fn attachments_of_openai_chat_are_known_by_their_kind() {
    check(
        r#"{"type":"image_url","image_url":{"url":"https://x/cat"}},{"image_url":{"url":"y"},"type":"image_url"}"#,
        &[],
        &[(Image, "https://x/cat"), (Image, "y")],
    );
    check(
        r#"{"type":"input_audio","input_audio":{"data":"UklG","format":"wav"}}"#,
        &[],
        &[(Sound, "UklG")],
    );
    check(
        r#"{"type":"file","file":{"file_data":"JVBE","filename":"a.pdf"}},{"type":"file","file":{"file_id":"file-1"}}"#,
        &[],
        &[(Document, "JVBE"), (Document, "file-1")],
    );
    check(
        r#"{"role":"assistant","content":"see","annotations":[{"type":"url_citation","url_citation":{"url":"u","title":"t"}}],
            "audio":{"id":"audio_1"},"tool_calls":[{"id":"c","type":"function","index":0,"extra_content":{"google":{"thought_signature":"s"}},
            "function":{"name":"f","arguments":"{\"url\":1}"}}]}"#,
        &["see", "f", r#"{\"url\":1}"#],
        &[],
    );
}

#[test]
fn attachments_of_openai_responses_are_known_by_their_kind() {
    check(
        r#"{"type":"message","role":"user","status":"completed","content":[{"type":"input_text","text":"hi"},
            {"type":"input_image","image_url":"https://x/cat","detail":"auto"},{"file_id":"file-1","type":"input_image"},
            {"type":"input_file","file_url":"https://x/a"},{"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,JVBE"}]}"#,
        &["hi"],
        &[
            (Image, "https://x/cat"),
            (Image, "file-1"),
            (Document, "https://x/a"),
            (Document, "data:application/pdf;base64,JVBE"),
        ],
    );
    check(
        r#"{"type":"function_call","call_id":"c","id":"fc_1","name":"f","arguments":"{}","status":"completed"},
            {"type":"function_call_output","call_id":"c","output":"[1]"},{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAA"},
            {"type":"image_generation_call","id":"ig_1","result":"iVBO"},
            {"type":"computer_call_output","call_id":"c","output":{"type":"computer_screenshot","image_url":"data:image/png;base64,iVBO"}}"#,
        &["f", "{}", "[1]"],
        &[(Image, "iVBO"), (Image, "data:image/png;base64,iVBO")],
    );
}

#[test]
fn attachments_of_anthropic_are_known_by_their_kind() {
    check(
        r#"{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBO"}},
            {"type":"image","source":{"type":"url","url":"https://x/cat"}},{"source":{"file_id":"file-1","type":"file"},"type":"image"},
            {"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBE"},"title":"t","citations":{"enabled":true}},
            {"type":"document","source":{"data":"the text","media_type":"text/plain","type":"text"},"cache_control":{"type":"ephemeral","ttl":"5m"}}]}"#,
        &["t", "the text"],
        &[
            (Image, "iVBO"),
            (Image, "https://x/cat"),
            (Image, "file-1"),
            (Document, "JVBE"),
        ],
    );
    check(
        r#"{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"Eo0B"},{"type":"redacted_thinking","data":"Eo1C"},
            {"type":"tool_use","id":"toolu_1","name":"f","input":{"id":7,"type":"image","url":"https://x","role":"r"}}]},
            {"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":[{"type":"text","text":"done"},
            {"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":"/9j/"}}]},
            {"type":"web_search_tool_result","content":[{"type":"web_search_result","url":"u","title":"t","encrypted_content":"x"}]}]}"#,
        &[
            "hm",
            "f",
            r#"{"id":7,"type":"image","url":"https://x","role":"r"}"#,
            "done",
            "t",
        ],
        &[(Image, "/9j/")],
    );
}

#[test]
fn attachments_of_gemini_are_known_by_their_kind() {
    check(
        r#"{"role":"user","parts":[{"text":"hi"},{"inlineData":{"data":"iVBO","mimeType":"image/png"}},
            {"inline_data":{"mime_type":"audio/mp3","data":"SUQz"}},{"fileData":{"fileUri":"gs://x","mimeType":"video/mp4"},"videoMetadata":{"fps":1}},
            {"fileData":{"fileUri":"https://x/files/1"}}]}"#,
        &["hi"],
        &[
            (Image, "iVBO"),
            (Sound, "SUQz"),
            (Document, "gs://x"),
            (Document, "https://x/files/1"),
        ],
    );
    check(
        r#"{"role":"model","parts":[{"functionCall":{"id":"1","name":"f","args":{"data":"x","n":3}},"thoughtSignature":"CqQB"}]},
            {"role":"user","parts":[{"functionResponse":{"name":"f","response":{"url":"u"}}}]}"#,
        &["f", r#"{"data":"x","n":3}"#, "f", r#"{"url":"u"}"#],
        &[],
    );
}

#[test]
fn attachments_of_ollama_are_known_by_their_kind() {
    check(
        r#"{"role":"user","content":"hi","images":["iVBO","/9j/"]},{"role":"assistant","content":"","thinking":"hm",
            "tool_calls":[{"id":"c","function":{"index":0,"name":"f","arguments":{"images":["a"]}}}]},{"role":"tool","tool_name":"f","content":"1"}"#,
        &["hi", "hm", "f", r#"{"images":["a"]}"#, "f", "1"],
        &[(Image, "iVBO"), (Image, "/9j/")],
    );
    let body = r#"{"model":"m","images":["iVBO"]}"#;

    let text = scan_object(body.as_bytes(), |name| name == b"images")
        .unwrap()
        .text;

    assert_eq!((text.n_attachments(Image), text.n_bytes), (1, 0));
}

#[test]
fn the_nearest_word_decides_what_an_attachment_is() {
    // What the data itself says, then what stands beside it, then the names around it.
    check(
        r#"{"type":"image_url","image_url":{"url":"data:application/pdf;base64,JVBE"}}"#,
        &[],
        &[(Document, "data:application/pdf;base64,JVBE")],
    );
    check(
        r#"{"type":"image_url","image_url":{"url":"data:image\/png;base64,iVBO"}},{"file":{"file_data":"data:AUDIO/wav;base64,UklG"}}"#,
        &[],
        &[
            (Image, r"data:image\/png;base64,iVBO"),
            (Sound, "data:AUDIO/wav;base64,UklG"),
        ],
    );
    check(
        r#"{"type":"image_url","image_url":{"url":"data:application/octet-stream;base64,AAAA"}},{"type":"image_url","image_url":{"url":"data:,"}}"#,
        &[],
        &[
            (Image, "data:application/octet-stream;base64,AAAA"),
            (Image, "data:,"),
        ],
    );
    check(
        r#"{"type":"document","source":{"media_type":"image/png","data":"iVBO"}}"#,
        &[],
        &[(Image, "iVBO")],
    );
    check(
        r#"{"type":"tool_result","content":[{"type":"novelty","data":"AAAA"}]}"#,
        &[],
        &[(Document, "AAAA")],
    );
}

#[test]
fn low_detail_is_known_for_the_image_beside_it() {
    let body = r#"{"messages":[{"type":"image_url","image_url":{"url":"a","detail":"low"}},
        {"type":"input_image","detail":"low","image_url":"b"},{"type":"image_url","image_url":{"url":"c","detail":"high"}}]}"#;

    let text = scan(body).unwrap().text;

    let low: Vec<_> = text
        .attachments
        .iter()
        .map(|attachment| attachment.is_low_detail)
        .collect();
    assert_eq!(low, [true, true, false]);
}

#[test]
fn attachments_beyond_the_bound_are_counted_by_their_kind() {
    let image = r#"{"source":{"type":"base64","data":"iVBO"},"type":"image"}"#;
    let sound = r#"{"inlineData":{"data":"SUQz","mimeType":"audio/mp3"}}"#;
    let body = format!(
        "{{\"messages\":[{},{}]}}",
        vec![image; 300].join(","),
        [sound; 3].join(",")
    );

    let text = scan(&body).unwrap().text;

    assert_eq!(text.n_attachments(Image), 300);
    assert_eq!(text.n_attachments(Sound), 3);
    assert_eq!(text.n_attachments(Document), 0);
    assert_eq!(text.attachments.len(), 256);
}

#[test]
fn elements_are_found_where_they_stand() {
    let raw = br#"[ 1 ,{"a":[2]}, "x]" ]"#;

    let elements: Vec<_> = elements(raw).into_iter().map(|span| &raw[span]).collect();

    assert_eq!(elements, [&b"1"[..], br#"{"a":[2]}"#, br#""x]""#]);
    for raw in ["[]", "[ ]", "{}", "", "[", "[,", "null"] {
        assert!(super::elements(raw.as_bytes()).is_empty(), "{raw}");
    }
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
