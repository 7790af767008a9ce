use serde_json::{Map, Value, json};
use shared::config::{Dialect, Manners};

use super::*;
use crate::canon::Proof;
use crate::canon::{
    LogprobsAsked, Message, Origin, Part, Role, Schema, Source, ToolCall as CanonCall, ToolResult,
};
use crate::{Endpoint, ollama_chat};

fn write_with(chat: &Chat, is_dropping: bool) -> Result<Value, BadRequest> {
    let target = Target {
        dialect: Dialect::OllamaChat,
        manners: Manners::Plain,
        model: "upstream",
        overrides: &crate::Overrides::default(),
        drop_unsupported: is_dropping,
    };
    let losses = Losses::new(Dialect::OpenaiChat, Dialect::OllamaChat, is_dropping);
    let body = write_chat(chat, &target, &losses)?;
    Ok(serde_json::from_slice(&body).unwrap())
}

fn write(chat: &Chat) -> Value {
    write_with(chat, false).unwrap()
}

fn text(text: &str) -> Part {
    Part::Text(text.to_owned())
}

fn user(parts: Vec<Part>) -> Chat {
    Chat {
        messages: vec![Message::new(Role::User, parts)],
        ..Chat::default()
    }
}

fn tool() -> Tool {
    Tool {
        name: "f".to_owned(),
        description: None,
        parameters: None,
        strict: Some(true),
    }
}

fn call(arguments: &str) -> CanonCall {
    CanonCall {
        id: "call_a".to_owned(),
        name: "f".to_owned(),
        arguments: arguments.to_owned(),
        signature: None,
    }
}

#[test]
fn a_request_says_whether_it_streams_and_nothing_that_was_not_asked() {
    let chat = user(vec![text("Hi")]);

    assert_eq!(
        write(&chat),
        json!({"model": "upstream", "messages": [{"role": "user", "content": "Hi"}], "stream": false})
    );
}

#[test]
fn settings_become_options() {
    let chat = Chat {
        max_tokens: Some(64),
        temperature: Some(0.5),
        top_p: Some(0.9),
        top_k: Some(20),
        min_p: Some(0.1),
        frequency_penalty: Some(0.2),
        presence_penalty: Some(0.3),
        seed: Some(7),
        stop: vec!["END".to_owned()],
        is_stream: true,
        user: Some("somebody".to_owned()),
        n: Some(1),
        logprobs: Some(LogprobsAsked { top: Some(2) }),
        format: Some(Format::Json),
        ..Chat::default()
    };

    assert_eq!(
        write(&chat),
        json!({
            "model": "upstream", "messages": [], "format": "json",
            "options": {
                "num_predict": 64, "temperature": 0.5, "top_p": 0.9, "top_k": 20, "min_p": 0.1,
                "frequency_penalty": 0.2, "presence_penalty": 0.3, "seed": 7, "stop": ["END"],
            },
            "logprobs": true, "top_logprobs": 2, "stream": true,
        })
    );
}

#[test]
fn a_schema_is_the_format() {
    let schema = json!({"type": "object"});
    let chat = Chat {
        format: Some(Format::Schema(Schema {
            name: Some("n".to_owned()),
            schema: schema.clone(),
            strict: Some(true),
            ..Schema::default()
        })),
        ..Chat::default()
    };

    assert_eq!(write(&chat)["format"], schema);
}

#[track_caller]
fn check_think(reasoning: Reasoning, expected: &Value) {
    let chat = Chat {
        reasoning: Some(reasoning),
        ..Chat::default()
    };
    assert_eq!(write(&chat)["think"], *expected);
}

#[test]
fn effort_is_a_level_and_none_is_a_flag() {
    let effort = |effort| Reasoning {
        effort: Some(effort),
        ..Reasoning::default()
    };
    let budget = |budget| Reasoning {
        budget: Some(budget),
        ..Reasoning::default()
    };
    let shown = |is_shown| Reasoning {
        is_shown: Some(is_shown),
        ..Reasoning::default()
    };

    check_think(effort(Effort::None), &json!(false));
    check_think(effort(Effort::Low), &json!("low"));
    check_think(effort(Effort::Max), &json!("max"));
    check_think(budget(0), &json!(false));
    // There are no budgets, but whoever has one thinks.
    check_think(budget(1024), &json!(true));
    check_think(shown(true), &json!(true));
    check_think(shown(false), &Value::Null);
}

#[test]
fn whoever_may_call_no_tool_is_told_of_none() {
    let mut chat = Chat {
        tools: vec![tool()],
        tool_choice: Some(ToolChoice::None),
        parallel_tool_calls: Some(false),
        ..Chat::default()
    };
    assert_eq!(write(&chat).get("tools"), None);

    chat.tool_choice = Some(ToolChoice::Auto);
    chat.parallel_tool_calls = Some(true);
    let function = json!({"name": "f", "parameters": {"type": "object", "properties": {}}});
    assert_eq!(
        write(&chat)["tools"],
        json!([{"type": "function", "function": function}])
    );
}

#[test]
fn a_choice_among_some_tools_is_one_of_fewer() {
    let other = Tool {
        name: "g".to_owned(),
        ..tool()
    };
    let among = |is_required| Chat {
        tools: vec![tool(), other.clone()],
        tool_choice: Some(ToolChoice::Among {
            names: vec!["g".to_owned()],
            is_required,
        }),
        ..Chat::default()
    };

    let tools = write(&among(false))["tools"].take();

    assert_eq!(tools.as_array().map(Vec::len), Some(1));
    assert_eq!(tools[0]["function"]["name"], "g");
    check_lost(&among(true), "tool_choice");
}

#[track_caller]
fn check_lost(chat: &Chat, param: &str) {
    let refused = write_with(chat, false).unwrap_err();
    assert_eq!(refused.param.as_deref(), Some(param), "{}", refused.message);
    assert_eq!(refused.code, Some("unsupported_parameter"));
    assert!(write_with(chat, true).is_ok());
}

#[test]
fn what_ollama_has_no_words_for_is_lost_by_name() {
    let with_tool = Chat {
        tools: vec![tool()],
        ..Chat::default()
    };
    for tool_choice in [ToolChoice::Required, ToolChoice::Named("f".to_owned())] {
        let chat = Chat {
            tool_choice: Some(tool_choice),
            ..with_tool.clone()
        };
        check_lost(&chat, "tool_choice");
    }
    let one_call = Chat {
        parallel_tool_calls: Some(false),
        ..with_tool
    };
    check_lost(&one_call, "parallel_tool_calls");
    let n = Chat {
        n: Some(2),
        ..Chat::default()
    };
    check_lost(&n, "n");
    let bias = Chat {
        logit_bias: Some(Map::from_iter([("1".to_owned(), json!(5))])),
        ..Chat::default()
    };
    check_lost(&bias, "logit_bias");
    let verbosity = Chat {
        verbosity: Some("low".to_owned()),
        ..Chat::default()
    };
    check_lost(&verbosity, "verbosity");
    let other = Chat {
        others: vec![("prediction".to_owned(), json!({}))],
        ..Chat::default()
    };
    check_lost(&other, "prediction");
    let mut named = user(vec![text("Hi")]);
    named.messages[0].name = Some("Ann".to_owned());
    check_lost(&named, "messages[0].name");
    let url = Part::Image {
        source: Source::Url("https://example.com/a.png".to_owned()),
        detail: None,
        origin: Origin::at("messages[0].content[1]"),
    };
    check_lost(&user(vec![text("Hi"), url]), "messages[0].content[1]");
    let audio = Part::Audio {
        data: "AAAA".to_owned(),
        media_type: "audio/wav".to_owned(),
        origin: Origin::at("messages[0].content[0]"),
    };
    check_lost(&user(vec![audio]), "messages[0].content[0]");
}

#[test]
fn texts_of_a_message_are_joined_and_its_images_stand_apart() {
    let image = Part::Image {
        source: Source::of_url("data:image/png;base64,iVBORw0KGgo="),
        detail: Some("high".to_owned()),
        origin: Origin::default(),
    };
    let chat = user(vec![text("Before."), image, text("After.")]);

    assert_eq!(
        write(&chat)["messages"],
        json!([{"role": "user", "content": "Before.\n\nAfter.", "images": ["iVBORw0KGgo="]}])
    );
}

#[test]
fn a_round_of_tools_keeps_thoughts_objects_and_names() {
    let result = |id: &str, said: &str| {
        Part::ToolResult(ToolResult {
            call_id: id.to_owned(),
            name: None,
            parts: vec![text(said)],
            is_error: true,
        })
    };
    let thinking = Part::Thinking {
        text: "Hm.".to_owned(),
        signature: Proof::new(Dialect::GeminiGenerate, "proof".to_owned()),
    };
    let other = CanonCall {
        id: "call_b".to_owned(),
        name: "g".to_owned(),
        ..call("")
    };
    let chat = Chat {
        messages: vec![
            Message::new(
                Role::Assistant,
                vec![
                    thinking,
                    Part::RedactedThinking(Proof {
                        by: Dialect::GeminiGenerate,
                        data: "secret".to_owned(),
                    }),
                    Part::ToolCall(call(r#"{"a": 1}"#)),
                    Part::ToolCall(other),
                ],
            ),
            Message::new(
                Role::Tool,
                vec![result("call_b", "2"), result("call_a", "1")],
            ),
        ],
        ..Chat::default()
    };

    assert_eq!(
        write(&chat)["messages"],
        json!([
            {"role": "assistant", "content": "", "thinking": "Hm.", "tool_calls": [
                {"id": "call_a", "function": {"name": "f", "arguments": {"a": 1}}},
                {"id": "call_b", "function": {"name": "g", "arguments": {}}},
            ]},
            {"role": "tool", "content": "2", "tool_name": "g", "tool_call_id": "call_b"},
            {"role": "tool", "content": "1", "tool_name": "f", "tool_call_id": "call_a"},
        ])
    );
}

#[test]
fn arguments_that_are_no_object_are_refused_even_when_dropping() {
    for arguments in ["[1]", "{\"a\":", "text"] {
        let mut chat = user(vec![text("Hi")]);
        let parts = vec![text("Calling."), Part::ToolCall(call(arguments))];
        chat.messages.push(Message::new(Role::Assistant, parts));

        let refused = write_with(&chat, true).unwrap_err();

        assert_eq!(refused.param.as_deref(), Some("messages"));
    }
}

#[test]
fn what_was_written_is_read_back_the_same() {
    let mut chat = user(vec![text("Hi")]);
    chat.model = "upstream".to_owned();
    chat.is_stream = true;
    chat.temperature = Some(0.5);
    chat.format = Some(Format::Json);
    chat.tools = vec![Tool {
        parameters: Some(json!({"type": "object"})),
        strict: None,
        ..tool()
    }];
    chat.messages.push(Message::new(
        Role::Assistant,
        vec![text("Calling."), Part::ToolCall(call(r#"{"a":1}"#))],
    ));

    let written = write(&chat).to_string();
    let read = ollama_chat::read_chat(Endpoint::OllamaChat, written.as_bytes()).unwrap();

    assert_eq!(read, chat);
}
