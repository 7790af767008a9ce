use serde_json::{Map, Value, json};
use shared::config::{Dialect, Manners};

use super::*;
use crate::Endpoint;
use crate::canon::Proof;
use crate::canon::{
    Effort, Format, LogprobsAsked, Message, Origin, Part, Reasoning, Role, Schema, Source, Tool,
    ToolCall, ToolResult,
};
use crate::openai_responses::read_chat;

fn write_with(chat: &Chat, is_dropping: bool) -> Result<Value, BadRequest> {
    let losses = Losses::new(Dialect::OpenaiChat, Dialect::OpenaiResponses, is_dropping);
    write_for(chat, &losses)
}

fn write_for(chat: &Chat, losses: &Losses) -> Result<Value, BadRequest> {
    let target = Target {
        dialect: Dialect::OpenaiResponses,
        manners: Manners::Plain,
        model: "upstream-model",
        overrides: &crate::Overrides::default(),
        drop_unsupported: false,
    };
    let body = write_chat(chat, &target, losses)?;
    Ok(serde_json::from_slice(&body).unwrap())
}

fn write(chat: &Chat) -> Value {
    write_with(chat, false).unwrap()
}

fn input(messages: Vec<Message>) -> Value {
    let chat = Chat {
        messages,
        ..Chat::default()
    };
    write(&chat)["input"].take()
}

fn text(text: &str) -> Part {
    Part::Text(text.to_owned())
}

fn user(words: &str) -> Message {
    Message::new(Role::User, vec![text(words)])
}

#[test]
fn a_plain_chat_is_written_with_what_is_set_and_never_stored() {
    let chat = Chat {
        model: "public".to_owned(),
        messages: vec![user("hi")],
        ..Chat::default()
    };

    assert_eq!(
        write(&chat),
        json!({
            "model": "upstream-model",
            "input": [{"type": "message", "role": "user", "content": "hi"}],
            "store": false,
        })
    );
}

#[test]
fn the_first_system_message_becomes_the_instructions() {
    let system = |words: &str| Message::new(Role::System, vec![text(words)]);
    let chat = Chat {
        messages: vec![system("Be brief."), system("Be kind."), user("hi")],
        ..Chat::default()
    };

    let body = write(&chat);

    assert_eq!(body["instructions"], "Be brief.");
    assert_eq!(
        body["input"],
        json!([
            {"type": "message", "role": "system", "content": "Be kind."},
            {"type": "message", "role": "user", "content": "hi"},
        ])
    );
}

#[test]
fn a_lone_system_message_is_input() {
    let body = write(&Chat {
        messages: vec![Message::new(Role::System, vec![text("Say hi.")])],
        ..Chat::default()
    });

    assert_eq!(body.get("instructions"), None);
    assert_eq!(
        body["input"],
        json!([{"type": "message", "role": "system", "content": "Say hi."}])
    );
}

#[test]
fn an_assistants_turn_is_written_item_by_item() {
    let thinking = |words: &str, signature: Option<&str>| Part::Thinking {
        text: words.to_owned(),
        signature: signature.and_then(|data| Proof::new(Dialect::OpenaiResponses, data.to_owned())),
    };
    let call = |id: &str, arguments: &str| {
        Part::ToolCall(ToolCall {
            id: id.to_owned(),
            name: "find".to_owned(),
            arguments: arguments.to_owned(),
            signature: Proof::new(Dialect::OpenaiResponses, "of another provider".to_owned()),
        })
    };
    let result = |id: &str, parts: Vec<Part>| {
        Part::ToolResult(ToolResult {
            call_id: id.to_owned(),
            name: Some("find".to_owned()),
            parts,
            is_error: true,
        })
    };
    let image = Part::Image {
        source: Source::Data {
            media_type: "image/png".to_owned(),
            base64: "iVBO".to_owned(),
        },
        detail: None,
        origin: Origin::default(),
    };

    let input = input(vec![
        Message::new(
            Role::Assistant,
            vec![
                thinking("Hm.", Some("gAAA")),
                thinking("Unproved.", None),
                Part::RedactedThinking(Proof {
                    by: Dialect::OpenaiResponses,
                    data: "gBBB".to_owned(),
                }),
                text("Let me"),
                text(" look."),
                call("call_a", ""),
                text(""),
                call("call_b", "{\"a\":1}"),
            ],
        ),
        Message::new(
            Role::Tool,
            vec![
                result("call_a", vec![text("found"), image]),
                result("call_b", vec![]),
            ],
        ),
    ]);

    assert_eq!(
        input,
        json!([
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}], "encrypted_content": "gAAA"},
            {"type": "reasoning", "summary": [], "encrypted_content": "gBBB"},
            {"type": "message", "role": "assistant", "content": [
                {"type": "output_text", "text": "Let me"},
                {"type": "output_text", "text": " look."},
            ]},
            {"type": "function_call", "call_id": "call_a", "name": "find", "arguments": "{}"},
            {"type": "function_call", "call_id": "call_b", "name": "find", "arguments": "{\"a\":1}"},
            {"type": "function_call_output", "call_id": "call_a", "output": [
                {"type": "input_text", "text": "found"},
                {"type": "input_image", "image_url": "data:image/png;base64,iVBO"},
            ]},
            {"type": "function_call_output", "call_id": "call_b", "output": ""},
        ])
    );
}

#[test]
fn files_are_written_by_data_url_or_id() {
    let file = |source, name: Option<&str>| Part::File {
        source,
        name: name.map(str::to_owned),
        origin: Origin::default(),
    };
    let data = Source::Data {
        media_type: "application/pdf".to_owned(),
        base64: "JVBE".to_owned(),
    };

    let input = input(vec![Message::new(
        Role::User,
        vec![
            file(data, Some("bill.pdf")),
            file(Source::Url("https://example.com/a.pdf".to_owned()), None),
            file(Source::FileId("file-1".to_owned()), None),
        ],
    )]);

    assert_eq!(
        input[0]["content"],
        json!([
            {"type": "input_file", "filename": "bill.pdf", "file_data": "data:application/pdf;base64,JVBE"},
            {"type": "input_file", "file_url": "https://example.com/a.pdf"},
            {"type": "input_file", "file_id": "file-1"},
        ])
    );
}

#[test]
fn tools_say_whether_they_are_strict() {
    let tool = |strict| Tool {
        name: "f".to_owned(),
        description: None,
        parameters: None,
        strict,
    };
    let body = write(&Chat {
        messages: vec![user("hi")],
        tools: vec![tool(None), tool(Some(true))],
        ..Chat::default()
    });

    assert_eq!(
        body["tools"],
        json!([
            {"type": "function", "name": "f", "parameters": null, "strict": false},
            {"type": "function", "name": "f", "parameters": null, "strict": true},
        ])
    );
}

#[test]
fn a_schema_without_a_name_gets_one() {
    let body = write(&Chat {
        messages: vec![user("hi")],
        format: Some(Format::Schema(Schema {
            schema: json!({"type": "object"}),
            ..Schema::default()
        })),
        ..Chat::default()
    });

    assert_eq!(
        body["text"],
        json!({"format": {"type": "json_schema", "name": "response", "schema": {"type": "object"}}})
    );
}

#[track_caller]
fn check_reasoning(reasoning: Reasoning, expected: &Value, is_encrypted: bool) {
    let body = write(&Chat {
        messages: vec![user("hi")],
        reasoning: Some(reasoning),
        ..Chat::default()
    });
    assert_eq!(&body["reasoning"], expected);
    assert_eq!(
        body["include"] == json!(["reasoning.encrypted_content"]),
        is_encrypted
    );
}

#[test]
fn reasoning_is_asked_for_by_effort_and_comes_back_encrypted() {
    let asked = Reasoning::default();
    let high = Reasoning {
        effort: Some(Effort::High),
        is_shown: Some(true),
        ..asked
    };
    let never = Reasoning {
        effort: Some(Effort::None),
        ..asked
    };
    check_reasoning(high, &json!({"effort": "high", "summary": "auto"}), true);
    check_reasoning(never, &json!({"effort": "none"}), false);
    check_reasoning(asked, &Value::Null, false);
}

#[test]
fn a_budget_is_told_as_the_nearest_effort() {
    for (budget, effort) in [
        (0, "none"),
        (1024, "low"),
        (8000, "medium"),
        (32_000, "high"),
    ] {
        let reasoning = Reasoning {
            budget: Some(budget),
            ..Reasoning::default()
        };
        check_reasoning(reasoning, &json!({ "effort": effort }), budget > 0);
    }
}

#[test]
fn log_probabilities_are_included_by_name() {
    let body = write(&Chat {
        messages: vec![user("hi")],
        logprobs: Some(LogprobsAsked { top: Some(3) }),
        ..Chat::default()
    });

    assert_eq!(body["include"], json!(["message.output_text.logprobs"]));
    assert_eq!(body["top_logprobs"], 3);
}

#[test]
fn what_cannot_be_said_is_refused_by_name_or_dropped() {
    let chat = || Chat {
        messages: vec![user("hi")],
        ..Chat::default()
    };
    let audio = Part::Audio {
        data: "UklG".to_owned(),
        media_type: "audio/wav".to_owned(),
        origin: Origin::at("messages[1].content[1]"),
    };
    let named = Message {
        name: Some("Ada".to_owned()),
        ..user("hi")
    };
    for (chat, param) in [
        (
            Chat {
                seed: Some(1),
                ..chat()
            },
            "seed",
        ),
        (
            Chat {
                stop: vec!["x".to_owned()],
                ..chat()
            },
            "stop",
        ),
        (
            Chat {
                n: Some(2),
                ..chat()
            },
            "n",
        ),
        (
            Chat {
                min_p: Some(0.1),
                ..chat()
            },
            "min_p",
        ),
        (
            Chat {
                frequency_penalty: Some(0.1),
                ..chat()
            },
            "frequency_penalty",
        ),
        (
            Chat {
                presence_penalty: Some(0.1),
                ..chat()
            },
            "presence_penalty",
        ),
        (
            Chat {
                logit_bias: Some(Map::new()),
                ..chat()
            },
            "logit_bias",
        ),
        (
            Chat {
                others: vec![("prediction".to_owned(), json!({}))],
                ..chat()
            },
            "prediction",
        ),
        (
            Chat {
                messages: vec![named],
                ..chat()
            },
            "messages[0].name",
        ),
        (
            Chat {
                messages: vec![
                    user("hi"),
                    Message::new(Role::User, vec![text("hear"), audio]),
                ],
                ..chat()
            },
            "messages[1].content[1]",
        ),
    ] {
        let refused = write_with(&chat, false).unwrap_err();
        assert_eq!(refused.param.as_deref(), Some(param));
        assert!(write_with(&chat, true).is_ok(), "{param}");
    }
    assert!(
        write_with(
            &Chat {
                n: Some(1),
                ..chat()
            },
            false
        )
        .is_ok()
    );
}

#[test]
fn what_a_client_of_this_dialect_asks_is_written_the_same() {
    let asked = json!({
        "model": "upstream-model",
        "instructions": "Be brief.",
        "input": [
            {"type": "message", "role": "user", "content": "hi"},
            {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
            {"type": "message", "role": "user", "content": [
                {"type": "input_text", "text": "Why?"},
                {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "low"},
            ]},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}], "encrypted_content": "gAAA"},
            {"type": "function_call", "call_id": "call_a", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "call_a", "output": "1"},
        ],
        "tools": [{"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": true}],
        "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
        "parallel_tool_calls": false,
        "text": {"format": {"type": "json_object"}, "verbosity": "low"},
        "reasoning": {"effort": "low", "summary": "auto"},
        "max_output_tokens": 100,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_logprobs": 2,
        "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
        "user": "u",
        "store": false,
        "stream": true,
    });

    let chat = read_chat(Endpoint::Responses, asked.to_string().as_bytes()).unwrap();

    assert_eq!(write(&chat), asked);
}

#[test]
fn what_other_dialects_clients_ask_is_not_refused_for_openais_rules() {
    let optional = json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": false});
    let list = json!({"type": "array", "items": {"type": "string"}});
    let chat = Chat {
        messages: vec![user("hi")],
        tools: vec![Tool {
            name: "f".to_owned(),
            description: None,
            parameters: Some(optional),
            strict: Some(true),
        }],
        format: Some(Format::Schema(Schema {
            schema: list.clone(),
            ..Schema::default()
        })),
        ..Chat::default()
    };
    let losses = Losses::new(Dialect::AnthropicMessages, Dialect::OpenaiResponses, false);

    let body = write_for(&chat, &losses).unwrap();

    assert_eq!(body["tools"][0]["strict"], false);
    assert_eq!(body["text"], Value::Null);
    let instructions = body["instructions"].as_str().unwrap();
    assert!(instructions.ends_with(&list.to_string()), "{instructions}");
}

#[test]
fn a_file_that_another_provider_keeps_is_refused() {
    let file = Part::File {
        source: Source::FileId("file_011".to_owned()),
        name: None,
        origin: Origin::at("messages[0].content[1]"),
    };
    let messages = [Message::new(Role::User, vec![text("See:"), file])];
    let losses = Losses::new(Dialect::AnthropicMessages, Dialect::OpenaiResponses, false);

    let refused = items::write(&messages, 0, &losses).map(drop).unwrap_err();

    assert_eq!(refused.param.as_deref(), Some("messages[0].content[1]"));
}

#[test]
fn json_is_asked_for_in_words_too_where_the_input_lacks_the_word() {
    let asks = |messages| Chat {
        format: Some(Format::Json),
        messages,
        ..Chat::default()
    };
    let system = json!({"type": "message", "role": "system", "content": Format::JSON_IN_WORDS});

    let geminis = Losses::new(Dialect::GeminiGenerate, Dialect::OpenaiResponses, false);
    let silent = write_for(&asks(vec![user("Name a city.")]), &geminis).unwrap();
    // What the system says becomes the instructions.
    let instructed = write(&asks(vec![
        Message::new(Role::System, vec![text("Answer in JSON.")]),
        user("Name a city."),
    ]));
    let said = write(&asks(vec![user("Name a city as Json.")]));

    assert_eq!(silent["text"]["format"], json!({"type": "json_object"}));
    assert_eq!(silent["input"][0], system);
    assert_eq!(instructed["instructions"], "Answer in JSON.");
    assert_eq!(instructed["input"][0], system);
    assert_eq!(said["input"].as_array().unwrap().len(), 1);
}
