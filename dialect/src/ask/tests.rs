use proptest::prelude::*;
use serde_json::json;
use shared::config::Manners;

use super::*;

fn parse(body: &str) -> Result<Ask, BadRequest> {
    Ask::parse(
        Endpoint::ChatCompletions,
        PathFacts::default(),
        Bytes::copy_from_slice(body.as_bytes()),
    )
}

fn overrides(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(overrides) => overrides,
        _ => panic!("an object"),
    }
}

#[track_caller]
fn refused(body: &str) -> BadRequest {
    parse(body).expect_err("refused")
}

#[test]
fn a_model_is_found_whatever_surrounds_it() {
    let ask = parse(
        " {\n\t\"messages\" : [{\"model\":\"inner\"}] , \"mod\\u0065l\"\r\n: \"gpt\\u002d4o\" } \n",
    )
    .unwrap();

    assert_eq!(ask.model(), "gpt-4o");
}

#[test]
fn a_field_that_routing_reads_may_come_only_once() {
    for (field, body) in [
        ("model", r#"{"model":"cheap","model":"dear"}"#),
        ("model", r#"{"model":"cheap","\u006dodel":"dear"}"#),
        ("stream", r#"{"model":"m","stream":false,"stream":true}"#),
        ("n", r#"{"model":"m","n":1,"n":100}"#),
        (
            "stream_options.include_usage",
            r#"{"model":"m","stream_options":{"include_usage":false,"include_usage":true}}"#,
        ),
    ] {
        let refusal = refused(body);

        assert_eq!(refusal.param.as_deref(), Some(field));
        assert_eq!(refusal.code, Some("duplicate_parameter"));
    }
}

#[test]
fn a_field_that_routing_does_not_read_may_come_twice() {
    parse(r#"{"model":"m","seed":1,"seed":2}"#).unwrap();
}

#[test]
fn what_is_not_a_json_object_is_refused_with_the_reason() {
    for (body, reason) in [
        ("", "must be a JSON object"),
        ("[]", "must be a JSON object"),
        ("model=m", "must be a JSON object"),
        ("\u{feff}{\"model\":\"m\"}", "byte order mark"),
        (
            r#"{"model":"m","temperature":NaN}"#,
            "expected a value at byte 27",
        ),
        (r#"{"model":"m"}{}"#, "expected the end at byte 13"),
    ] {
        let refusal = refused(body);

        assert!(
            refusal.message.contains(reason),
            "{body}: {}",
            refusal.message
        );
    }
}

#[test]
fn an_odd_model_is_refused_by_name() {
    for body in [
        "{}",
        r#"{"model":null}"#,
        r#"{"model":7}"#,
        r#"{"model":""}"#,
        r#"{"model":"\ud800"}"#,
    ] {
        assert_eq!(refused(body).param.as_deref(), Some("model"), "{body}");
    }
}

#[test]
fn other_faults_wait_until_the_model_is_known() {
    let ask = parse(r#"{"model":"m","stream":"yes"}"#).unwrap();

    let refusal = ask.check().unwrap_err();

    assert_eq!(refusal.message, "Missing required parameter: 'messages'.");
}

#[track_caller]
fn check(endpoint: Endpoint, fields: &str, expected: Option<&str>) {
    let body = format!("{{\"model\":\"m\",{fields}}}");
    let ask = Ask::parse(endpoint, PathFacts::default(), Bytes::from(body)).unwrap();
    let param = ask.check().err().and_then(|refusal| refusal.param);
    assert_eq!(param.as_deref(), expected, "{fields}");
}

#[test]
fn a_field_of_the_wrong_type_is_named() {
    use Endpoint::{ChatCompletions, Completions, Embeddings};

    check(ChatCompletions, r#""messages":"hi""#, Some("messages"));
    check(
        ChatCompletions,
        r#""messages":[],"stream":"true""#,
        Some("stream"),
    );
    check(
        ChatCompletions,
        r#""messages":[],"stream_options":true"#,
        Some("stream_options"),
    );
    check(
        ChatCompletions,
        r#""messages":[],"stream_options":{"include_usage":1}"#,
        Some("stream_options.include_usage"),
    );
    check(
        ChatCompletions,
        r#""messages":[],"max_tokens":1.5"#,
        Some("max_tokens"),
    );
    check(
        ChatCompletions,
        r#""messages":[],"max_completion_tokens":"9""#,
        Some("max_completion_tokens"),
    );
    check(ChatCompletions, r#""messages":[],"n":0"#, Some("n"));
    check(Completions, r#""prompt":{}"#, Some("prompt"));
    check(Embeddings, r#""input":null"#, Some("input"));
    check(
        ChatCompletions,
        r#""messages":[],"stream":null,"n":null,"max_tokens":-1,"stream_options":{"include_usage":null}"#,
        None,
    );
    check(Completions, r#""prompt":"hi","stream":true"#, None);
    check(Embeddings, r#""input":[1,2]"#, None);
}

#[track_caller]
fn check_estimate(endpoint: Endpoint, fields: &str, forced: Value, expected: u32) {
    let body = format!("{{\"model\":\"m\",{fields}}}");
    let ask = Ask::parse(endpoint, PathFacts::default(), Bytes::from(body)).unwrap();
    let estimate = ask.estimate(&TokenCounter::new(), &overrides(forced));
    assert_eq!(estimate, expected, "{fields}");
}

#[test]
fn an_estimate_is_the_prompt_and_each_choice_at_its_longest() {
    use Endpoint::{ChatCompletions, Completions, Embeddings};
    // Eight bytes are two tokens, one message four, the chat three.
    let messages = r#""messages":[{"role":"user","content":"12345678"}]"#;

    check_estimate(ChatCompletions, messages, json!({}), 9 + 1024);
    check_estimate(
        ChatCompletions,
        &format!("{messages},\"max_tokens\":50,\"n\":3"),
        json!({}),
        9 + 150,
    );
    check_estimate(
        ChatCompletions,
        &format!("{messages},\"max_tokens\":50,\"max_completion_tokens\":7"),
        json!({}),
        9 + 7,
    );
    check_estimate(
        ChatCompletions,
        &format!("{messages},\"max_tokens\":50"),
        json!({"max_tokens": 5}),
        9 + 5,
    );
    check_estimate(
        Completions,
        r#""prompt":["1234","1234"],"max_tokens":10"#,
        json!({}),
        2 + 20,
    );
    check_estimate(
        Completions,
        r#""prompt":[[1,2,3],[4]],"max_tokens":10,"best_of":2"#,
        json!({}),
        4 + 40,
    );
    check_estimate(
        Embeddings,
        r#""input":"123456789","max_tokens":10"#,
        json!({}),
        3,
    );
}

#[track_caller]
fn check_choices(endpoint: Endpoint, fields: &str, forced: Value, expected: usize) {
    let body = format!("{{\"model\":\"m\",{fields}}}");
    let ask = Ask::parse(endpoint, PathFacts::default(), Bytes::from(body)).unwrap();
    assert_eq!(ask.n_choices(&overrides(forced)), expected, "{fields}");
}

#[test]
fn every_prompt_gets_as_many_choices_as_were_asked_for() {
    use Endpoint::{ChatCompletions, Completions};
    let chat = |fields, forced, expected| check_choices(ChatCompletions, fields, forced, expected);
    let check = |fields, expected| check_choices(Completions, fields, json!({}), expected);

    chat(r#""messages":[{},{}]"#, json!({}), 1);
    chat(r#""messages":[],"n":3"#, json!({}), 3);
    chat(r#""messages":[],"n":3"#, json!({"n": 2}), 2);
    chat(r#""messages":[],"n":null"#, json!({}), 1);
    check(r#""prompt":"[a]","n":2"#, 2);
    check(r#""prompt":[ "a", "", "[" ],"n":2"#, 6);
    check(r#""prompt":[1,2,3],"best_of":4"#, 1);
    check(r#""prompt":[[1,2,3],[4]],"n":2"#, 4);
    check(r#""prompt":[]"#, 1);
}

#[test]
fn an_estimate_stays_in_range() {
    let fields = r#""messages":[],"max_tokens":99999999999999999999,"n":9223372036854775807"#;

    check_estimate(
        Endpoint::ChatCompletions,
        fields,
        json!({}),
        shared::units::TOKENS_MAX,
    );
}

#[test]
fn an_image_costs_the_same_however_large_its_file() {
    let image = "A".repeat(1_000_000);
    let fields = format!(
        r#""messages":[{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"{image}"}}}}]}}],"max_tokens":1"#
    );

    check_estimate(Endpoint::ChatCompletions, &fields, json!({}), 765 + 3 + 1);
}

#[track_caller]
fn check_spliced(body: &str, forced: Value, expected: &str) {
    let ask = parse(body).unwrap();
    assert_eq!(
        ask.for_same_dialect(Manners::Plain, "up", &overrides(forced).into()),
        expected
    );
}

#[test]
fn only_the_model_is_replaced() {
    check_spliced(
        r#" { "x" : {"model":"m"}, "model" :"m" , "messages":[ ] } "#,
        json!({}),
        r#" { "x" : {"model":"m"}, "model" :"up" , "messages":[ ] } "#,
    );
}

#[test]
fn a_body_that_needs_no_change_is_not_copied() {
    let body = Bytes::from_static(br#"{"model":"up"}"#);
    let ask = Ask::parse(
        Endpoint::ChatCompletions,
        PathFacts::default(),
        body.clone(),
    )
    .unwrap();

    let same = ask.for_same_dialect(Manners::Plain, "up", &Map::new().into());

    assert_eq!(same.as_ptr(), body.as_ptr());
}

#[test]
fn overrides_replace_or_are_added() {
    check_spliced(
        r#"{"model":"m", "temperature": 1 }"#,
        json!({"temperature": 0.2, "seed": 7, "model": "never", "stream": true}),
        r#"{"seed":7,"model":"up", "temperature": 0.2 }"#,
    );
}

#[test]
fn an_override_replaces_every_occurrence_of_its_field() {
    check_spliced(
        r#"{"model":"m","seed":1,"s\u0065ed":2}"#,
        json!({"seed": 7}),
        r#"{"model":"up","seed":7,"s\u0065ed":7}"#,
    );
}

#[test]
fn a_stream_is_asked_for_its_usage() {
    check_spliced(
        r#"{"model":"m","stream":true}"#,
        json!({}),
        r#"{"stream_options":{"include_usage":true},"model":"up","stream":true}"#,
    );
    check_spliced(
        r#"{"model":"m","stream":true,"stream_options":null}"#,
        json!({}),
        r#"{"model":"up","stream":true,"stream_options":{"include_usage":true}}"#,
    );
    check_spliced(
        r#"{"model":"m","stream":true,"stream_options":{ }}"#,
        json!({}),
        r#"{"model":"up","stream":true,"stream_options":{"include_usage":true }}"#,
    );
    check_spliced(
        r#"{"model":"m","stream":true,"stream_options":{"include_obfuscation":false}}"#,
        json!({}),
        r#"{"model":"up","stream":true,"stream_options":{"include_usage":true,"include_obfuscation":false}}"#,
    );
    check_spliced(
        r#"{"model":"m","stream":true,"stream_options":{"include_usage": false , "x":1}}"#,
        json!({}),
        r#"{"model":"up","stream":true,"stream_options":{"include_usage": true , "x":1}}"#,
    );
    check_spliced(
        r#"{"model":"m","stream":true}"#,
        json!({"stream_options": {"include_usage": false, "x": 1}}),
        r#"{"stream_options":{"include_usage":true,"x":1},"model":"up","stream":true}"#,
    );
}

#[test]
fn what_is_no_stream_is_not_asked_for_a_streams_usage() {
    check_spliced(
        r#"{"model":"m","stream":false}"#,
        json!({}),
        r#"{"model":"up","stream":false}"#,
    );
    check_spliced(r#"{"model":"m"}"#, json!({}), r#"{"model":"up"}"#);
}

/// Members before and after `model`, as they might be written: odd white space, escapes, nested models.
fn members() -> impl Strategy<Value = Vec<String>> {
    let blank = prop::sample::select(vec!["", " ", "\n", "\t\r\n "]);
    let name = prop::sample::select(vec![
        "\"temperature\"",
        "\"messages \"",
        "\"mode\"",
        "\"models\"",
        "\"Model\"",
        "\"\\\"model\\\"\"",
        "\"\\u00e9\"",
        "\"字\"",
    ]);
    let value = prop::sample::select(vec![
        "1.0e+3",
        "\"model\"",
        "\"\\\"model\\\":\\\"m\\\"\"",
        "{\"model\":\"m\"}",
        "[{ \"model\" : \"m\" },[ ],{}]",
        "\"\\\\\"",
        "\"\\ud83d\\ude00 😀\"",
        "null",
        "-0",
    ]);
    let member = (
        blank.clone(),
        name,
        blank.clone(),
        blank.clone(),
        value,
        blank,
    )
        .prop_map(|(a, name, b, c, value, d)| format!("{a}{name}{b}:{c}{value}{d}"));
    prop::collection::vec(member, 0..4)
}

proptest! {
    #[test]
    fn all_bytes_but_the_models_reach_the_upstream(before in members(), after in members(), model in "\\PC{1,20}") {
        let comma = |members: &[String]| if members.is_empty() { "" } else { "," };
        let head = format!("{{{}{} \"model\" :", before.join(","), comma(&before));
        let tail = format!("\n{}{}}}", comma(&after), after.join(","));
        let ask = parse(&format!("{head}{}{tail}", Value::from(model.as_str()))).unwrap();

        let sent = ask.for_same_dialect(Manners::Plain, "an \"other\"", &Map::new().into());

        prop_assert_eq!(ask.model(), model.as_str());
        prop_assert_eq!(sent, format!(r#"{head}"an \"other\""{tail}"#));
    }

    #[test]
    fn with_overrides_the_upstream_reads_what_was_meant(before in members(), after in members(), stream in any::<bool>()) {
        let members = [before, vec![format!("\"model\":\"m\",\"stream\":{stream}")], after].concat();
        let body = format!("{{{}}}", members.join(","));
        let forced = overrides(json!({"temperature": 0.5, "seed": 7}));

        let sent = parse(&body).unwrap().for_same_dialect(Manners::Plain, "up", &forced.clone().into());

        let mut expected: Map<String, Value> = serde_json::from_str(&body).unwrap();
        expected.extend(forced);
        expected.insert("model".to_owned(), json!("up"));
        if stream {
            expected.insert("stream_options".to_owned(), json!({"include_usage": true}));
        }
        let sent: Map<String, Value> = serde_json::from_slice(&sent).unwrap();
        prop_assert_eq!(sent, expected);
    }
}
