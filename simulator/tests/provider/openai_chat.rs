//! OpenAI's chat: what it refuses, and the cues that it follows.

use serde_json::{Value, json};

use crate::harness::{Provider, at_once, events_of, json_of, send};

fn weather() -> Value {
    let parameters = json!({
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city", "days"],
    });
    json!([{"type": "function", "function": {"name": "weather", "parameters": parameters}}])
}

fn user(content: Value) -> Value {
    json!([{"role": "user", "content": content}])
}

/// What is said to a chat with `fields`.
async fn choice(fields: Value) -> Value {
    let provider = Provider::start(at_once()).await;
    let response = send(provider.chat(fields)).await;
    let status = response.status();
    let answer = json_of(response).await;
    assert_eq!(status, 200, "{answer}");
    answer["choices"][0].clone()
}

/// The deltas of the same, put together as clients do it.
async fn streamed(mut fields: Value) -> (String, String, Vec<(String, String)>, String) {
    fields["stream"] = true.into();
    let provider = Provider::start(at_once()).await;
    let events = events_of(send(provider.chat(fields)).await).await;
    let (mut thoughts, mut text, mut finish) = (String::new(), String::new(), String::new());
    let mut calls: Vec<(String, String)> = Vec::new();
    for event in &events[..events.len() - 1] {
        let chunk: Value = serde_json::from_str(event).unwrap();
        let choice = &chunk["choices"][0];
        let delta = &choice["delta"];
        thoughts += delta["reasoning_content"].as_str().unwrap_or_default();
        text += delta["content"].as_str().unwrap_or_default();
        if let Some(call) = delta["tool_calls"].get(0) {
            let function = &call["function"];
            let index = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
            if let Some(name) = function["name"].as_str() {
                assert_eq!(index, calls.len());
                assert!(call["id"].as_str().unwrap().starts_with("call_"));
                calls.push((name.to_owned(), String::new()));
            }
            calls[index].1 += function["arguments"].as_str().unwrap();
        }
        finish += choice["finish_reason"].as_str().unwrap_or_default();
    }
    (thoughts, text, calls, finish)
}

#[tokio::test]
async fn two_tools_are_called_in_parallel() {
    let fields = json!({"messages": user(json!("use two tools")), "tools": weather()});

    let choice = choice(fields.clone()).await;
    let (_, text, calls, finish) = streamed(fields).await;

    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(choice["message"]["content"], Value::Null);
    let told: Vec<_> = choice["message"]["tool_calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| call["function"]["arguments"].as_str().unwrap())
        .collect();
    let expected = [
        r#"{"city":"Paris","days":1}"#,
        r#"{"city":"Berlin","days":2}"#,
    ];
    assert_eq!(told, expected);
    let ids: Vec<_> = choice["message"]["tool_calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| call["id"].clone())
        .collect();
    assert_ne!(ids[0], ids[1]);
    let expected = expected.map(|arguments| ("weather".to_owned(), arguments.to_owned()));
    assert_eq!((text.as_str(), finish.as_str()), ("", "tool_calls"));
    assert_eq!(calls, expected);
}

#[tokio::test]
async fn results_are_told() {
    let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "weather", "arguments": "{}"}});
    let result =
        |id: &str, text: &str| json!({"role": "tool", "tool_call_id": id, "content": text});
    let messages = json!([
        {"role": "user", "content": "use two tools"},
        {"role": "assistant", "content": null, "tool_calls": [call("a"), call("b")]},
        result("b", "rain"),
        result("a", "sun"),
    ]);

    let choice = choice(json!({"messages": messages, "tools": weather()})).await;

    assert_eq!(choice["message"]["content"], "tools said: rain | sun");
    assert_eq!(choice["finish_reason"], "stop");
}

#[tokio::test]
async fn thoughts_come_first_and_are_counted() {
    let provider = Provider::start(at_once()).await;
    let fields = json!({"reasoning_effort": "low"});

    let answer = json_of(send(provider.chat(fields.clone())).await).await;
    let (thoughts, text, ..) = streamed(fields).await;

    let message = &answer["choices"][0]["message"];
    assert_eq!(message["reasoning_content"], "thinking about it");
    assert_eq!(message["content"], "the river runs");
    assert_eq!(answer["usage"]["completion_tokens"], 6);
    let details = &answer["usage"]["completion_tokens_details"];
    assert_eq!(details["reasoning_tokens"], 3);
    assert_eq!(
        (thoughts.as_str(), text.as_str()),
        ("thinking about it", "the river runs")
    );
}

#[tokio::test]
async fn the_text_follows_its_cue() {
    let schema = json!({
        "type": "object",
        "properties": {"is_on": {"type": "boolean"}, "unit": {"enum": ["c", "f"]}},
    });
    let format = json!({"type": "json_schema", "json_schema": {"name": "s", "schema": schema}});
    let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,Zm9v"}});
    let file = json!({"type": "file", "file": {"file_data": "data:application/pdf;base64,Zm9v"}});
    for (fields, text) in [
        (
            json!({"messages": user(json!("repeat after me:  \"x\"\n\u{2028} "))}),
            " \"x\"\n\u{2028} ",
        ),
        (
            json!({"response_format": format}),
            r#"{"is_on":true,"unit":"c"}"#,
        ),
        (
            json!({"messages": user(json!([image, image]))}),
            "saw 2 image(s) the river runs",
        ),
        (
            json!({"messages": user(json!([file]))}),
            "read 1 file(s) the river runs",
        ),
    ] {
        let whole = choice(fields.clone()).await;
        let (_, streamed, ..) = streamed(fields).await;

        assert_eq!(whole["message"]["content"], text);
        assert_eq!(streamed, text);
    }
}

#[tokio::test]
async fn what_openai_refuses_is_refused_with_its_field() {
    let provider = Provider::start(at_once()).await;
    let call =
        json!({"id": "a", "type": "function", "function": {"name": "weather", "arguments": "{}"}});
    let asked = json!({"role": "assistant", "tool_calls": [call]});
    let object_arguments = json!({"role": "assistant", "tool_calls": [
        {"id": "a", "type": "function", "function": {"name": "weather", "arguments": {}}},
    ]});
    let result = json!({"role": "tool", "tool_call_id": "a", "content": "x"});
    let stray = json!({"role": "tool", "tool_call_id": "b", "content": "x"});
    let image = |url: &str| user(json!([{"type": "image_url", "image_url": {"url": url}}]));
    let open = json!({"type": "json_schema", "json_schema": {
        "name": "s", "strict": true, "schema": {"type": "object", "properties": {}},
    }});
    for (fields, param) in [
        (json!({"topk": 1}), "topk"),
        (json!({"messages": null}), "messages"),
        (json!({"messages": []}), "messages"),
        (
            json!({"messages": [{"role": "user", "content": "x", "cache": 1}]}),
            "messages[0].cache",
        ),
        (
            json!({"messages": user(json!([{"type": "text", "text": "x", "cache_control": {}}]))}),
            "messages[0].content[0].cache_control",
        ),
        (
            json!({"messages": [{"role": "model", "content": "x"}]}),
            "messages[0].role",
        ),
        (json!({"messages": [result]}), "messages[0].role"),
        (
            json!({"messages": [asked, stray]}),
            "messages[1].tool_call_id",
        ),
        (
            json!({"messages": [asked, {"role": "user", "content": "x"}]}),
            "messages[1]",
        ),
        (json!({"messages": [asked]}), "messages"),
        (
            json!({"messages": [object_arguments]}),
            "messages[0].tool_calls[0].function.arguments",
        ),
        (
            json!({"messages": [{"role": "assistant"}]}),
            "messages[0].content",
        ),
        (
            json!({"messages": image("data:image/png;base64,Zm9")}),
            "messages[0].content[0].image_url.url",
        ),
        (
            json!({"messages": image("data:application/pdf;base64,Zm9v")}),
            "messages[0].content[0].image_url.url",
        ),
        (json!({"tools": []}), "tools"),
        (json!({"tool_choice": "auto"}), "tool_choice"),
        (
            json!({"tools": weather(), "tool_choice": {"type": "function", "function": {"name": "x"}}}),
            "tool_choice.function.name",
        ),
        (
            json!({"tools": [{"type": "function", "name": "weather"}]}),
            "tools[0].function",
        ),
        (json!({"temperature": 2.5}), "temperature"),
        (json!({"max_tokens": 0}), "max_tokens"),
        (
            json!({"max_tokens": 1, "max_completion_tokens": 1}),
            "max_tokens",
        ),
        (json!({"reasoning_effort": "some"}), "reasoning_effort"),
        (json!({"stream_options": {}}), "stream_options"),
        (json!({"stop": ["1", "2", "3", "4", "5"]}), "stop"),
        (
            json!({"response_format": {"type": "json_object"}}),
            "messages",
        ),
        (
            json!({"response_format": open}),
            "response_format.json_schema.schema",
        ),
    ] {
        let response = send(provider.chat(fields.clone())).await;

        assert_eq!(response.status(), 400, "{fields}");
        let error = json_of(response).await["error"].clone();
        assert_eq!(error["param"], param, "{fields}: {error}");
        assert_eq!(error["type"], "invalid_request_error");
        assert!(!error["message"].as_str().unwrap().is_empty());
    }
}
