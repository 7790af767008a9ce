use serde_json::{Map, json};
use shared::config::{Dialect, Manners};

use super::*;
use crate::canon::{
    Format, Message, Origin, Part, Proof, Role, Schema, Source, Tool, ToolCall, ToolChoice,
    ToolResult,
};

fn write_as(chat: &Chat, manners: Manners, losses: &Losses) -> Result<Value, BadRequest> {
    let overrides = crate::Overrides::default();
    let target = Target {
        dialect: Dialect::OpenaiChat,
        manners,
        model: "up",
        overrides: &overrides,
        drop_unsupported: false,
    };
    let body = write_chat(chat, &target, losses)?;
    Ok(serde_json::from_slice(&body).unwrap())
}

fn strict() -> Losses {
    Losses::new(Dialect::AnthropicMessages, Dialect::OpenaiChat, false)
}

#[track_caller]
fn write(chat: &Chat, manners: Manners) -> Value {
    write_as(chat, manners, &strict()).unwrap()
}

#[track_caller]
fn check_lost(chat: &Chat, manners: Manners, field: &str) {
    let refused = write_as(chat, manners, &strict()).unwrap_err();
    assert_eq!(refused.param.as_deref(), Some(field), "{manners:?}");

    let dropping = Losses::new(Dialect::AnthropicMessages, Dialect::OpenaiChat, true);
    write_as(chat, manners, &dropping).unwrap();
}

fn said(role: Role, parts: Vec<Part>) -> Chat {
    Chat {
        messages: vec![Message::new(role, parts)],
        ..Chat::default()
    }
}

fn text(text: &str) -> Part {
    Part::Text(text.to_owned())
}

fn call(signature: Option<&str>) -> Part {
    Part::ToolCall(ToolCall {
        id: "call_1".to_owned(),
        name: "f".to_owned(),
        arguments: String::new(),
        signature: signature.and_then(|data| Proof::new(Dialect::GeminiGenerate, data.to_owned())),
    })
}

#[test]
fn the_limit_has_its_old_name_for_all_but_openai() {
    let chat = Chat {
        max_tokens: Some(7),
        ..Chat::default()
    };

    for manners in Manners::ALL {
        let (there, absent) = match manners {
            Manners::Plain | Manners::Azure => ("max_completion_tokens", "max_tokens"),
            _ => ("max_tokens", "max_completion_tokens"),
        };
        let body = write(&chat, manners);
        assert_eq!(body[there], 7, "{manners:?}");
        assert_eq!(body.get(absent), None, "{manners:?}");
    }
}

#[test]
fn what_groq_refuses_is_lost() {
    let several = Chat {
        n: Some(2),
        ..Chat::default()
    };
    let biased = Chat {
        logit_bias: Some(Map::from_iter([("1".to_owned(), json!(1))])),
        ..Chat::default()
    };
    let named = Chat {
        messages: vec![Message {
            name: Some("Ada".to_owned()),
            ..Message::new(Role::User, vec![text("hi")])
        }],
        ..Chat::default()
    };
    let one = Chat {
        n: Some(1),
        ..Chat::default()
    };

    check_lost(&several, Manners::Groq, "n");
    check_lost(&biased, Manners::Groq, "logit_bias");
    check_lost(&named, Manners::Groq, "messages[0].name");
    assert_eq!(write(&one, Manners::Groq).get("n"), None);
    assert_eq!(write(&several, Manners::Plain)["n"], 2);
    assert_eq!(write(&named, Manners::Plain)["messages"][0]["name"], "Ada");
}

#[test]
fn only_servers_know_the_rarer_screws_of_a_sampler() {
    let chat = Chat {
        top_k: Some(40),
        ..Chat::default()
    };

    check_lost(&chat, Manners::Plain, "top_k");
    assert_eq!(write(&chat, Manners::Vllm)["top_k"], 40);
}

fn tool(name: &str, strict: Option<bool>, parameters: Value) -> Tool {
    Tool {
        name: name.to_owned(),
        description: None,
        parameters: Some(parameters),
        strict,
    }
}

#[test]
fn who_cannot_choose_among_some_tools_is_given_only_those() {
    let among = |name: &str| {
        Some(ToolChoice::Among {
            names: vec![name.to_owned()],
            is_required: false,
        })
    };
    let object = || json!({"type": "object"});
    let chat = Chat {
        tools: vec![tool("f", None, object()), tool("g", None, object())],
        tool_choice: among("f"),
        ..Chat::default()
    };
    let of_none = Chat {
        tool_choice: among("h"),
        ..chat.clone()
    };

    let fewer = write(&chat, Manners::Mistral);
    let refused = write_as(&of_none, Manners::Mistral, &strict()).unwrap_err();

    assert_eq!(fewer["tool_choice"], "auto");
    assert_eq!(fewer["tools"].as_array().map(Vec::len), Some(1));
    assert_eq!(refused.param.as_deref(), Some("tool_choice"));
    assert_eq!(
        write(&chat, Manners::Plain)["tool_choice"],
        json!({"type": "allowed_tools", "allowed_tools": {
            "mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]}})
    );
}

#[test]
fn what_openai_would_refuse_as_strict_is_not_called_so() {
    let closed = json!({"type": "object", "properties": {}, "additionalProperties": false});
    let optional = json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": false});
    let strict = |schema: &Value, client: Dialect, manners: Manners| {
        let chat = Chat {
            tools: vec![tool("f", Some(true), schema.clone())],
            ..Chat::default()
        };
        let losses = Losses::new(client, Dialect::OpenaiChat, false);
        let body = write_as(&chat, manners, &losses).unwrap();
        body["tools"][0]["function"]["strict"].clone()
    };
    let anthropic = Dialect::AnthropicMessages;

    assert_eq!(strict(&closed, anthropic, Manners::Plain), true);
    assert_eq!(strict(&optional, anthropic, Manners::Plain), Value::Null);
    assert_eq!(strict(&optional, anthropic, Manners::Vllm), true);
    // Its own client is told by OpenAI what is wrong.
    let openai = Dialect::OpenaiResponses;
    assert_eq!(strict(&optional, openai, Manners::Plain), true);
}

#[test]
fn a_form_that_is_no_object_is_asked_of_openai_in_words() {
    let chat = Chat {
        messages: vec![
            Message::new(Role::System, vec![text("Be brief.")]),
            Message::new(Role::User, vec![text("Hi")]),
        ],
        format: Some(Format::Schema(Schema {
            schema: json!({"type": "array", "items": {"type": "string"}}),
            ..Schema::default()
        })),
        ..Chat::default()
    };

    let body = write(&chat, Manners::Plain);

    assert_eq!(body["response_format"], Value::Null);
    let words = chat.format.as_ref().map(Format::in_words).unwrap();
    assert_eq!(
        body["messages"][1],
        json!({"role": "system", "content": words})
    );
    let schema = write(&chat, Manners::Vllm)["response_format"]["json_schema"]["schema"].clone();
    assert_eq!(schema["type"], "array");
}

#[test]
fn what_a_tool_shows_is_shown_by_the_user_after_all_results() {
    let result = |call_id: &str, parts: Vec<Part>| {
        Part::ToolResult(ToolResult {
            call_id: call_id.to_owned(),
            name: None,
            parts,
            is_error: false,
        })
    };
    let image = |url: &str| Part::Image {
        source: Source::Url(url.to_owned()),
        detail: None,
        origin: Origin::default(),
    };
    let results = vec![
        result("a", vec![text("seen"), image("https://x/a.png")]),
        result("b", vec![image("https://x/b.png")]),
    ];
    let chat = Chat {
        messages: vec![
            Message::new(Role::Tool, results),
            Message::new(Role::User, vec![text("Well?")]),
        ],
        ..Chat::default()
    };

    let body = write(&chat, Manners::Plain);

    let expected = json!([
        {"role": "tool", "tool_call_id": "a", "content": "seen"},
        {"role": "tool", "tool_call_id": "b", "content": ""},
        {"role": "user", "content": [
            {"type": "text", "text": "From the result of the tool call `a`:"},
            {"type": "image_url", "image_url": {"url": "https://x/a.png"}},
            {"type": "text", "text": "From the result of the tool call `b`:"},
            {"type": "image_url", "image_url": {"url": "https://x/b.png"}},
        ]},
        {"role": "user", "content": "Well?"},
    ]);
    assert_eq!(body["messages"], expected);
}

#[test]
fn a_files_id_means_something_to_its_own_provider_only() {
    let file = Part::File {
        source: Source::FileId("file-1".to_owned()),
        name: None,
        origin: Origin::at("messages[0].content[1]"),
    };
    let chat = said(Role::User, vec![text("a"), file]);
    let own = Losses::new(Dialect::OpenaiResponses, Dialect::OpenaiChat, false);

    check_lost(&chat, Manners::Plain, "messages[0].content[1]");
    let body = write_as(&chat, Manners::Plain, &own).unwrap();
    assert_eq!(
        body["messages"][0]["content"][1]["file"]["file_id"],
        "file-1"
    );
}

#[test]
fn what_a_message_cannot_hold_is_lost_by_its_place() {
    let place = "messages[0].content[1]";
    let image = |source| Part::Image {
        source,
        detail: None,
        origin: Origin::at(place),
    };
    let uploaded = image(Source::FileId("file-1".to_owned()));
    let linked = image(Source::Url("https://x/y.png".to_owned()));
    let sound = Part::Audio {
        data: "AAAA".to_owned(),
        media_type: "audio/flac".to_owned(),
        origin: Origin::at(place),
    };
    let result = Part::ToolResult(ToolResult {
        call_id: "call_1".to_owned(),
        name: None,
        parts: vec![text("see"), uploaded.clone()],
        is_error: true,
    });

    check_lost(
        &said(Role::User, vec![text("a"), uploaded]),
        Manners::Plain,
        place,
    );
    check_lost(
        &said(Role::User, vec![text("a"), sound]),
        Manners::Plain,
        place,
    );
    check_lost(
        &said(Role::Assistant, vec![text("a"), linked]),
        Manners::Plain,
        place,
    );
    check_lost(&said(Role::Tool, vec![result]), Manners::Plain, place);
}

#[test]
fn several_texts_stay_apart_but_for_deepseek() {
    let chat = said(Role::System, vec![text("a"), text("b")]);

    assert_eq!(
        write(&chat, Manners::Plain)["messages"][0]["content"],
        json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])
    );
    assert_eq!(
        write(&chat, Manners::DeepSeek)["messages"][0]["content"],
        "a\n\nb"
    );
}

#[test]
fn thoughts_go_back_only_to_who_takes_them() {
    let thought = Part::Thinking {
        text: "hm".to_owned(),
        signature: Proof::new(Dialect::GeminiGenerate, "s".to_owned()),
    };
    let chat = said(Role::Assistant, vec![thought.clone(), call(None)]);
    let alone = said(Role::Assistant, vec![thought]);

    for manners in [Manners::Plain, Manners::Groq, Manners::Mistral] {
        let message = &write(&chat, manners)["messages"][0];
        assert_eq!(message.get("reasoning_content"), None, "{manners:?}");
        assert_eq!(message["content"], Value::Null, "{manners:?}");
    }
    let deepseek = write(&chat, Manners::DeepSeek);
    assert_eq!(deepseek["messages"][0]["reasoning_content"], "hm");
    assert_eq!(write(&alone, Manners::Plain)["messages"], json!([]));
}

#[test]
fn mistral_finds_a_call_of_another_by_nine_letters_everywhere() {
    let result = Part::ToolResult(ToolResult {
        call_id: "call_1".to_owned(),
        name: None,
        parts: vec![Part::Image {
            source: Source::Url("https://x/a.png".to_owned()),
            detail: None,
            origin: Origin::default(),
        }],
        is_error: false,
    });
    let chat = Chat {
        messages: vec![
            Message::new(Role::Assistant, vec![call(None)]),
            Message::new(Role::Tool, vec![result]),
        ],
        ..Chat::default()
    };

    let messages = write(&chat, Manners::Mistral)["messages"].take();

    let id = messages[0]["tool_calls"][0]["id"].as_str().unwrap();
    assert!(id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    assert_eq!(messages[1]["tool_call_id"], id);
    assert_eq!(messages[2], json!({"role": "assistant", "content": "OK."}));
    let line = messages[3]["content"][0]["text"].as_str().unwrap();
    assert_eq!(line, format!("From the result of the tool call `{id}`:"));
}

#[test]
fn mistral_hears_the_system_after_a_tool_by_the_users_mouth() {
    let result = Part::ToolResult(ToolResult {
        call_id: "abcDEF123".to_owned(),
        name: None,
        parts: vec![Part::Text("a.txt".to_owned())],
        is_error: false,
    });
    let text = |role, text: &str| Message::new(role, vec![Part::Text(text.to_owned())]);
    let chat = Chat {
        messages: vec![
            text(Role::User, "hi"),
            text(Role::System, "Be brief."),
            Message::new(Role::Assistant, vec![call(None)]),
            Message::new(Role::Tool, vec![result]),
            text(Role::System, " "),
            text(Role::System, "It is noon."),
        ],
        ..Chat::default()
    };
    let roles = |manners| {
        let messages = write(&chat, manners)["messages"].take();
        let roles = messages.as_array().unwrap().iter();
        let roles: Vec<_> = roles
            .map(|it| it["role"].as_str().unwrap().to_owned())
            .collect();
        (roles.join(" "), messages)
    };

    let (mistral, messages) = roles(Manners::Mistral);
    let (openai, _) = roles(Manners::Plain);

    assert_eq!(mistral, "user system assistant tool assistant user");
    assert_eq!(messages[5]["content"], "<system>\nIt is noon.\n</system>");
    assert_eq!(openai, "user system assistant tool system system");
}

#[test]
fn google_gets_its_signatures_back() {
    let chat = said(Role::Assistant, vec![call(Some("c2ln"))]);

    let google = write(&chat, Manners::GeminiOpenai);
    let plain = write(&chat, Manners::Plain);

    let call = &google["messages"][0]["tool_calls"][0];
    assert_eq!(call["extra_content"]["google"]["thought_signature"], "c2ln");
    assert_eq!(call["function"]["arguments"], "{}");
    let call = &plain["messages"][0]["tool_calls"][0];
    assert_eq!(call.get("extra_content"), None);
}

#[test]
fn google_is_told_which_calls_are_not_its_own() {
    let chat = said(Role::Assistant, vec![call(None), call(None)]);

    let google = write(&chat, Manners::GeminiOpenai);

    let calls = &google["messages"][0]["tool_calls"];
    assert_eq!(
        calls[0]["extra_content"]["google"]["thought_signature"],
        "skip_thought_signature_validator"
    );
    assert_eq!(calls[1].get("extra_content"), None);
}

#[test]
fn every_result_is_a_message_of_its_own() {
    let result = |id: &str| {
        Part::ToolResult(ToolResult {
            call_id: id.to_owned(),
            name: None,
            parts: vec![text(id)],
            is_error: false,
        })
    };

    let body = write(
        &said(Role::Tool, vec![result("1"), result("2")]),
        Manners::Plain,
    );

    assert_eq!(
        body["messages"],
        json!([
            {"role": "tool", "tool_call_id": "1", "content": "1"},
            {"role": "tool", "tool_call_id": "2", "content": "2"},
        ])
    );
}

#[test]
fn the_clients_own_fields_go_on_within_the_dialect_and_are_lost_beyond_it() {
    let chat = Chat {
        others: vec![("extra_body".to_owned(), json!({"google": {}}))],
        ..Chat::default()
    };
    let inside = Chat {
        others: vec![("messages[0].audio".to_owned(), json!({"id": "x"}))],
        ..Chat::default()
    };
    let within = Losses::new(Dialect::OpenaiChat, Dialect::OpenaiChat, false);

    let body = write_as(&chat, Manners::GeminiOpenai, &within).unwrap();

    assert_eq!(body["extra_body"], json!({"google": {}}));
    check_lost(&chat, Manners::GeminiOpenai, "extra_body");
    let refused = write_as(&inside, Manners::GeminiOpenai, &within).unwrap_err();
    assert_eq!(refused.param.as_deref(), Some("messages[0].audio"));
}

#[test]
fn a_stream_always_asks_for_its_usage() {
    let chat = Chat {
        is_stream: true,
        ..Chat::default()
    };

    let body = write(&chat, Manners::Plain);

    assert_eq!(body["stream_options"], json!({"include_usage": true}));
}

#[test]
fn json_is_asked_for_in_words_too_where_nobody_wrote_the_word() {
    let asks = |words: &str| Chat {
        format: Some(Format::Json),
        ..said(Role::User, vec![text(words)])
    };
    let system = json!({"role": "system", "content": Format::JSON_IN_WORDS});

    for manners in [Manners::Plain, Manners::Groq] {
        let sent = write(&asks("Name a city."), manners);
        assert_eq!(sent["response_format"], json!({"type": "json_object"}));
        assert_eq!(sent["messages"][0], system, "{manners:?}");
        let sent = write(&asks("Name a city as Json."), manners);
        assert_eq!(sent["messages"].as_array().unwrap().len(), 1);
    }
    let openais = Losses::new(Dialect::OpenaiResponses, Dialect::OpenaiChat, false);
    let sent = write_as(&asks("Name a city."), Manners::Plain, &openais).unwrap();
    assert_eq!(sent["messages"].as_array().unwrap().len(), 1);
}
