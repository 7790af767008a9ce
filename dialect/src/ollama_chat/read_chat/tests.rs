use proptest::prelude::*;
use serde_json::json;

use shared::config::Dialect;

use super::*;
use crate::canon::Proof;
use crate::canon::{Part, Source, Tool, ToolCall, ToolResult};

fn read(request: &Value) -> Result<Chat, BadRequest> {
    read_chat(Endpoint::OllamaChat, request.to_string().as_bytes())
}

fn generate(request: &Value) -> Result<Chat, BadRequest> {
    read_chat(Endpoint::OllamaGenerate, request.to_string().as_bytes())
}

fn options(options: &Value) -> Chat {
    read(&json!({"model": "m", "messages": [], "options": options})).unwrap()
}

#[test]
fn streaming_is_the_default() {
    let is_stream = |stream: Value| {
        read(&json!({"model": "m", "stream": stream}))
            .unwrap()
            .is_stream
    };

    assert!(read(&json!({"model": "m"})).unwrap().is_stream);
    assert!(is_stream(Value::Null));
    assert!(!is_stream(json!(false)));
}

#[test]
fn options_that_others_have_are_settings_of_the_chat() {
    let chat = options(&json!({
        "num_predict": 64, "temperature": 0.5, "top_p": 0.9, "top_k": 20, "min_p": 0.1, "frequency_penalty": 0.2,
        "presence_penalty": 0.3, "seed": 7, "stop": ["a", "b"],
    }));

    let expected = Chat {
        model: "m".to_owned(),
        is_stream: true,
        max_tokens: Some(64),
        temperature: Some(0.5),
        top_p: Some(0.9),
        top_k: Some(20),
        min_p: Some(0.1),
        frequency_penalty: Some(0.2),
        presence_penalty: Some(0.3),
        seed: Some(7),
        stop: vec!["a".to_owned(), "b".to_owned()],
        ..Chat::default()
    };
    assert_eq!(chat, expected);
}

#[test]
fn a_limit_of_no_tokens_is_none() {
    for limit in [-2, -1, 0] {
        assert_eq!(options(&json!({"num_predict": limit})).max_tokens, None);
    }
    let chat = options(&json!({"num_predict": 100.0}));
    assert_eq!(chat.max_tokens, Some(100));
}

#[test]
fn a_random_seed_is_none() {
    assert_eq!(options(&json!({"seed": -1})).seed, None);
}

#[test]
fn ollamas_own_settings_are_kept_by_their_path() {
    let chat = read(&json!({
        "model": "m", "keep_alive": "5m", "options": {"num_ctx": 8192, "tfs_z": 2, "mirostat": null}, "truncate": false,
        "shift": true, "wings": 2,
    }))
    .unwrap();

    let names: Vec<_> = chat.others.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["options.tfs_z", "truncate", "wings"]);
}

#[test]
fn a_field_that_says_the_default_is_not_kept() {
    let chat = generate(&json!({
        "model": "m", "prompt": "p", "raw": false, "template": "", "suffix": "", "context": [], "truncate": true,
    }))
    .unwrap();

    assert_eq!(chat.others, []);
}

#[track_caller]
fn check_think(think: &Value, effort: Option<Effort>, is_shown: Option<bool>) {
    let chat = read(&json!({"model": "m", "think": think})).unwrap();
    let expected = Reasoning {
        effort,
        budget: None,
        is_shown,
    };
    assert_eq!(chat.reasoning, Some(expected));
}

#[test]
fn thinking_is_a_flag_or_a_level() {
    check_think(&json!(true), None, Some(true));
    check_think(&json!(false), Some(Effort::None), None);
    check_think(&json!("high"), Some(Effort::High), Some(true));
}

#[test]
fn a_level_that_only_the_model_knows_is_kept_for_ollama() {
    let chat = read(&json!({"model": "m", "think": "turbo"})).unwrap();

    assert_eq!(chat.reasoning, None);
    assert_eq!(chat.others, [("think".to_owned(), json!("turbo"))]);
}

#[track_caller]
fn check_format(format: &Value, expected: Option<&Format>) {
    let chat = read(&json!({"model": "m", "format": format})).unwrap();
    assert_eq!(chat.format.as_ref(), expected);
}

#[test]
fn a_format_is_json_or_a_schema() {
    check_format(&json!("json"), Some(&Format::Json));
    check_format(&json!(""), None);
    let schema = json!({"type": "object"});
    let expected = Schema {
        schema: schema.clone(),
        ..Schema::default()
    };
    check_format(&schema, Some(&Format::Schema(expected)));
}

#[test]
fn logprobs_are_asked_for_by_their_own_flag() {
    let logprobs = |request: &Value| read(request).unwrap().logprobs;

    let asked = json!({"model": "m", "top_logprobs": 2, "logprobs": true});
    assert_eq!(logprobs(&asked), Some(LogprobsAsked { top: Some(2) }));
    assert_eq!(logprobs(&json!({"model": "m", "top_logprobs": 2})), None);
}

#[track_caller]
fn check_image(base64: &str, expected: &str) {
    let chat =
        read(&json!({"model": "m", "messages": [{"role": "user", "images": [base64]}]})).unwrap();
    let Part::Image {
        source: Source::Data { media_type, .. },
        ..
    } = &chat.messages[0].parts[0]
    else {
        panic!("{chat:?}")
    };
    assert_eq!(media_type, expected);
}

#[test]
fn an_image_tells_its_kind_by_its_first_bytes() {
    check_image("iVBORw0KGgoAAAANSUhEUg==", "image/png");
    check_image("/9j/4AAQSkZJRg==", "image/jpeg");
    check_image("R0lGODlhAQABAAAAACw=", "image/gif");
    check_image("UklGRiQAAABXRUJQVlA4", "image/webp");
    check_image("data:image/jpeg;base64,AAAA", "image/jpeg");
    check_image("UklGRiQAAABXQVZF", "image/png");
    check_image("é", "image/png");
}

#[test]
fn images_stand_before_the_text() {
    let chat = read(&json!({"model": "m", "messages": [
        {"role": "user", "content": "Which?", "images": ["iVBORw0KGgo=", "/9j/4A=="]}]}))
    .unwrap();

    let parts = &chat.messages[0].parts;
    assert_eq!(parts.len(), 3);
    assert_eq!(parts[2], Part::Text("Which?".to_owned()));
}

fn call(name: &str) -> Value {
    json!({"function": {"name": name, "arguments": {}}})
}

/// Ids of the calls, then those of the results with their tools' names.
fn ids(messages: &Value) -> (Vec<String>, Vec<(String, Option<String>)>) {
    let chat = read(&json!({"model": "m", "messages": messages})).unwrap();
    let mut calls = Vec::new();
    let mut results = Vec::new();
    for part in chat.messages.into_iter().flat_map(|message| message.parts) {
        match part {
            Part::ToolCall(call) => calls.push(call.id),
            Part::ToolResult(result) => results.push((result.call_id, result.name)),
            _ => {}
        }
    }
    (calls, results)
}

fn named(id: &str, name: &str) -> (String, Option<String>) {
    (id.to_owned(), Some(name.to_owned()))
}

#[test]
fn results_without_ids_belong_to_the_calls_in_their_order() {
    let (calls, results) = ids(&json!([
        {"role": "assistant", "tool_calls": [call("a"), call("b")]},
        {"role": "tool", "content": "1"},
        {"role": "tool", "content": "2"},
        {"role": "assistant", "tool_calls": [call("a")]},
        {"role": "tool", "content": "3"},
    ]));

    assert_eq!(calls, ["call_0", "call_1", "call_2"]);
    assert_eq!(
        results,
        [
            named("call_0", "a"),
            named("call_1", "b"),
            named("call_2", "a")
        ]
    );
}

#[test]
fn results_that_name_their_tool_may_come_in_any_order() {
    let (_, results) = ids(&json!([
        {"role": "assistant", "tool_calls": [call("a"), call("b"), call("a")]},
        {"role": "tool", "content": "2", "tool_name": "b"},
        {"role": "tool", "content": "1", "name": "a"},
        {"role": "tool", "content": "3", "tool_name": "a"},
    ]));

    assert_eq!(
        results,
        [
            named("call_1", "b"),
            named("call_0", "a"),
            named("call_2", "a")
        ]
    );
}

#[test]
fn a_result_that_answers_no_call_keeps_its_name() {
    let (_, results) = ids(&json!([
        {"role": "assistant", "tool_calls": [call("a")]},
        {"role": "tool", "content": "1", "tool_name": "b"},
    ]));

    assert_eq!(results, [named("call_1", "b")]);
}

#[test]
fn ids_that_were_sent_are_kept_and_their_signature_is_taken_out() {
    let chat = read(&json!({"model": "m", "messages": [
        {"role": "assistant", "content": "", "tool_calls": [
            {"id": "call_x_sluiced_gemini_generate_AQ", "function": {"index": 0, "name": "f", "arguments": {"a": 1}}}]},
        {"role": "tool", "content": "1", "tool_call_id": "call_x_sluiced_gemini_generate_AQ"},
    ]}))
    .unwrap();

    let expected = ToolCall {
        id: "call_x".to_owned(),
        name: "f".to_owned(),
        arguments: r#"{"a":1}"#.to_owned(),
        signature: Proof::new(Dialect::GeminiGenerate, "AQ==".to_owned()),
    };
    assert_eq!(chat.messages[0].parts, [Part::ToolCall(expected)]);
    let expected = ToolResult {
        call_id: "call_x".to_owned(),
        name: Some("f".to_owned()),
        parts: vec![Part::Text("1".to_owned())],
        is_error: false,
    };
    assert_eq!(chat.messages[1].parts, [Part::ToolResult(expected)]);
}

#[test]
fn a_tool_is_read_with_its_schema() {
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let chat = read(&json!({"model": "m", "tools": [
        {"type": "function", "function": {"name": "f", "description": "d", "parameters": parameters}},
        {"function": {"name": "g"}},
    ]}))
    .unwrap();

    let described = Tool {
        name: "f".to_owned(),
        description: Some("d".to_owned()),
        parameters: Some(parameters),
        strict: None,
    };
    let bare = Tool {
        name: "g".to_owned(),
        description: None,
        parameters: None,
        strict: None,
    };
    assert_eq!(chat.tools, [described, bare]);
}

#[test]
fn a_prompt_is_what_the_user_says_after_the_system() {
    let chat = generate(&json!({"model": "m", "prompt": "p", "system": "s", "images": ["/9j/"]}));

    let messages = chat.unwrap().messages;
    assert_eq!(
        messages[0],
        Message::new(Role::System, vec![Part::Text("s".to_owned())])
    );
    assert_eq!((messages[1].role, messages[1].parts.len()), (Role::User, 2));
}

#[test]
fn a_request_without_a_prompt_has_no_messages() {
    for request in [
        json!({"model": "m", "system": "s"}),
        json!({"model": "m", "prompt": ""}),
    ] {
        assert_eq!(generate(&request).unwrap().messages, []);
    }
    assert_eq!(read(&json!({"model": "m"})).unwrap().messages, []);
}

#[track_caller]
fn check_refused(request: &Value, param: &str) {
    let refused = read(request).unwrap_err();
    assert_eq!(refused.param.as_deref(), Some(param), "{}", refused.message);
}

#[test]
fn a_refusal_names_the_field() {
    let message = |message: Value| json!({"model": "m", "messages": [{"role": "user"}, message]});
    check_refused(&message(json!({"content": "x"})), "messages[1].role");
    check_refused(&message(json!({"role": "bard"})), "messages[1].role");
    check_refused(
        &message(json!({"role": "user", "content": [{"type": "text"}]})),
        "messages[1].content",
    );
    check_refused(
        &message(json!({"role": "user", "images": [1]})),
        "messages[1].images[0]",
    );
    check_refused(
        &message(json!({"role": "user", "tool_calls": [call("f")]})),
        "messages[1].tool_calls",
    );
    let text = json!({"function": {"name": "f", "arguments": "{}"}});
    check_refused(
        &message(json!({"role": "assistant", "tool_calls": [text]})),
        "messages[1].tool_calls[0].function.arguments",
    );
    check_refused(
        &json!({"options": {"temperature": "hot"}}),
        "options.temperature",
    );
    check_refused(&json!({"options": {"stop": [1]}}), "options.stop[0]");
    check_refused(&json!({"options": {"top_k": -1}}), "options.top_k");
    check_refused(&json!({"options": 1}), "options");
    check_refused(&json!({"think": 3}), "think");
    check_refused(&json!({"format": "xml"}), "format");
    check_refused(
        &json!({"tools": [{"type": "function"}]}),
        "tools[0].function",
    );
    check_refused(
        &json!({"tools": [{"function": {"description": "d"}}]}),
        "tools[0].function.name",
    );
    check_refused(&json!({"stream": "yes"}), "stream");
}

proptest! {
    #[test]
    fn no_body_makes_it_panic(
        field in prop::sample::select(vec!["messages", "tools", "options", "images", "format", "think", "stream"]),
        inner in prop::sample::select(vec!["role", "content", "images", "tool_calls", "function", "stop", "seed"]),
        value in prop::sample::select(vec!["null", "1", "-1e300", "\"é\"", "[]", "{}", "[[{}]]", "[{\"function\":{\"name\":\"f\",\"arguments\":[]}}]"]),
        text in ".{0,40}",
    ) {
        for endpoint in [Endpoint::OllamaChat, Endpoint::OllamaGenerate] {
            for body in [
                format!("{{\"{field}\":{value}}}"),
                format!("{{\"{field}\":[{{\"role\":\"assistant\",\"{inner}\":{value}}}]}}"),
                format!("{{\"{field}\":{{\"{inner}\":{value}}}}}"),
                text.clone(),
            ] {
                let _ = read_chat(endpoint, body.as_bytes());
            }
        }
    }
}
