use proptest::prelude::*;
use serde_json::json;

use shared::config::Dialect;

use super::*;
use crate::canon::{
    Effort, LogprobsAsked, Origin, Part, Proof, Reasoning, Role, Source, ToolChoice,
};

#[track_caller]
fn read(body: &Value) -> Chat {
    read_chat(Endpoint::ChatCompletions, body.to_string().as_bytes()).unwrap()
}

/// A request with one more field.
#[track_caller]
fn with(name: &str, value: Value) -> Chat {
    let mut body = json!({"model": "m", "messages": []});
    body[name] = value;
    read(&body)
}

#[track_caller]
fn message(message: &Value) -> Chat {
    with("messages", json!([message]))
}

#[track_caller]
fn check_refused(body: &Value, param: &str) {
    let refused = read_chat(Endpoint::ChatCompletions, body.to_string().as_bytes()).unwrap_err();
    assert_eq!(refused.param.as_deref(), Some(param), "{}", refused.message);
}

#[test]
fn a_field_of_the_wrong_type_is_refused_by_its_path() {
    let cases = [
        (json!({"messages": 7}), "messages"),
        (json!({}), "messages"),
        (json!({"messages": ["hi"]}), "messages[0]"),
        (json!({"messages": [{"content": "hi"}]}), "messages[0].role"),
        (json!({"messages": [{"role": "elf"}]}), "messages[0].role"),
        (
            json!({"messages": [{"role": "user"}]}),
            "messages[0].content",
        ),
        (
            json!({"messages": [{"role": "user", "content": 7}]}),
            "messages[0].content",
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "text"}]}]}),
            "messages[0].content[0].text",
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]}),
            "messages[0].content[0].image_url",
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_data": "JVBERi0="}}]}]}),
            "messages[0].content[0].file.file_data",
        ),
        (
            json!({"messages": [{"role": "tool", "content": "x"}]}),
            "messages[0].tool_call_id",
        ),
        (
            json!({"messages": [{"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": {}}}]}]}),
            "messages[0].tool_calls[0].function.arguments",
        ),
        (json!({"messages": [], "temperature": "0"}), "temperature"),
        (json!({"messages": [], "max_tokens": -1}), "max_tokens"),
        (json!({"messages": [], "seed": 0.5}), "seed"),
        (json!({"messages": [], "stop": [1]}), "stop[0]"),
        (
            json!({"messages": [], "reasoning_effort": "huge"}),
            "reasoning_effort",
        ),
        (json!({"messages": [], "tool_choice": "any"}), "tool_choice"),
        (
            json!({"messages": [], "tools": [{"type": "function"}]}),
            "tools[0].function",
        ),
        (
            json!({"messages": [], "response_format": {"type": "json_schema", "json_schema": {"name": "n"}}}),
            "response_format.json_schema.schema",
        ),
    ];
    for (body, param) in cases {
        check_refused(&body, param);
    }
}

#[test]
fn what_chats_in_general_do_not_have_is_kept_by_its_path() {
    let chat = read(&json!({
        "model": "m",
        "store": true,
        "messages": [
            {"role": "user", "content": [{"type": "video_url", "video_url": {"url": "u"}}]},
            {"role": "assistant", "content": "a", "audio": {"id": "x"}},
            {"role": "function", "name": "f", "content": "1"},
        ],
        "tools": [{"type": "custom", "custom": {"name": "c"}}],
    }));

    let paths: Vec<&str> = chat.others.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "store",
            "messages[0].content[0]",
            "messages[1].audio",
            "messages[2]",
            "tools[0]"
        ]
    );
}

#[test]
fn hints_that_change_no_answer_are_dropped() {
    let chat = read(&json!({
        "prediction": {"type": "content", "content": "x"},
        "model": "m",
        "messages": [{"role": "user", "content": [
            {"type": "text", "text": "hi", "prompt_cache_breakpoint": {}, "cache_control": {"type": "ephemeral"}},
        ]}],
        "metadata": {"a": "b"},
        "store": false,
        "service_tier": "auto",
        "prompt_cache_key": "k",
        "prompt_cache_retention": "24h",
        "safety_identifier": "s",
        "modalities": ["text"],
        "stream_options": {"include_usage": true},
        "audio": null,
    }));

    assert_eq!(chat.others, []);
}

#[test]
fn the_new_name_of_the_limit_wins_wherever_it_stands() {
    let both = json!({"messages": [], "max_tokens": 7, "max_completion_tokens": 9});
    let swapped = json!({"messages": [], "max_completion_tokens": 9, "max_tokens": 7});
    let null = json!({"messages": [], "max_completion_tokens": null, "max_tokens": 7});

    assert_eq!(read(&both).max_tokens, Some(9));
    assert_eq!(read(&swapped).max_tokens, Some(9));
    assert_eq!(read(&null).max_tokens, Some(7));
}

#[test]
fn logprobs_are_asked_for_in_either_order() {
    let asked = Some(LogprobsAsked { top: Some(2) });
    let first = json!({"messages": [], "logprobs": true, "top_logprobs": 2});
    let last = json!({"messages": [], "top_logprobs": 2, "logprobs": true});
    let refused = json!({"messages": [], "top_logprobs": 2, "logprobs": false});

    assert_eq!(read(&first).logprobs, asked);
    assert_eq!(read(&last).logprobs, asked);
    assert_eq!(read(&refused).logprobs, None);
    assert_eq!(with("top_logprobs", json!(0)).logprobs, None);
}

#[test]
fn a_tool_result_learns_its_name_from_the_call() {
    let chat = with(
        "messages",
        json!([
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "find", "arguments": "{}"},
                 "extra_content": {"google": {"thought_signature": "c2ln"}}}]},
            {"role": "tool", "tool_call_id": "call_1", "content": "found"},
        ]),
    );

    let Part::ToolCall(call) = &chat.messages[0].parts[0] else {
        panic!("{chat:?}")
    };
    let Part::ToolResult(result) = &chat.messages[1].parts[0] else {
        panic!("{chat:?}")
    };
    assert_eq!(
        call.signature,
        Proof::new(Dialect::GeminiGenerate, "c2ln".to_owned())
    );
    assert_eq!(result.name.as_deref(), Some("find"));
    assert_eq!(chat.messages[1].role, Role::Tool);
    assert_eq!(chat.others, []);
}

#[test]
fn thoughts_are_taken_back_with_their_signatures() {
    let blocks = json!([
        {"index": 0, "type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "redacted_thinking", "data": "d"},
    ]);
    let signed = message(&json!(
        {"role": "assistant", "content": "a", "reasoning_content": "hm", "thinking_blocks": blocks}
    ));
    let unsigned = message(&json!({"role": "assistant", "content": "", "reasoning": "hm"}));

    assert_eq!(
        signed.messages[0].parts,
        [
            Part::Thinking {
                text: "hm".to_owned(),
                signature: Proof::new(Dialect::AnthropicMessages, "s".to_owned())
            },
            Part::RedactedThinking(Proof {
                by: Dialect::AnthropicMessages,
                data: "d".to_owned()
            }),
            Part::Text("a".to_owned()),
        ]
    );
    assert_eq!(
        unsigned.messages[0].parts,
        [Part::Thinking {
            text: "hm".to_owned(),
            signature: None
        }]
    );
}

#[test]
fn an_answer_that_is_sent_back_as_it_came_is_read() {
    let chat = message(
        &json!({"role": "assistant", "content": "a", "refusal": null, "annotations": [],
        "audio": null, "function_call": null, "tool_calls": null}),
    );

    assert_eq!(chat.messages[0].parts, [Part::Text("a".to_owned())]);
    assert_eq!(chat.others, []);
}

#[test]
fn a_data_url_is_taken_apart() {
    let chat = message(&json!({"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
    ]}));

    let source = Source::Data {
        media_type: "image/png".to_owned(),
        base64: "AAAA".to_owned(),
    };
    let detail = Some("low".to_owned());
    let origin = Origin::default();
    let image = Part::Image {
        source,
        detail,
        origin,
    };
    assert_eq!(chat.messages[0].parts, [image]);
}

#[test]
fn some_tools_may_be_allowed() {
    let choice = json!({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [
        {"type": "function", "function": {"name": "f"}}]}});

    let among = ToolChoice::Among {
        names: vec!["f".to_owned()],
        is_required: true,
    };
    assert_eq!(with("tool_choice", choice).tool_choice, Some(among));
}

#[test]
fn a_forced_field_replaces_the_clients() {
    let mut chat = Chat {
        reasoning: Some(Reasoning {
            effort: None,
            budget: Some(9),
            is_shown: Some(true),
        }),
        temperature: Some(1.0),
        others: vec![
            ("tools[0]".to_owned(), json!({"type": "custom"})),
            ("toolset".to_owned(), json!(1)),
        ],
        ..Chat::default()
    };

    assert_eq!(
        set_field(&mut chat, "reasoning_effort", &json!("low")),
        Ok(true)
    );
    assert_eq!(set_field(&mut chat, "temperature", &Value::Null), Ok(true));
    assert_eq!(set_field(&mut chat, "tools", &json!([])), Ok(true));
    assert_eq!(set_field(&mut chat, "thinking", &json!({})), Ok(false));

    let expected = Chat {
        reasoning: Some(Reasoning {
            effort: Some(Effort::Low),
            budget: None,
            is_shown: Some(true),
        }),
        others: vec![("toolset".to_owned(), json!(1))],
        ..Chat::default()
    };
    assert_eq!(chat, expected);
}

#[test]
fn a_forced_field_of_the_wrong_type_is_refused() {
    let refused = set_field(&mut Chat::default(), "top_p", &json!("much")).unwrap_err();

    assert_eq!(refused.param.as_deref(), Some("top_p"));
}

#[test]
fn only_chats_are_translated() {
    let read = read_chat(Endpoint::Completions, br#"{"model":"m","prompt":"x"}"#);

    assert!(read.is_err());
}

/// JSON of the shapes that requests have, right and wrong.
fn any_json() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        Just("role"),
        Just("content"),
        Just("type"),
        Just("text"),
        Just("tool_calls"),
        Just("function"),
        Just("image_url"),
        Just("file"),
        Just("thinking_blocks"),
        Just("id"),
        Just("name"),
    ];
    let word = prop_oneof![
        Just("user"),
        Just("assistant"),
        Just("tool"),
        Just("text"),
        Just("file"),
        Just("function"),
        Just("allowed_tools"),
        Just("json_schema"),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        word.prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..5).prop_map(|fields| {
                fields
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect()
            }),
        ]
    })
}

proptest! {
    #[test]
    fn no_request_makes_it_panic(messages in any_json(), tools in any_json(), choice in any_json()) {
        let body = json!({"messages": messages, "tools": tools, "tool_choice": choice});
        let _ = read_chat(Endpoint::ChatCompletions, body.to_string().as_bytes());
    }

    #[test]
    fn no_bytes_make_it_panic(body in any::<Vec<u8>>()) {
        let _ = read_chat(Endpoint::ChatCompletions, &body);
    }
}
