use serde_json::{Value, json};
use shared::config::{Dialect, Manners};

use super::*;
use crate::canon::{
    Message, Origin, Part, Proof, Role, Source, Tool, ToolCall, ToolChoice, ToolResult,
};

fn write_with(chat: &Chat, is_dropping: bool) -> Result<Value, BadRequest> {
    let target = Target {
        dialect: Dialect::BedrockConverse,
        manners: Manners::Plain,
        model: "anthropic.claude",
        overrides: &crate::Overrides::default(),
        drop_unsupported: is_dropping,
    };
    let losses = Losses::new(Dialect::OpenaiChat, target.dialect, is_dropping);
    let body = write_chat(chat, &target, &losses)?;
    Ok(serde_json::from_slice(&body).unwrap())
}

fn write(chat: &Chat) -> Value {
    write_with(chat, false).unwrap()
}

#[track_caller]
fn check_refused(chat: &Chat, param: &str) {
    let refused = write_with(chat, false).unwrap_err();
    assert_eq!(refused.param.as_deref(), Some(param));
}

fn text(text: &str) -> Part {
    Part::Text(text.to_owned())
}

fn call(id: &str, arguments: &str) -> Part {
    Part::ToolCall(ToolCall {
        id: id.to_owned(),
        name: "find".to_owned(),
        arguments: arguments.to_owned(),
        signature: None,
    })
}

fn result(call_id: &str, parts: Vec<Part>, is_error: bool) -> Part {
    Part::ToolResult(ToolResult {
        call_id: call_id.to_owned(),
        name: Some("find".to_owned()),
        parts,
        is_error,
    })
}

fn tool(name: &str) -> Tool {
    Tool {
        name: name.to_owned(),
        description: Some(String::new()),
        parameters: None,
        strict: Some(false),
    }
}

fn chat(messages: impl IntoIterator<Item = (Role, Vec<Part>)>) -> Chat {
    Chat {
        model: "public".to_owned(),
        messages: messages
            .into_iter()
            .map(|(role, parts)| Message::new(role, parts))
            .collect(),
        ..Chat::default()
    }
}

fn hello() -> Chat {
    chat([(Role::User, vec![text("Hi")])])
}

/// A conversation in which a tool was called.
fn with_call() -> Chat {
    Chat {
        tools: vec![tool("find"), tool("stop")],
        ..chat([
            (Role::User, vec![text("Find it")]),
            (Role::Assistant, vec![call("a", "{}")]),
            (Role::Tool, vec![result("a", vec![text("here")], false)]),
        ])
    }
}

#[test]
fn only_what_is_set_is_written() {
    let body = write(&hello());

    let messages = json!([{"role": "user", "content": [{"text": "Hi"}]}]);
    assert_eq!(body, json!({"messages": messages}));
}

#[test]
fn all_that_can_be_set_has_its_place() {
    let body = write(&Chat {
        max_tokens: Some(10),
        temperature: Some(0.5),
        top_p: Some(0.9),
        stop: vec!["END".to_owned(), String::new()],
        n: Some(1),
        parallel_tool_calls: Some(true),
        format: Some(Format::Schema(Schema {
            name: Some("point".to_owned()),
            description: None,
            schema: json!({"type": "object", "properties": {}}),
            strict: Some(true),
        })),
        reasoning: Some(Reasoning {
            effort: Some(Effort::ExtraHigh),
            ..Reasoning::default()
        }),
        ..hello()
    });

    assert_eq!(
        body["inferenceConfig"],
        json!({"maxTokens": 10, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END"]})
    );
    let closed = r#"{"type":"object","properties":{},"additionalProperties":false}"#;
    assert_eq!(
        body["outputConfig"],
        json!({
            "textFormat": {
                "type": "json_schema",
                "structure": {"jsonSchema": {"schema": closed, "name": "point"}},
            },
            "effort": "xhigh",
        })
    );
}

#[test]
fn neighbours_of_one_role_become_one_turn() {
    let body = write(&chat([
        (Role::System, vec![text("Be brief.")]),
        (Role::System, vec![text("Be kind.")]),
        (Role::User, vec![text("Hi"), text("")]),
        (Role::Assistant, vec![text("")]),
        (Role::System, vec![text("It is noon.")]),
        (Role::User, vec![text("And now?")]),
        (Role::Assistant, vec![Part::Refusal("No.".to_owned())]),
    ]));

    assert_eq!(
        body,
        json!({
            "system": [{"text": "Be brief."}, {"text": "Be kind."}],
            "messages": [
                {"role": "user", "content": [{"text": "Hi"}, {"text": "<system>\nIt is noon.\n</system>"}, {"text": "And now?"}]},
                {"role": "assistant", "content": [{"text": "No."}]},
            ],
        })
    );
}

#[test]
fn all_results_of_a_turn_go_first_in_one_message() {
    let mut chat = with_call();
    chat.messages = vec![
        Message::new(Role::User, vec![text("Find it")]),
        Message::new(
            Role::Assistant,
            vec![call("a", r#" {"q": 1} "#), call("b", "")],
        ),
        Message::new(Role::User, vec![text("Well?")]),
        Message::new(Role::Tool, vec![result("a", vec![text("here")], false)]),
        Message::new(Role::Tool, vec![result("b", Vec::new(), true)]),
    ];

    let body = write(&chat);

    assert_eq!(
        body["messages"],
        json!([
            {"role": "user", "content": [{"text": "Find it"}]},
            {"role": "assistant", "content": [
                {"toolUse": {"toolUseId": "a", "name": "find", "input": {"q": 1}}},
                {"toolUse": {"toolUseId": "b", "name": "find", "input": {}}},
            ]},
            {"role": "user", "content": [
                {"toolResult": {"toolUseId": "a", "content": [{"text": "here"}]}},
                {"toolResult": {"toolUseId": "b", "content": [], "status": "error"}},
                {"text": "Well?"},
            ]},
        ])
    );
}

#[test]
fn arguments_that_are_no_object_are_refused() {
    for arguments in ["[1]", "{", "{} {}", "null", "find it"] {
        let mut chat = with_call();
        chat.messages[1].parts = vec![text("So:"), call("a", arguments)];

        check_refused(&chat, "messages");
    }
}

#[test]
fn only_thoughts_with_a_proof_are_sent_back() {
    let thought = |signature: Option<&str>| Part::Thinking {
        text: "Hm.".to_owned(),
        signature: signature.and_then(|data| Proof::new(Dialect::BedrockConverse, data.to_owned())),
    };
    let thoughts = vec![
        thought(None),
        thought(Some("sig")),
        Part::RedactedThinking(Proof {
            by: Dialect::BedrockConverse,
            data: "b64".to_owned(),
        }),
    ];
    let body = write(&chat([
        (Role::User, vec![text("Hi")]),
        (Role::Assistant, thoughts),
    ]));

    assert_eq!(
        body["messages"][1]["content"],
        json!([
            {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "sig"}}},
            {"reasoningContent": {"redactedContent": "b64"}},
        ])
    );
}

#[test]
fn media_go_as_bytes_with_the_name_of_their_format() {
    let data = |media_type: &str| Source::Data {
        media_type: media_type.to_owned(),
        base64: "AAAA".to_owned(),
    };
    let body = write(&chat([(
        Role::User,
        vec![
            Part::Image {
                source: data("image/jpeg"),
                detail: Some("high".to_owned()),
                origin: Origin::default(),
            },
            Part::File {
                source: data("application/pdf"),
                name: Some("a_b.pdf".to_owned()),
                origin: Origin::default(),
            },
            Part::File {
                source: data("video/mp4"),
                name: None,
                origin: Origin::default(),
            },
            Part::Audio {
                data: "BBBB".to_owned(),
                media_type: "audio/wav".to_owned(),
                origin: Origin::default(),
            },
        ],
    )]));

    assert_eq!(
        body["messages"][0]["content"],
        json!([
            {"image": {"format": "jpeg", "source": {"bytes": "AAAA"}}},
            {"document": {"format": "pdf", "name": "a-b", "source": {"bytes": "AAAA"}}},
            {"video": {"format": "mp4", "source": {"bytes": "AAAA"}}},
            {"audio": {"format": "wav", "source": {"bytes": "BBBB"}}},
        ])
    );
}

#[test]
fn media_that_bedrock_does_not_take_are_lost_by_name() {
    let image = |source| Part::Image {
        source,
        detail: None,
        origin: Origin::at("messages[0].content[1]"),
    };
    for part in [
        image(Source::Url("https://example.com/a.png".to_owned())),
        image(Source::FileId("file-1".to_owned())),
        image(Source::Data {
            media_type: "image/tiff".to_owned(),
            base64: "AAAA".to_owned(),
        }),
    ] {
        let chat = chat([(Role::User, vec![text("See:"), part])]);

        check_refused(&chat, "messages[0].content[1]");
        let dropped = write_with(&chat, true).unwrap();
        assert_eq!(dropped["messages"][0]["content"], json!([{"text": "See:"}]));
    }
}

#[test]
fn settings_of_other_dialects_are_lost_by_name() {
    let check = |change: fn(&mut Chat), param: &str| {
        let mut chat = hello();
        change(&mut chat);
        check_refused(&chat, param);
        assert_eq!(write_with(&chat, true), Ok(write(&hello())), "{param}");
    };

    check(|chat| chat.top_k = Some(4), "top_k");
    check(|chat| chat.n = Some(2), "n");
    check(|chat| chat.seed = Some(1), "seed");
    check(|chat| chat.temperature = Some(1.5), "temperature");
    check(
        |chat| chat.others = vec![("prediction".to_owned(), json!({}))],
        "prediction",
    );
    check(
        |chat| chat.messages[0].name = Some("ann".to_owned()),
        "messages[0].name",
    );
}

#[test]
fn less_than_a_low_effort_is_told_as_that() {
    let mut chat = hello();
    chat.reasoning = Some(Reasoning {
        effort: Some(Effort::Minimal),
        ..Reasoning::default()
    });

    assert_eq!(write(&chat)["outputConfig"], json!({"effort": "low"}));
}

#[test]
fn any_json_is_asked_for_in_words() {
    let chat = Chat {
        format: Some(Format::Json),
        ..hello()
    };

    let body = write(&chat);

    assert_eq!(body["system"], json!([{"text": Format::Json.in_words()}]));
    assert_eq!(body["outputConfig"], Value::Null);
}

#[test]
fn what_the_system_says_alone_is_said_by_the_user() {
    let body = write(&chat([(Role::System, vec![text("Tell a joke.")])]));

    let messages = json!([{"role": "user", "content": [{"text": "Tell a joke."}]}]);
    assert_eq!(body, json!({"messages": messages}));
}

#[test]
fn whoever_else_speaks_first_is_refused() {
    let mut chat = with_call();
    chat.messages.remove(0);

    // Its own place is told where there is a client's request to look it up in.
    check_refused(&chat, "messages");
}

#[test]
fn ids_of_calls_are_made_to_fit_and_still_find_each_other() {
    let id = format!("call/{}", "x".repeat(80));
    let mut chat = with_call();
    chat.messages[1].parts = vec![call(&id, "{}")];
    chat.messages[2].parts = vec![result(&id, vec![text("here")], false)];

    let body = write(&chat);

    let of_call = &body["messages"][1]["content"][0]["toolUse"]["toolUseId"];
    let of_result = &body["messages"][2]["content"][0]["toolResult"]["toolUseId"];
    assert_eq!(of_call, of_result);
    assert_eq!(of_call.as_str().map(str::len), Some(64));
}

#[test]
fn thoughts_that_are_only_to_be_seen_are_lost() {
    let mut chat = chat([(Role::User, vec![text("Hi")])]);
    chat.reasoning = Some(Reasoning {
        is_shown: Some(true),
        ..Reasoning::default()
    });

    check_refused(&chat, "reasoning_effort");
}

#[test]
fn a_budget_is_told_as_the_nearest_effort() {
    let mut chat = hello();
    chat.reasoning = Some(Reasoning {
        budget: Some(9_000),
        is_shown: Some(true),
        ..Reasoning::default()
    });

    assert_eq!(write(&chat)["outputConfig"]["effort"], "high");
}

#[test]
fn every_choice_of_tools_has_its_words() {
    let choice = |tool_choice: ToolChoice| {
        let body = write(&Chat {
            tools: vec![tool("find"), tool("stop")],
            tool_choice: Some(tool_choice),
            ..hello()
        });
        let tools = body["toolConfig"]["tools"].as_array().map_or(0, Vec::len);
        (tools, body["toolConfig"]["toolChoice"].clone())
    };
    let find_only = |is_required| ToolChoice::Among {
        names: vec!["find".to_owned()],
        is_required,
    };

    assert_eq!(choice(ToolChoice::Auto), (2, json!({"auto": {}})));
    assert_eq!(choice(ToolChoice::Required), (2, json!({"any": {}})));
    assert_eq!(
        choice(ToolChoice::Named("stop".to_owned())),
        (2, json!({"tool": {"name": "stop"}}))
    );
    assert_eq!(choice(find_only(false)), (1, json!({"auto": {}})));
    assert_eq!(choice(find_only(true)), (1, json!({"any": {}})));
    assert_eq!(choice(ToolChoice::None), (0, Value::Null));
}

#[test]
fn a_tool_without_parameters_takes_an_empty_object() {
    let body = write(&Chat {
        tools: vec![tool("find")],
        ..hello()
    });

    assert_eq!(
        body["toolConfig"],
        json!({"tools": [
            {"toolSpec": {"name": "find", "inputSchema": {"json": {"type": "object", "properties": {}}}}},
        ]})
    );
}

#[test]
fn tools_that_were_called_cannot_be_forbidden() {
    let chat = Chat {
        tool_choice: Some(ToolChoice::None),
        ..with_call()
    };

    check_refused(&chat, "tool_choice");
    let dropped = write_with(&chat, true).unwrap();
    assert_eq!(dropped["toolConfig"], write(&with_call())["toolConfig"]);
}

#[test]
fn calls_without_tools_are_refused_here_since_bedrock_would() {
    let chat = Chat {
        tools: Vec::new(),
        ..with_call()
    };

    check_refused(&chat, "tools");
    assert!(write_with(&chat, true).is_err());
}

#[test]
fn one_call_at_a_time_cannot_be_asked() {
    let chat = Chat {
        parallel_tool_calls: Some(false),
        ..with_call()
    };

    check_refused(&chat, "parallel_tool_calls");
}

#[test]
fn a_request_asks_for_no_more_strictness_than_the_api_takes() {
    let nullable = |n: usize| (format!("p{n}"), json!({"type": ["string", "null"]}));
    let properties: serde_json::Map<String, Value> = (0..9).map(nullable).collect();
    let required: Vec<&String> = properties.keys().collect();
    let schema = json!({"type": "object", "required": required, "properties": properties});
    let strict = Tool {
        parameters: Some(schema.clone()),
        strict: Some(true),
        ..tool("find")
    };
    let mut chat = hello();
    chat.tools = vec![strict.clone(), strict];

    let without_format = write(&chat);
    chat.format = Some(Format::Schema(Schema {
        schema: schema.clone(),
        ..Schema::default()
    }));
    let with_format = write(&chat);

    let is_strict =
        |body: &Value, n: usize| body["toolConfig"]["tools"][n]["toolSpec"]["strict"] == true;
    assert!(is_strict(&without_format, 0));
    assert!(!is_strict(&without_format, 1));
    assert!(with_format["outputConfig"]["textFormat"].is_object());
    assert!(!is_strict(&with_format, 0));
}
