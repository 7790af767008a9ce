//! Anthropic's messages: answers, streams, refusals, and the same faults as everywhere.

use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Provider, at_once, json_of, named_events_of, send, with};

const HEADERS: [(&str, &str); 2] = [("x-api-key", "sk-1"), ("anthropic-version", "2023-06-01")];

fn message(provider: &Provider, fields: Value) -> RequestBuilder {
    let body =
        json!({"model": "m", "max_tokens": 4096, "messages": [{"role": "user", "content": "hi"}]});
    provider.post_with("/v1/messages", &HEADERS, &with(body, fields))
}

async fn answer(fields: Value) -> Value {
    let provider = Provider::start(at_once()).await;
    let response = send(message(&provider, fields)).await;
    let status = response.status();
    let answer = json_of(response).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

async fn events(fields: Value) -> Vec<(String, Value)> {
    let provider = Provider::start(at_once()).await;
    let fields = with(fields, json!({"stream": true}));
    let events = named_events_of(send(message(&provider, fields)).await).await;
    for (name, data) in &events {
        assert_eq!(data["type"], name.as_str());
    }
    events
}

/// The blocks of a stream, put together as clients do it.
fn blocks_of(events: &[(String, Value)]) -> Vec<Value> {
    let mut blocks: Vec<Value> = Vec::new();
    let mut input = String::new();
    for (name, data) in events {
        match name.as_str() {
            "content_block_start" => {
                assert_eq!(data["index"], blocks.len());
                blocks.push(data["content_block"].clone());
                input.clear();
            }
            "content_block_delta" => {
                assert_eq!(data["index"], blocks.len() - 1);
                let block = blocks.last_mut().unwrap();
                for field in ["text", "thinking", "signature"] {
                    if let Some(more) = data["delta"][field].as_str() {
                        block[field] = (block[field].as_str().unwrap().to_owned() + more).into();
                    }
                }
                input += data["delta"]["partial_json"].as_str().unwrap_or_default();
            }
            "content_block_stop" if !input.is_empty() => {
                blocks.last_mut().unwrap()["input"] = serde_json::from_str(&input).unwrap();
            }
            _ => {}
        }
    }
    blocks
}

fn weather() -> Value {
    let schema =
        json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    json!([{"name": "weather", "input_schema": schema}])
}

#[tokio::test]
async fn a_message_is_answered_with_its_usage() {
    let answer = answer(json!({})).await;

    assert!(answer["id"].as_str().unwrap().starts_with("msg_"));
    assert_eq!(
        (&answer["type"], &answer["role"], &answer["model"]),
        (&json!("message"), &json!("assistant"), &json!("m"))
    );
    let text = json!([{"type": "text", "text": "the river runs"}]);
    assert_eq!(answer["content"], text);
    assert_eq!(answer["stop_reason"], "end_turn");
    let usage = &answer["usage"];
    assert_eq!(
        (
            &usage["input_tokens"],
            &usage["output_tokens"],
            &usage["cache_read_input_tokens"]
        ),
        (&json!(1), &json!(3), &json!(0))
    );
}

#[tokio::test]
async fn a_stream_has_its_events_in_their_order() {
    let events = events(json!({})).await;

    let names: Vec<_> = events.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "message_start",
        "ping",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ];
    assert_eq!(names, expected);
    assert_eq!(events[0].1["message"]["usage"]["input_tokens"], 1);
    let end = &events[7].1;
    assert_eq!(end["delta"]["stop_reason"], "end_turn");
    assert_eq!(end["usage"]["output_tokens"], 3);
    assert_eq!(blocks_of(&events)[0]["text"], "the river runs");
}

#[tokio::test]
async fn thoughts_and_calls_are_the_same_in_a_stream() {
    let fields = json!({
        "messages": [{"role": "user", "content": "two tools"}],
        "tools": weather(),
        "thinking": {"type": "enabled", "budget_tokens": 1024},
    });

    let answer = answer(fields.clone()).await;
    let mut streamed = blocks_of(&events(fields).await);

    assert_eq!(answer["stop_reason"], "tool_use");
    let content = answer["content"].as_array().unwrap();
    assert_eq!(content[0]["thinking"], "thinking about it");
    assert_eq!(content[1]["input"], json!({"city": "Paris"}));
    assert_eq!(content[2]["input"], json!({"city": "Berlin"}));
    assert_ne!(content[1]["id"], content[2]["id"]);
    for (streamed, whole) in streamed.iter_mut().zip(content).skip(1) {
        streamed["id"] = whole["id"].clone();
    }
    assert_eq!(&streamed, content);
}

#[tokio::test]
async fn what_was_thought_and_called_is_taken_back() {
    let fields = json!({
        "tools": weather(),
        "thinking": {"type": "enabled", "budget_tokens": 1024},
    });
    let ask = json!({"role": "user", "content": "two tools"});
    let asked = with(fields.clone(), json!({"messages": [ask]}));
    let content = answer(asked).await["content"].clone();
    let results: Vec<_> = content.as_array().unwrap()[1..]
        .iter()
        .zip(["sun", "rain"])
        .map(|(call, text)| json!({"type": "tool_result", "tool_use_id": call["id"], "content": text}))
        .collect();
    let messages = json!([ask, {"role": "assistant", "content": content}, {"role": "user", "content": results}]);

    let told = answer(with(fields, json!({"messages": messages}))).await;

    assert_eq!(told["content"][1]["text"], "tools said: sun | rain");
}

#[tokio::test]
async fn the_text_follows_its_cue() {
    let user = |content: Value| json!({"messages": [{"role": "user", "content": content}]});
    let schema = json!({"type": "object", "properties": {"n": {"type": "number"}}, "additionalProperties": false});
    let source = |kind: &str| json!({"type": "base64", "media_type": kind, "data": "Zm9v"});
    let image = json!({"type": "image", "source": source("image/png")});
    let document = json!({"type": "document", "source": source("application/pdf")});
    for (fields, text) in [
        (user(json!("repeat after me: x y")), "x y"),
        (
            json!({"output_config": {"format": {"type": "json_schema", "schema": schema}}}),
            r#"{"n":1}"#,
        ),
        (user(json!([image])), "saw 1 image(s) the river runs"),
        (user(json!([document])), "read 1 file(s) the river runs"),
    ] {
        let whole = answer(fields.clone()).await;
        let streamed = blocks_of(&events(fields).await);

        assert_eq!(whole["content"][0]["text"], text);
        assert_eq!(streamed[0]["text"], text);
    }
}

#[tokio::test]
async fn what_anthropic_refuses_is_refused_with_its_field() {
    let provider = Provider::start(at_once()).await;
    let user = |content: Value| json!({"role": "user", "content": content});
    let say = |blocks: Value| json!({"messages": [user(blocks)]});
    let call = json!({"type": "tool_use", "id": "a", "name": "weather", "input": {}});
    let called = json!({"role": "assistant", "content": [call]});
    let result = json!({"type": "tool_result", "tool_use_id": "a", "content": "x"});
    let text = json!({"type": "text", "text": "x"});
    let turns = |assistant: &Value, last: Value| json!({"messages": [user(json!("x")), assistant, user(last)]});
    let assistant = |block: Value| json!({"role": "assistant", "content": [block]});
    let forged = json!({"type": "thinking", "thinking": "thinking about it", "signature": "Zm9v"});
    let string_input = json!({"type": "tool_use", "id": "a", "name": "weather", "input": "{}"});
    let odd_id = json!({"type": "tool_use", "id": "a:b", "name": "weather", "input": {}});
    let image = |source: Value| say(json!([{"type": "image", "source": source}]));
    let thinking = |budget: u32, fields: Value| {
        with(
            fields,
            json!({"thinking": {"type": "enabled", "budget_tokens": budget}}),
        )
    };
    for (fields, place) in [
        (json!({"n": 1}), "n: Extra inputs are not permitted"),
        (json!({"max_tokens": null}), "max_tokens: Field required"),
        (
            say(json!([{"type": "text", "text": "x", "name": "y"}])),
            "messages.0.content.0.name: Extra inputs",
        ),
        (
            json!({"messages": [{"role": "system", "content": "x"}]}),
            "messages.0.role: Input should be",
        ),
        (
            json!({"messages": [{"role": "assistant", "content": "x"}]}),
            "messages.0: first message",
        ),
        (say(json!("")), "messages.0: user messages"),
        (
            say(json!([{"type": "text", "text": ""}])),
            "messages.0.content.0.text: text content blocks",
        ),
        (
            say(json!([result])),
            "messages.0.content.0.tool_use_id: unexpected",
        ),
        (
            turns(&called, json!("x")),
            "messages.2: `tool_use` ids were found",
        ),
        (
            turns(&called, json!([text, result])),
            "messages.2.content.1: `tool_result` blocks must come first",
        ),
        (
            json!({"messages": [user(json!("x")), called]}),
            "messages.1: `tool_use` ids were found",
        ),
        (
            json!({"messages": [user(json!("x")), {"role": "assistant", "content": "x "}]}),
            "messages.1: final assistant content",
        ),
        (
            turns(&assistant(string_input), json!([result])),
            "messages.1.content.0.input: Input should be an object",
        ),
        (
            turns(&assistant(odd_id), json!([result])),
            "messages.1.content.0.id: String should match",
        ),
        (
            turns(&assistant(forged), json!("x")),
            "messages.1.content.0.signature: Invalid `signature`",
        ),
        (
            image(
                json!({"type": "base64", "media_type": "image/png", "data": "data:image/png;base64,Zm9v"}),
            ),
            "messages.0.content.0.source.data: The base64",
        ),
        (
            image(json!({"type": "base64", "media_type": "image/tiff", "data": "Zm9v"})),
            "messages.0.content.0.source.media_type",
        ),
        (
            json!({"tools": [{"name": "weather", "parameters": {}}]}),
            "tools.0.input_schema: Field required",
        ),
        (
            json!({"tool_choice": {"type": "auto"}}),
            "tool_choice: may only",
        ),
        (
            json!({"tools": weather(), "tool_choice": {"type": "tool", "name": "x"}}),
            "tool_choice.name",
        ),
        (json!({"temperature": 1.5}), "temperature: Input should be"),
        (json!({"stop_sequences": [" "]}), "stop_sequences.0"),
        (
            json!({"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}}),
            "output_config.format.schema: For 'object' type",
        ),
        (
            json!({"tools": [{"name": "f", "strict": true, "input_schema": {"type": "object"}}]}),
            "tools.0.input_schema: For 'object' type",
        ),
        (
            thinking(1000, json!({})),
            "thinking.budget_tokens: Input should be",
        ),
        (
            thinking(4096, json!({})),
            "thinking.budget_tokens: `max_tokens`",
        ),
        (
            thinking(1024, json!({"temperature": 0.5})),
            "temperature: may only be set to 1",
        ),
        (thinking(1024, json!({"top_k": 1})), "top_k: must be unset"),
        (
            thinking(
                1024,
                json!({"tools": weather(), "tool_choice": {"type": "any"}}),
            ),
            "tool_choice: Thinking may not",
        ),
        (
            thinking(1024, turns(&called, json!([result]))),
            "messages.1: Expected `thinking`",
        ),
    ] {
        let response = send(message(&provider, fields.clone())).await;

        assert_eq!(response.status(), 400, "{fields}");
        let error = json_of(response).await;
        assert_eq!(error["type"], "error");
        assert_eq!(error["error"]["type"], "invalid_request_error");
        let text = error["error"]["message"].as_str().unwrap();
        assert!(text.starts_with(place), "{fields}: {text}");
    }
}

#[tokio::test]
async fn the_version_decides_about_sampling() {
    let provider = Provider::start(at_once()).await;
    let body = json!({
        "model": "m", "max_tokens": 1, "temperature": 1,
        "messages": [{"role": "user", "content": "hi"}],
    });
    for (version, status) in [
        (None, 400),
        (Some("2023-06-01"), 200),
        (Some("2026-10-21"), 400),
    ] {
        let mut headers = vec![("authorization", "Bearer sk-1")];
        headers.extend(version.map(|version| ("anthropic-version", version)));

        let response = send(provider.post_with("/v1/messages", &headers, &body)).await;

        assert_eq!(response.status(), status, "{version:?}");
    }
}

#[tokio::test]
async fn betas_let_the_system_speak_between_turns() {
    let provider = Provider::start(at_once()).await;
    let body = json!({
        "model": "m", "max_tokens": 1,
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "system", "content": "It is noon.", "output_config": {"effort": "low"}},
        ],
    });
    let [management, system, control] = [
        "context-management-2025-06-27",
        "mid-conversation-system-2026-04-07",
        "per-turn-control-2026-07-01",
    ];
    for (betas, refused) in [
        (String::new(), Some("messages.1.role: ")),
        (system.to_owned(), Some("messages.1.output_config: ")),
        (format!("{system},{control}"), Some("context_management: ")),
        (format!("{system}, {control},{management}"), None),
    ] {
        let mut headers = HEADERS.to_vec();
        headers.push(("anthropic-beta", &betas));

        let response = send(provider.post_with("/v1/messages", &headers, &body)).await;

        assert_eq!(response.status() == 200, refused.is_none(), "{betas}");
        let said = json_of(response).await["error"]["message"].take();
        let said = said.as_str().unwrap_or_default();
        assert!(
            said.starts_with(refused.unwrap_or_default()),
            "{betas}: {said}"
        );
    }
    let betas = format!("{system},{control}");
    let headers = [HEADERS[0], HEADERS[1], ("anthropic-beta", &betas)];
    let first = async |content: Value| {
        let set = json!({"role": "system", "content": content, "output_config": {"effort": "low"}});
        let body = json!({
            "model": "m", "max_tokens": 9, "messages": [set, {"role": "user", "content": "hi"}],
        });
        json_of(send(provider.post_with("/v1/messages", &headers, &body)).await).await
    };
    let said = first(json!("It is noon.")).await["error"]["message"].take();
    assert!(
        said.as_str().unwrap().contains("initial system prompt"),
        "{said}"
    );
    assert_eq!(first(json!([])).await["content"][0]["type"], "thinking");
}

#[tokio::test]
async fn keys_limits_and_failures_are_told_as_anthropic_tells_them() {
    let provider = Provider::start_with_key("sk-1:rpm=1").await;
    let body = json!({});
    let version = [("anthropic-version", "2023-06-01")];
    let no_key = send(provider.post_with("/v1/messages", &version, &body)).await;
    let wrong_key = [("x-api-key", "sk-2"), version[0]];
    let wrong_key = send(provider.post_with("/v1/messages", &wrong_key, &body)).await;
    let first = send(message(&provider, json!({}))).await;
    let over = send(message(&provider, json!({}))).await;
    provider.behave("sk-1", json!({"status": 529})).await;
    provider.reset().await;
    let models = provider.get("/v1/models");
    let models = send(models.header("anthropic-version", "2023-06-01")).await;

    for refused in [no_key, wrong_key] {
        assert_eq!(refused.status(), 401);
        assert_eq!(
            json_of(refused).await["error"]["type"],
            "authentication_error"
        );
    }
    assert_eq!(first.status(), 200);
    assert!(first.headers().contains_key("request-id"));
    assert_eq!(
        first.headers()["anthropic-ratelimit-requests-remaining"],
        "0"
    );
    let reset = first.headers()["anthropic-ratelimit-requests-reset"]
        .to_str()
        .unwrap();
    assert!(reset.contains('T') && reset.ends_with('Z'), "{reset}");
    assert_eq!(over.status(), 429);
    assert_eq!(over.headers()["retry-after"], "60");
    assert!(!over.headers().contains_key("retry-after-ms"));
    assert_eq!(json_of(over).await["error"]["type"], "rate_limit_error");
    assert_eq!(models.status(), StatusCode::from_u16(529).unwrap());
    assert_eq!(json_of(models).await["error"]["type"], "overloaded_error");
}

#[tokio::test]
async fn streams_break_as_they_are_told() {
    let provider = Provider::start(at_once()).await;
    provider.behave("sk-1", json!({"error_after": 1})).await;
    let error = named_events_of(send(message(&provider, json!({"stream": true}))).await).await;
    provider.behave("sk-1", json!({"end_after": 1})).await;
    let end = named_events_of(send(message(&provider, json!({"stream": true}))).await).await;
    provider.behave("sk-1", json!({"cut_after": 1})).await;
    let cut = send(message(&provider, json!({"stream": true}))).await;

    let (name, data) = error.last().unwrap();
    assert_eq!(name, "error");
    assert_eq!(data["error"]["type"], "api_error");
    assert_eq!(end.last().unwrap().0, "content_block_delta");
    assert!(cut.bytes().await.is_err());
}

#[tokio::test]
async fn tokens_are_counted_without_an_answer() {
    let provider = Provider::start(at_once()).await;
    let body =
        json!({"model": "m", "system": "1234", "messages": [{"role": "user", "content": "12345"}]});
    let path = "/v1/messages/count_tokens";

    let count = json_of(send(provider.post_with(path, &HEADERS, &body)).await).await;
    let with_limit = with(body, json!({"max_tokens": 1}));
    let refused = send(provider.post_with(path, &HEADERS, &with_limit)).await;

    assert_eq!(count, json!({"input_tokens": 3}));
    assert_eq!(refused.status(), 400);
}

#[tokio::test]
async fn models_are_listed_for_who_says_the_version() {
    let provider = Provider::start(at_once()).await;
    let versioned = |path: &str| provider.get(path).header("anthropic-version", "2023-06-01");

    let list = json_of(send(versioned("/v1/models")).await).await;
    let model = json_of(send(versioned("/v1/models/m")).await).await;

    assert_eq!(list["data"][0]["type"], "model");
    assert_eq!(list["has_more"], false);
    assert_eq!(
        (&model["id"], &model["type"]),
        (&json!("m"), &json!("model"))
    );
}
