use serde_json::{Map, json};
use shared::config::{Dialect, Manners};

use super::*;
use crate::Endpoint;
use crate::anthropic_messages::read_chat;
use crate::canon::{
    LogprobsAsked, Message, Origin, Part, Proof, Reasoning, Role, Source, ToolCall, ToolResult,
};

fn write_with(chat: &Chat, drop_unsupported: bool) -> Result<Value, BadRequest> {
    let target = Target {
        dialect: Dialect::AnthropicMessages,
        manners: Manners::Plain,
        model: "claude",
        overrides: &Map::new(),
        drop_unsupported,
    };
    let losses = Losses::new(Dialect::OpenaiChat, target.dialect, drop_unsupported);
    let body = write_chat(chat, &target, &losses)?;
    Ok(serde_json::from_slice(&body).unwrap())
}

#[track_caller]
fn write(chat: &Chat) -> Value {
    write_with(chat, false).unwrap()
}

/// Refused by that name, or dropped.
#[track_caller]
fn check_lost(chat: &Chat, name: &str) -> Value {
    let refused = write_with(chat, false).unwrap_err();
    assert_eq!(refused.param.as_deref(), Some(name), "{}", refused.message);
    write_with(chat, true).unwrap()
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

fn result(call_id: &str, parts: Vec<Part>) -> Message {
    let result = ToolResult {
        call_id: call_id.to_owned(),
        name: None,
        parts,
        is_error: false,
    };
    Message::new(Role::Tool, vec![Part::ToolResult(result)])
}

fn says(role: Role, words: &str) -> Message {
    Message::new(role, vec![text(words)])
}

fn chat(messages: Vec<Message>) -> Chat {
    Chat {
        messages,
        ..Chat::default()
    }
}

fn hello() -> Chat {
    chat(vec![says(Role::User, "Hi")])
}

fn texts(words: &[&str]) -> Value {
    let blocks = words
        .iter()
        .map(|words| json!({"type": "text", "text": words}));
    Value::Array(blocks.collect())
}

#[test]
fn a_chat_without_a_limit_gets_one() {
    assert_eq!(write(&hello())["max_tokens"], 4096);
    let mut limited = hello();
    limited.max_tokens = Some(7);
    assert_eq!(write(&limited)["max_tokens"], 7);
}

#[test]
fn neighbours_of_the_same_role_are_one_turn() {
    let body = write(&chat(vec![
        says(Role::User, "a"),
        says(Role::User, "b"),
        says(Role::Assistant, "c"),
        says(Role::Assistant, "d"),
        says(Role::User, "e"),
    ]));

    let expected = json!([
        {"role": "user", "content": texts(&["a", "b"])},
        {"role": "assistant", "content": texts(&["c", "d"])},
        {"role": "user", "content": texts(&["e"])},
    ]);
    assert_eq!(body["messages"], expected);
}

#[test]
fn tool_results_go_first_and_together_in_their_user_message() {
    let body = write(&chat(vec![
        says(Role::User, "a"),
        Message::new(Role::Assistant, vec![call("t1", ""), call("t2", "{}")]),
        result("t1", vec![text("1")]),
        says(Role::User, "b"),
        result("t2", vec![]),
    ]));

    let expected = json!({"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": "t1", "content": texts(&["1"])},
        {"type": "tool_result", "tool_use_id": "t2"},
        {"type": "text", "text": "b"},
    ]});
    assert_eq!(body["messages"][2], expected);
    assert_eq!(body["messages"][1]["content"][0]["input"], json!({}));
}

#[test]
fn system_messages_at_the_beginning_are_joined() {
    let body = write(&chat(vec![
        says(Role::System, "a"),
        Message::new(Role::System, vec![text("b"), text("c")]),
        says(Role::User, "d"),
    ]));

    assert_eq!(body["system"], "a\n\nb\n\nc");
    assert_eq!(
        body["messages"],
        json!([{"role": "user", "content": texts(&["d"])}])
    );
}

#[test]
fn later_system_messages_go_into_the_next_user_turn_as_text() {
    let body = write(&chat(vec![
        says(Role::User, "a"),
        Message::new(Role::Assistant, vec![call("t1", "{}")]),
        says(Role::System, "b"),
        result("t1", vec![text("1")]),
        says(Role::User, "c"),
    ]));

    let content = &body["messages"][2]["content"];
    assert_eq!(content[0]["type"], "tool_result");
    assert_eq!(content[1]["text"], "<system>\nb\n</system>");
    assert_eq!(content[2]["text"], "c");
}

#[test]
fn a_chat_of_nothing_but_system_messages_is_the_users_turn() {
    let body = write(&chat(vec![
        says(Role::System, "a"),
        says(Role::System, "b"),
    ]));

    assert_eq!(body["system"], Value::Null);
    assert_eq!(
        body["messages"],
        json!([{"role": "user", "content": texts(&["a\n\nb"])}])
    );
}

#[test]
fn an_assistant_cannot_begin() {
    let body = check_lost(
        &chat(vec![says(Role::Assistant, "a"), says(Role::User, "b")]),
        "messages",
    );

    assert_eq!(
        body["messages"],
        json!([{"role": "user", "content": texts(&["b"])}])
    );
}

#[test]
fn empty_text_is_left_out_and_so_is_a_message_of_nothing_else() {
    let body = write(&chat(vec![
        Message::new(Role::User, vec![text(""), text("a"), text(" \n")]),
        says(Role::Assistant, ""),
        says(Role::User, "b"),
    ]));

    assert_eq!(
        body["messages"],
        json!([{"role": "user", "content": texts(&["a", "b"])}])
    );
}

#[test]
fn an_assistants_last_words_do_not_end_in_white_space() {
    let body = write(&chat(vec![
        says(Role::User, "a \n"),
        says(Role::Assistant, "b \n"),
    ]));

    assert_eq!(body["messages"][0]["content"], texts(&["a \n"]));
    assert_eq!(body["messages"][1]["content"], texts(&["b"]));
}

#[test]
fn thoughts_go_back_with_their_signature_or_not_at_all() {
    let thought = |signature: Option<&str>| Part::Thinking {
        text: "Hm".to_owned(),
        signature: signature
            .and_then(|data| Proof::new(Dialect::AnthropicMessages, data.to_owned())),
    };

    let body = write(&chat(vec![
        says(Role::User, "a"),
        Message::new(
            Role::Assistant,
            vec![
                thought(None),
                thought(Some("")),
                thought(Some("s")),
                Part::RedactedThinking(Proof {
                    by: Dialect::AnthropicMessages,
                    data: "r".to_owned(),
                }),
                text("b"),
            ],
        ),
    ]));

    let expected = json!([
        {"type": "thinking", "thinking": "Hm", "signature": "s"},
        {"type": "redacted_thinking", "data": "r"},
        {"type": "text", "text": "b"},
    ]);
    assert_eq!(body["messages"][1]["content"], expected);
}

#[test]
fn arguments_that_are_no_object_are_refused() {
    for arguments in ["[1]", "7", "{\"a\":", "null"] {
        let calls = Message::new(Role::Assistant, vec![call("t1", arguments)]);
        let chat = chat(vec![says(Role::User, "a"), calls]);

        let refused = write_with(&chat, true).unwrap_err();

        assert_eq!(refused.param.as_deref(), Some("messages"));
    }
}

#[test]
fn ids_have_letters_that_the_api_takes_and_still_match() {
    let body = write(&chat(vec![
        says(Role::User, "a"),
        Message::new(Role::Assistant, vec![call("functions.find:0", "{}")]),
        result("functions.find:0", vec![]),
    ]));

    let id = &body["messages"][1]["content"][0]["id"];
    assert_eq!(id, "functions_2efind_3a0");
    assert_eq!(id, &body["messages"][2]["content"][0]["tool_use_id"]);
}

#[test]
fn images_and_documents_are_told_by_their_source() {
    let data = |media_type: &str, base64: &str| Source::Data {
        media_type: media_type.to_owned(),
        base64: base64.to_owned(),
    };
    let image = |source: Source| Part::Image {
        source,
        detail: Some("high".to_owned()),
        origin: Origin::default(),
    };
    let file = |source: Source| Part::File {
        source,
        name: Some("n".to_owned()),
        origin: Origin::default(),
    };

    let body = write(&chat(vec![Message::new(
        Role::User,
        vec![
            image(data("image/png", "AA==")),
            image(Source::Url("https://x".to_owned())),
            file(data("application/pdf", "AA==")),
            file(data("text/plain", "Zm9v")),
        ],
    )]));

    let expected = json!([
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
        {"type": "image", "source": {"type": "url", "url": "https://x"}},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="}, "title": "n"},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "foo"}, "title": "n"},
    ]);
    assert_eq!(body["messages"][0]["content"], expected);
}

#[test]
fn parts_without_a_block_are_lost_by_name() {
    let at = "messages[0].content[1]";
    let file = |source: Source| Part::File {
        source,
        name: None,
        origin: Origin::at(at),
    };
    let csv = Source::Data {
        media_type: "text/csv".to_owned(),
        base64: String::new(),
    };
    for part in [
        file(Source::FileId("file-1".to_owned())),
        file(csv),
        Part::Audio {
            data: String::new(),
            media_type: "audio/wav".to_owned(),
            origin: Origin::at(at),
        },
    ] {
        let message = Message::new(Role::User, vec![text("a"), part]);

        let body = check_lost(&chat(vec![message]), at);

        assert_eq!(body["messages"][0]["content"], texts(&["a"]));
    }
}

#[test]
fn settings_without_a_field_are_lost_by_name() {
    type Set = fn(&mut Chat);
    let settings: [(&str, Set); 10] = [
        ("min_p", |chat| chat.min_p = Some(0.1)),
        ("frequency_penalty", |chat| {
            chat.frequency_penalty = Some(0.1);
        }),
        ("presence_penalty", |chat| {
            chat.presence_penalty = Some(-0.1);
        }),
        ("seed", |chat| chat.seed = Some(1)),
        ("n", |chat| chat.n = Some(2)),
        ("logprobs", |chat| {
            chat.logprobs = Some(LogprobsAsked { top: None });
        }),
        ("logit_bias", |chat| chat.logit_bias = Some(Map::new())),
        ("verbosity", |chat| chat.verbosity = Some("low".to_owned())),
        ("temperature", |chat| chat.temperature = Some(1.5)),
        ("stop", |chat| chat.stop = vec!["\n".to_owned()]),
    ];
    for (name, set) in settings {
        let mut chat = hello();
        set(&mut chat);

        let body = check_lost(&chat, name);

        assert_eq!(body, write(&hello()), "{name}");
    }
}

#[test]
fn settings_at_their_default_are_no_loss() {
    let mut chat = hello();
    chat.n = Some(1);
    chat.frequency_penalty = Some(0.0);
    chat.presence_penalty = Some(0.0);
    chat.tool_choice = Some(ToolChoice::Auto);

    assert_eq!(write(&chat), write(&hello()));
}

#[test]
fn blank_stop_sequences_are_dropped_beside_the_others() {
    let mut chat = hello();
    chat.stop = vec!["\n".to_owned(), "END".to_owned()];

    let body = check_lost(&chat, "stop");

    assert_eq!(body["stop_sequences"], json!(["END"]));
}

#[track_caller]
fn check_thinking(reasoning: Reasoning, max_tokens: Option<u32>, expected: &Value) -> Value {
    let mut chat = hello();
    chat.reasoning = Some(reasoning);
    chat.max_tokens = max_tokens;
    let body = write(&chat);
    assert_eq!(body["thinking"], *expected);
    body
}

#[test]
fn thoughts_have_a_budget_or_none() {
    let none = Reasoning {
        effort: Some(Effort::None),
        ..Reasoning::default()
    };
    check_thinking(none, None, &json!({"type": "disabled"}));
    let budget = |budget: u32, is_shown: Option<bool>| Reasoning {
        budget: Some(budget),
        is_shown,
        effort: None,
    };
    check_thinking(budget(0, None), None, &json!({"type": "disabled"}));
    let enabled = json!({"type": "enabled", "budget_tokens": 8000});
    check_thinking(budget(8000, Some(true)), Some(9000), &enabled.clone());
    let body = check_thinking(budget(8000, None), None, &enabled);
    assert_eq!(body["max_tokens"], 12096);
    check_thinking(
        budget(1024, Some(false)),
        None,
        &json!({"type": "enabled", "budget_tokens": 1024, "display": "omitted"}),
    );
}

#[test]
fn effort_is_told_by_its_name_and_thoughts_only_if_they_are_to_be_seen() {
    let effort = |is_shown: Option<bool>| Reasoning {
        effort: Some(Effort::ExtraHigh),
        is_shown,
        budget: None,
    };
    for is_shown in [None, Some(false)] {
        let body = check_thinking(effort(is_shown), None, &Value::Null);
        assert_eq!(body["output_config"], json!({"effort": "xhigh"}));
    }
    let adaptive = json!({"type": "adaptive", "display": "summarized"});
    check_thinking(effort(Some(true)), None, &adaptive);
}

#[test]
fn a_budget_that_the_api_would_not_take_is_the_nearest_one_or_none() {
    let budget = |budget: u32| Reasoning {
        budget: Some(budget),
        ..Reasoning::default()
    };
    let enabled = |budget: u32| json!({"type": "enabled", "budget_tokens": budget});

    check_thinking(budget(1), None, &enabled(1024));
    check_thinking(budget(2000), Some(2000), &enabled(1999));
    check_thinking(budget(2000), Some(1025), &enabled(1024));
    check_thinking(budget(2000), Some(1024), &Value::Null);
}

#[test]
fn thoughts_are_left_out_where_the_api_refuses_them() {
    let budget = Some(Reasoning {
        budget: Some(2000),
        ..Reasoning::default()
    });
    let forced = Chat {
        tool_choice: Some(ToolChoice::Required),
        reasoning: budget.clone(),
        ..with_tools()
    };
    let unthought = Chat {
        messages: vec![
            says(Role::User, "Find it"),
            Message::new(Role::Assistant, vec![call("a", "{}")]),
            result("a", vec![text("here")]),
        ],
        reasoning: budget,
        ..with_tools()
    };

    assert_eq!(write(&forced)["thinking"], Value::Null);
    assert_eq!(write(&unthought)["thinking"], Value::Null);
}

#[test]
fn less_than_a_low_effort_is_told_as_that() {
    let minimal = Reasoning {
        effort: Some(Effort::Minimal),
        ..Reasoning::default()
    };

    let body = check_thinking(minimal, None, &Value::Null);

    assert_eq!(body["output_config"], json!({"effort": "low"}));
}

#[test]
fn sampling_beside_thoughts_is_lost_unless_it_is_the_default() {
    type Set = fn(&mut Chat);
    let settings: [(&str, Set); 3] = [
        ("temperature", |chat| chat.temperature = Some(0.5)),
        ("top_p", |chat| chat.top_p = Some(0.9)),
        ("top_k", |chat| chat.top_k = Some(40)),
    ];
    let mut thinking = hello();
    thinking.reasoning = Some(Reasoning {
        budget: Some(2000),
        ..Reasoning::default()
    });
    for (name, set) in settings {
        let mut chat = thinking.clone();
        set(&mut chat);

        let body = check_lost(&chat, name);

        assert_eq!(body, write(&thinking), "{name}");
    }
    thinking.temperature = Some(1.0);
    thinking.top_p = Some(0.95);
    let body = write(&thinking);
    assert_eq!(
        (&body["temperature"], &body["top_p"]),
        (&json!(1.0), &json!(0.95))
    );
}

#[test]
fn a_form_without_a_field_is_asked_for_in_words() {
    let map = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let mut chat = hello();

    chat.format = Some(Format::Json);
    let json = write(&chat);
    chat.messages.insert(0, says(Role::System, "Be brief."));
    let after_others = write(&chat);
    let schema = |strict| {
        Some(Format::Schema(Schema {
            schema: map.clone(),
            strict,
            ..Schema::default()
        }))
    };
    chat.format = schema(None);
    let of_schema = write(&chat);
    chat.format = schema(Some(true));
    let dropped = check_lost(&chat, "response_format");

    let words = Format::Json.in_words();
    assert_eq!(json["system"], *words);
    assert_eq!(json["output_config"], Value::Null);
    assert_eq!(after_others["system"], format!("Be brief.\n\n{words}"));
    let system = of_schema["system"].as_str().unwrap();
    assert!(system.ends_with(&map.to_string()), "{system}");
    assert_eq!(dropped, of_schema);
}

#[test]
fn strict_tools_are_closed_and_others_left_alone() {
    let tool = |strict, schema: &Value| {
        let mut chat = with_tools();
        chat.tools[0].strict = strict;
        chat.tools[0].parameters = Some(schema.clone());
        let tool = write(&chat)["tools"][0].clone();
        (tool["strict"].clone(), tool["input_schema"].clone())
    };
    let open = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
    let closed = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "additionalProperties": false});
    let map = json!({"type": "object", "additionalProperties": {"type": "string"}});

    assert_eq!(tool(Some(true), &open), (json!(true), closed));
    assert_eq!(tool(None, &open), (Value::Null, open.clone()));
    assert_eq!(tool(Some(true), &map), (Value::Null, map.clone()));
}

fn with_tools() -> Chat {
    let mut chat = hello();
    chat.tools = vec![Tool {
        name: "find".to_owned(),
        description: None,
        parameters: None,
        strict: Some(true),
    }];
    chat
}

#[track_caller]
fn check_choice(choice: Option<ToolChoice>, is_parallel: Option<bool>, expected: &Value) {
    let mut chat = with_tools();
    chat.tool_choice = choice;
    chat.parallel_tool_calls = is_parallel;
    assert_eq!(write(&chat)["tool_choice"], *expected);
}

#[test]
fn tools_are_chosen_in_the_apis_words() {
    let among = ToolChoice::Among {
        names: vec!["find".to_owned()],
        is_required: true,
    };
    let named = || json!({"type": "tool", "name": "find"});

    check_choice(None, None, &Value::Null);
    check_choice(None, Some(true), &Value::Null);
    check_choice(
        None,
        Some(false),
        &json!({"type": "auto", "disable_parallel_tool_use": true}),
    );
    check_choice(Some(ToolChoice::Auto), None, &json!({"type": "auto"}));
    check_choice(
        Some(ToolChoice::None),
        Some(false),
        &json!({"type": "none"}),
    );
    check_choice(
        Some(ToolChoice::Required),
        Some(false),
        &json!({"type": "any", "disable_parallel_tool_use": true}),
    );
    check_choice(Some(ToolChoice::Named("find".to_owned())), None, &named());
    check_choice(Some(among), None, &named());
}

#[test]
fn a_choice_among_some_tools_is_one_of_fewer() {
    let mut chat = with_tools();
    chat.tools.push(Tool {
        name: "stop".to_owned(),
        ..chat.tools[0].clone()
    });
    let among = |names: &[&str], is_required| {
        Some(ToolChoice::Among {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            is_required,
        })
    };

    chat.tool_choice = among(&["find"], false);
    let body = write(&chat);
    assert_eq!(body["tools"].as_array().map(Vec::len), Some(1));
    assert_eq!(body["tool_choice"], json!({"type": "auto"}));

    chat.tool_choice = among(&["find", "stop"], true);
    let body = write(&chat);
    assert_eq!(body["tools"].as_array().map(Vec::len), Some(2));
    assert_eq!(body["tool_choice"], json!({"type": "any"}));

    chat.tool_choice = among(&["other"], true);
    let refused = write_with(&chat, true).unwrap_err();
    assert_eq!(refused.param.as_deref(), Some("tool_choice"));
}

#[test]
fn a_tools_schema_is_an_objects() {
    let mut chat = with_tools();
    chat.tools[0].strict = None;
    let schemas = [
        (None, json!({"type": "object", "properties": {}})),
        (Some(json!({})), json!({"type": "object"})),
        (
            Some(json!({"type": "object", "properties": {"a": {}}})),
            json!({"type": "object", "properties": {"a": {}}}),
        ),
    ];
    for (parameters, expected) in schemas {
        chat.tools[0].parameters = parameters;

        let tool = &write(&chat)["tools"][0];

        assert_eq!(tool, &json!({"name": "find", "input_schema": expected}));
    }
}

#[test]
fn a_schemas_description_goes_into_the_schema() {
    let mut chat = hello();
    chat.format = Some(Format::Schema(Schema {
        name: Some("n".to_owned()),
        description: Some("A person.".to_owned()),
        schema: json!({"type": "object", "properties": {}}),
        strict: Some(true),
    }));

    let expected = json!({"format": {"type": "json_schema", "schema": {
        "type": "object", "properties": {}, "description": "A person.", "additionalProperties": false}}});
    assert_eq!(write(&chat)["output_config"], expected);
}

#[test]
fn what_clients_of_this_dialect_ask_can_be_asked_again() {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/fixtures/requests/anthropic_messages"
    );
    for case in [
        "documents",
        "image_from_a_tool",
        "images",
        "json_schema",
        "no_thinking",
        "one_call_at_a_time",
        "plain",
        "prefill",
        "sampling",
        "stream",
        "thinking_budget",
        "thinking_effort",
        "tool_choice",
        "turns_with_system",
        "two_calls_with_results",
    ] {
        let body = std::fs::read(format!("{folder}/{case}.json")).unwrap();
        let mut asked = read_chat(Endpoint::Messages, &body).unwrap();

        let body = write(&asked).to_string();

        let again = read_chat(Endpoint::Messages, body.as_bytes()).unwrap();
        asked.model = "claude".to_owned();
        // `system` is one text for an upstream.
        let joined = |chat: Chat| {
            let messages = chat.messages.into_iter();
            messages.map(|message| match message.role {
                Role::System => format!("{:?}", message.parts).replace("\"), Text(\"", "\\n\\n"),
                _ => format!("{message:?}"),
            })
        };
        assert!(
            joined(again.clone()).eq(joined(asked.clone())),
            "{case}: {again:?}"
        );
        asked.messages.clear();
        assert_eq!(
            Chat {
                messages: vec![],
                ..again
            },
            asked,
            "{case}"
        );
    }
}
