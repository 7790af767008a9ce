use proptest::prelude::*;
use serde_json::json;

use shared::config::Dialect;

use super::*;
use crate::canon::Proof;
use crate::canon::{
    Effort, Format, Origin, Reasoning, Schema, Source, Tool, ToolCall, ToolChoice, ToolResult,
};

fn read(body: &Value) -> Result<Chat, BadRequest> {
    read_chat(Endpoint::Responses, body.to_string().as_bytes())
}

/// Reads a chat with these fields beside a model and an input.
fn with(fields: &Value) -> Chat {
    let mut body = json!({"model": "public", "input": "hi"});
    body.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    read(&body).unwrap()
}

fn messages(input: &Value) -> Vec<Message> {
    read(&json!({"model": "public", "input": input}))
        .unwrap()
        .messages
}

fn text(text: &str) -> Part {
    Part::Text(text.to_owned())
}

fn others(chat: &Chat) -> Vec<&str> {
    chat.others.iter().map(|(path, _)| path.as_str()).collect()
}

#[track_caller]
fn check_refused(body: &Value, param: &str) {
    let refused = read(body).unwrap_err();
    assert_eq!(refused.param.as_deref(), Some(param), "{body}");
}

#[test]
fn a_text_is_the_users_message() {
    let chat = with(&json!({"stream": true}));

    assert_eq!(chat.messages, [Message::new(Role::User, vec![text("hi")])]);
    assert!(chat.is_stream);
    assert_eq!(chat.model, "public");
}

#[test]
fn instructions_come_before_all_messages() {
    let chat = with(&json!({
        "instructions": "Be brief.",
        "input": [{"role": "developer", "content": "Be kind."}, {"role": "user", "content": "hi"}],
    }));

    assert_eq!(
        chat.messages,
        [
            Message::new(Role::System, vec![text("Be brief.")]),
            Message::new(Role::System, vec![text("Be kind.")]),
            Message::new(Role::User, vec![text("hi")]),
        ]
    );
}

#[test]
fn what_the_assistant_did_in_one_turn_is_one_message() {
    let messages = messages(&json!([
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}, {"type": "summary_text", "text": "Yes."}], "encrypted_content": "gAAA"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Let me look.", "annotations": []}]},
        {"type": "function_call", "id": "fc_1", "call_id": "call_a", "name": "find", "arguments": "{}"},
        {"type": "function_call", "call_id": "call_b_sluiced_gemini_generate_AQ", "name": "count", "arguments": "{\"a\":1}"},
        {"type": "function_call_output", "call_id": "call_a", "output": "found"},
        {"type": "function_call_output", "call_id": "call_b_sluiced_gemini_generate_AQ", "output": [{"type": "input_text", "text": "2"}]},
        {"role": "user", "content": "Thanks."},
    ]));

    let result = |call_id: &str, name: &str, put_out: &str| {
        Part::ToolResult(ToolResult {
            call_id: call_id.to_owned(),
            name: Some(name.to_owned()),
            parts: vec![text(put_out)],
            is_error: false,
        })
    };
    let call = |id: &str, name: &str, arguments: &str, signature: Option<&str>| {
        Part::ToolCall(ToolCall {
            id: id.to_owned(),
            name: name.to_owned(),
            arguments: arguments.to_owned(),
            signature: signature
                .and_then(|data| Proof::new(Dialect::GeminiGenerate, data.to_owned())),
        })
    };
    assert_eq!(
        messages,
        [
            Message::new(
                Role::Assistant,
                vec![
                    Part::Thinking {
                        text: "Hm.\n\nYes.".to_owned(),
                        signature: Proof::new(Dialect::OpenaiResponses, "gAAA".to_owned()),
                    },
                    text("Let me look."),
                    call("call_a", "find", "{}", None),
                    call("call_b", "count", "{\"a\":1}", Some("AQ==")),
                ]
            ),
            Message::new(
                Role::Tool,
                vec![
                    result("call_a", "find", "found"),
                    result("call_b", "count", "2"),
                ]
            ),
            Message::new(Role::User, vec![text("Thanks.")]),
        ]
    );
}

#[test]
fn thoughts_without_a_summary_are_redacted_or_only_named() {
    let messages = messages(&json!([
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"},
        {"type": "reasoning", "id": "rs_2", "summary": []},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": ""}], "encrypted_content": "sig"},
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Open."}]},
    ]));

    let thinking = |text: &str, signature: Option<&str>| Part::Thinking {
        text: text.to_owned(),
        signature: signature.and_then(|data| Proof::new(Dialect::OpenaiResponses, data.to_owned())),
    };
    assert_eq!(
        messages,
        [Message::new(
            Role::Assistant,
            vec![
                Part::RedactedThinking(Proof {
                    by: Dialect::OpenaiResponses,
                    data: "gAAA".to_owned()
                }),
                thinking("", Some("sig")),
                thinking("Open.", None),
            ]
        )]
    );
}

#[test]
fn images_and_files_come_by_url_by_data_or_by_id() {
    let messages = messages(&json!([{"role": "user", "content": [
        {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "high"},
        {"type": "input_image", "image_url": "data:image/png;base64,iVBO"},
        {"type": "input_image", "file_id": "file-1"},
        {"type": "input_file", "file_data": "data:text/plain;base64,aGk=", "filename": "a.txt"},
        {"type": "input_file", "file_data": "JVBERi0xLjQK"},
        {"type": "input_file", "file_url": "https://example.com/a.pdf"},
        {"type": "input_file", "file_id": "file-2"},
    ]}]));

    let data = |media_type: &str, base64: &str| Source::Data {
        media_type: media_type.to_owned(),
        base64: base64.to_owned(),
    };
    let image = |source, detail: Option<&str>| Part::Image {
        source,
        detail: detail.map(str::to_owned),
        origin: Origin::default(),
    };
    let file = |source, name: Option<&str>| Part::File {
        source,
        name: name.map(str::to_owned),
        origin: Origin::default(),
    };
    assert_eq!(
        messages[0].parts,
        [
            image(
                Source::Url("https://example.com/a.png".to_owned()),
                Some("high")
            ),
            image(data("image/png", "iVBO"), None),
            image(Source::FileId("file-1".to_owned()), None),
            file(data("text/plain", "aGk="), Some("a.txt")),
            file(data("application/pdf", "JVBERi0xLjQK"), None),
            file(Source::Url("https://example.com/a.pdf".to_owned()), None),
            file(Source::FileId("file-2".to_owned()), None),
        ]
    );
}

#[test]
fn settings_have_their_place() {
    let chat = with(&json!({
        "max_output_tokens": 9, "temperature": 0.5, "top_p": 1, "top_k": 4, "user": "u", "parallel_tool_calls": false,
        "include": ["message.output_text.logprobs", "reasoning.encrypted_content"], "top_logprobs": 2,
        "reasoning": {"effort": "xhigh", "summary": "concise"},
        "text": {"verbosity": "low", "format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": true}},
        "tools": [{"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": null}],
        "tool_choice": {"type": "function", "name": "f"},
    }));

    assert_eq!(
        chat,
        Chat {
            model: "public".to_owned(),
            messages: chat.messages.clone(),
            max_tokens: Some(9),
            temperature: Some(0.5),
            top_p: Some(1.0),
            top_k: Some(4),
            user: Some("u".to_owned()),
            parallel_tool_calls: Some(false),
            logprobs: Some(LogprobsAsked { top: Some(2) }),
            reasoning: Some(Reasoning {
                effort: Some(Effort::ExtraHigh),
                budget: None,
                is_shown: Some(true),
            }),
            verbosity: Some("low".to_owned()),
            format: Some(Format::Schema(Schema {
                name: Some("n".to_owned()),
                description: None,
                schema: json!({"type": "object"}),
                strict: Some(true),
            })),
            tools: vec![Tool {
                name: "f".to_owned(),
                description: Some("d".to_owned()),
                parameters: Some(json!({"type": "object"})),
                strict: None,
            }],
            tool_choice: Some(ToolChoice::Named("f".to_owned())),
            ..Chat::default()
        }
    );
}

#[test]
fn every_tool_choice_is_understood() {
    let choice = |choice: &Value| with(&json!({"tool_choice": choice})).tool_choice;

    assert_eq!(choice(&json!("none")), Some(ToolChoice::None));
    assert_eq!(choice(&json!("auto")), Some(ToolChoice::Auto));
    assert_eq!(choice(&json!("required")), Some(ToolChoice::Required));
    assert_eq!(
        choice(
            &json!({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]})
        ),
        Some(ToolChoice::Among {
            names: vec!["f".to_owned()],
            is_required: false,
        })
    );
}

#[test]
fn hints_that_change_no_answer_are_not_kept() {
    let chat = with(&json!({
        "metadata": {"a": "b"}, "store": true, "background": false, "truncation": "disabled", "service_tier": "default",
        "prompt_cache_key": "k", "prompt_cache_options": {"mode": "explicit"}, "prompt_cache_retention": "24h",
        "safety_identifier": "s", "stream_options": {"include_obfuscation": false}, "previous_response_id": null,
        "reasoning": {"context": "auto", "mode": "standard"}, "text": {"format": {"type": "text"}},
        "tools": [{"type": "function", "name": "f", "parameters": {}, "defer_loading": false, "cache_control": {}}],
    }));

    assert_eq!(others(&chat), [""; 0]);
    assert_eq!(chat.reasoning, None);
}

#[test]
fn what_has_no_place_is_kept_by_its_path() {
    let chat = with(&json!({
        "background": true, "conversation": "conv_1", "prompt": {"id": "p"}, "truncation": "auto", "service_tier": "flex",
        "max_tool_calls": 3, "from_the_future": 1,
        "include": ["file_search_call.results"], "reasoning": {"mode": "pro"},
        "text": {"format": {"type": "grammar"}, "length": 7},
        "tools": [{"type": "web_search"}, {"type": "function", "name": "f", "output_schema": {}}],
        "tool_choice": {"type": "web_search"},
        "input": [
            {"type": "web_search_call", "id": "ws_1"},
            {"role": "user", "content": [{"type": "computer_screenshot"}, {"type": "input_text", "text": "hi"}]},
        ],
    }));

    assert_eq!(
        others(&chat),
        [
            "input[0]",
            "input[1].content[0]",
            "tools[0]",
            "tools[1].output_schema",
            "tool_choice",
            "text.format",
            "text.length",
            "reasoning.mode",
            "include[0]",
            "background",
            "conversation",
            "prompt",
            "truncation",
            "service_tier",
            "max_tool_calls",
            "from_the_future",
        ]
    );
    assert_eq!(chat.messages, [Message::new(Role::User, vec![text("hi")])]);
}

#[test]
fn input_may_be_absent_only_where_something_stands_for_it() {
    check_refused(&json!({"model": "public"}), "input");

    let chat = read(&json!({"model": "public", "previous_response_id": "resp_1"})).unwrap();

    assert_eq!(others(&chat), ["previous_response_id"]);
}

#[test]
fn a_wrong_field_is_named_by_its_path() {
    let input = |item: &Value| json!({"model": "public", "input": [{"role": "user", "content": "hi"}, item]});
    for (body, param) in [
        (json!({"model": "public", "input": 7}), "input"),
        (
            json!({"model": "public", "input": "hi", "instructions": 7}),
            "instructions",
        ),
        (
            json!({"model": "public", "input": "hi", "temperature": "hot"}),
            "temperature",
        ),
        (
            json!({"model": "public", "input": "hi", "max_output_tokens": 1.5}),
            "max_output_tokens",
        ),
        (
            json!({"model": "public", "input": "hi", "parallel_tool_calls": 1}),
            "parallel_tool_calls",
        ),
        (
            json!({"model": "public", "input": "hi", "include": "x"}),
            "include",
        ),
        (
            json!({"model": "public", "input": "hi", "tools": {}}),
            "tools",
        ),
        (
            json!({"model": "public", "input": "hi", "tools": [{}]}),
            "tools[0].type",
        ),
        (
            json!({"model": "public", "input": "hi", "tools": [{"type": "function"}]}),
            "tools[0].name",
        ),
        (
            json!({"model": "public", "input": "hi", "tools": [{"type": "function", "name": "f", "parameters": 1}]}),
            "tools[0].parameters",
        ),
        (
            json!({"model": "public", "input": "hi", "tool_choice": "any"}),
            "tool_choice",
        ),
        (
            json!({"model": "public", "input": "hi", "tool_choice": {"type": "function"}}),
            "tool_choice.name",
        ),
        (
            json!({"model": "public", "input": "hi", "text": {"format": {"type": "json_schema"}}}),
            "text.format.schema",
        ),
        (
            json!({"model": "public", "input": "hi", "text": {"format": "json"}}),
            "text.format",
        ),
        (
            json!({"model": "public", "input": "hi", "reasoning": {"effort": "huge"}}),
            "reasoning.effort",
        ),
        (
            json!({"model": "public", "input": "hi", "reasoning": "high"}),
            "reasoning",
        ),
        (input(&json!("hi")), "input[1]"),
        (input(&json!({"content": "hi"})), "input[1].role"),
        (
            input(&json!({"role": "tool", "content": "hi"})),
            "input[1].role",
        ),
        (input(&json!({"role": "user"})), "input[1].content"),
        (
            input(&json!({"role": "user", "content": [7]})),
            "input[1].content[0]",
        ),
        (
            input(&json!({"role": "user", "content": [{"text": "hi"}]})),
            "input[1].content[0].type",
        ),
        (
            input(&json!({"role": "user", "content": [{"type": "input_text"}]})),
            "input[1].content[0].text",
        ),
        (
            input(&json!({"role": "user", "content": [{"type": "input_image"}]})),
            "input[1].content[0].image_url",
        ),
        (
            input(
                &json!({"role": "user", "content": [{"type": "input_file", "file_data": "aGk="}]}),
            ),
            "input[1].content[0].file_data",
        ),
        (
            input(&json!({"type": "function_call", "call_id": "c", "name": "f"})),
            "input[1].arguments",
        ),
        (
            input(&json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": {}})),
            "input[1].arguments",
        ),
        (
            input(&json!({"type": "function_call_output", "output": "x"})),
            "input[1].call_id",
        ),
        (
            input(&json!({"type": "function_call_output", "call_id": "c"})),
            "input[1].output",
        ),
        (
            input(&json!({"type": "reasoning", "summary": ["x"]})),
            "input[1].summary[0]",
        ),
    ] {
        check_refused(&body, param);
    }
}

/// JSON of all shapes, with the names that this dialect uses.
fn any_json() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(vec![
        "type",
        "role",
        "content",
        "input",
        "text",
        "format",
        "tools",
        "name",
        "summary",
        "output",
        "call_id",
        "include",
        "instructions",
        "model",
        "tool_choice",
        "reasoning",
        "effort",
        "arguments",
        "file_data",
        "image_url",
    ]);
    let word = prop::sample::select(vec![
        "message",
        "user",
        "assistant",
        "function_call",
        "function_call_output",
        "reasoning",
        "input_text",
        "input_file",
        "input_image",
        "function",
        "allowed_tools",
        "json_schema",
        "sluiced_",
        "data:;base64,",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..8).prop_map(|fields| {
                let fields = fields
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value));
                Value::Object(fields.collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn no_request_makes_the_reader_panic(body in any_json(), bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _refused_or_read = read(&body);
        let _refused_or_read = read_chat(Endpoint::Responses, &bytes);
    }
}
