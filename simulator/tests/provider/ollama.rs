//! Ollama's chats and generations: lines, refusals, and what a client may look up.

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::harness::{Provider, at_once, json_of, send, with};

fn chat(provider: &Provider, fields: Value) -> RequestBuilder {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    provider.post("/api/chat", &with(body, fields))
}

async fn answer(fields: Value) -> Value {
    let provider = Provider::start(at_once()).await;
    let response = send(chat(&provider, with(fields, json!({"stream": false})))).await;
    let status = response.status();
    let answer = json_of(response).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

async fn lines_of(request: RequestBuilder) -> Vec<Value> {
    let response = send(request).await;
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let text = response.text().await.unwrap();
    let lines = text.strip_suffix('\n').unwrap().split('\n');
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

async fn stream(fields: Value) -> Vec<Value> {
    let provider = Provider::start(at_once()).await;
    lines_of(chat(&provider, fields)).await
}

fn joined(lines: &[Value], field: &str) -> String {
    lines
        .iter()
        .filter_map(|line| line["message"][field].as_str())
        .collect()
}

fn weather() -> Value {
    let parameters =
        json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    json!([{"type": "function", "function": {"name": "weather", "parameters": parameters}}])
}

#[tokio::test]
async fn a_chat_is_answered_with_its_counts() {
    let answer = answer(json!({})).await;

    let message = json!({"role": "assistant", "content": "the river runs"});
    assert_eq!(answer["message"], message);
    assert_eq!(
        (&answer["model"], &answer["done"], &answer["done_reason"]),
        (&json!("m"), &json!(true), &json!("stop"))
    );
    assert_eq!(
        (&answer["prompt_eval_count"], &answer["eval_count"]),
        (&json!(1), &json!(3))
    );
    assert!(answer["created_at"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn a_chat_streams_unless_it_is_told_not_to() {
    let lines = stream(json!({"options": {"num_predict": 2}})).await;

    assert_eq!(joined(&lines, "content"), "the river");
    let done: Vec<_> = lines.iter().map(|line| line["done"] == true).collect();
    assert_eq!(done, [false, false, true]);
    assert_eq!(lines[2]["done_reason"], "length");
    assert_eq!(lines[2]["eval_count"], 2);
    assert!(lines[0].get("eval_count").is_none());
}

#[tokio::test]
async fn thoughts_and_whole_calls_are_the_same_in_a_stream() {
    let fields = json!({
        "messages": [{"role": "user", "content": "two tools"}],
        "tools": weather(),
        "think": true,
    });

    let answer = answer(fields.clone()).await;
    let lines = stream(fields).await;

    assert_eq!(answer["message"]["thinking"], "thinking about it");
    assert_eq!(answer["done_reason"], "stop");
    let arguments = |call: &Value| call["function"]["arguments"].clone();
    let calls: Vec<_> = answer["message"]["tool_calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(arguments)
        .collect();
    assert_eq!(calls, [json!({"city": "Paris"}), json!({"city": "Berlin"})]);
    assert_eq!(joined(&lines, "thinking"), "thinking about it");
    let streamed: Vec<_> = lines
        .iter()
        .filter_map(|line| line["message"]["tool_calls"].get(0))
        .map(arguments)
        .collect();
    assert_eq!(streamed, calls);
}

#[tokio::test]
async fn the_text_follows_its_cue() {
    let user = |message: Value| json!({"messages": [with(json!({"role": "user", "content": ""}), message)]});
    let schema = json!({"type": "object", "properties": {"n": {"type": "number"}}});
    let call = json!({"function": {"name": "weather", "arguments": {"city": "Paris"}}});
    let results = json!({"messages": [
        {"role": "user", "content": "one tool"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_name": "weather", "content": "sun"},
    ]});
    for (fields, text) in [
        (user(json!({"content": "repeat after me: x y"})), "x y"),
        (json!({"format": schema}), r#"{"n":1}"#),
        (json!({"format": "json"}), r#"{"answer":"Paris"}"#),
        (
            user(json!({"images": ["Zm9v"]})),
            "saw 1 image(s) the river runs",
        ),
        (results, "tools said: sun"),
    ] {
        let whole = answer(fields.clone()).await;
        let lines = stream(fields).await;

        assert_eq!(whole["message"]["content"], text);
        assert_eq!(joined(&lines, "content"), text);
    }
}

#[tokio::test]
async fn a_generation_answers_its_prompt_and_an_empty_one_loads() {
    let provider = Provider::start(at_once()).await;
    let prompt = |prompt: &str| json!({"model": "m", "prompt": prompt, "stream": false});
    let streamed = json!({"model": "m", "prompt": "hi"});

    let answer = json_of(send(provider.post("/api/generate", &prompt("hi"))).await).await;
    let lines = lines_of(provider.post("/api/generate", &streamed)).await;
    let loaded = json_of(send(provider.post("/api/generate", &prompt(""))).await).await;

    assert_eq!(answer["response"], "the river runs");
    let text: String = lines
        .iter()
        .map(|line| line["response"].as_str().unwrap())
        .collect();
    assert_eq!(text, "the river runs");
    assert_eq!(
        (&loaded["done_reason"], &loaded["response"]),
        (&json!("load"), &json!(""))
    );
}

#[tokio::test]
async fn what_is_wrong_is_refused_with_its_field() {
    let provider = Provider::start(at_once()).await;
    let user = |message: Value| json!({"messages": [with(json!({"role": "user", "content": "x"}), message)]});
    let call = |arguments: Value| json!([{"function": {"name": "f", "arguments": arguments}}]);
    for (fields, words) in [
        (json!({"model": null}), "model is required"),
        (json!({"max_tokens": 1}), "unknown field max_tokens"),
        (
            json!({"options": {"max_tokens": 1}}),
            "unknown field options.max_tokens",
        ),
        (user(json!({"name": "x"})), "unknown field messages[0].name"),
        (user(json!({"role": "developer"})), "messages[0].role"),
        (
            user(json!({"content": [{"type": "text", "text": "x"}]})),
            "messages[0].content",
        ),
        (
            user(json!({"images": ["data:image/png;base64,Zm9v"]})),
            "illegal base64",
        ),
        (
            user(json!({"role": "assistant", "tool_calls": call(json!("{}"))})),
            "messages[0].tool_calls[0].function.arguments",
        ),
        (json!({"think": "much"}), "think"),
        (json!({"format": "xml"}), "format"),
        (
            json!({"tools": [{"type": "function", "name": "f"}]}),
            "tools[0].function",
        ),
        (json!({"options": {"stop": "x"}}), "options.stop"),
    ] {
        let response = send(chat(&provider, fields.clone())).await;

        assert_eq!(response.status(), 400, "{fields}");
        let error = json_of(response).await["error"].clone();
        let message = error.as_str().unwrap();
        assert!(message.contains(words), "{fields}: {message}");
    }
}

#[tokio::test]
async fn a_key_is_taken_and_none_is_needed() {
    let provider = Provider::start(at_once()).await;
    let body =
        json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": false});
    send(provider.post_with("/api/chat", &[], &body)).await;
    send(chat(&provider, json!({}))).await;
    provider.behave("anonymous", json!({"status": 503})).await;
    let busy = send(provider.post_with("/api/chat", &[], &body)).await;

    assert_eq!(provider.tally().await["requests"], 1);
    assert_eq!(busy.status(), 503);
    assert!(json_of(busy).await["error"].is_string());
}

#[tokio::test]
async fn streams_break_as_they_are_told() {
    let provider = Provider::start(at_once()).await;
    provider.behave("sk-1", json!({"error_after": 1})).await;
    let error = lines_of(chat(&provider, json!({}))).await;
    provider.behave("sk-1", json!({"end_after": 1})).await;
    let end = lines_of(chat(&provider, json!({}))).await;
    provider
        .behave("sk-1", json!({"garbage": {"after": 1, "line": "{oops"}}))
        .await;
    let garbage = send(chat(&provider, json!({}))).await.text().await.unwrap();

    assert!(error[1]["error"].is_string());
    assert_eq!((end.len(), &end[0]["done"]), (1, &json!(false)));
    assert_eq!(garbage.lines().nth(1), Some("{oops"));
    assert_eq!(garbage.lines().count(), 5);
}

#[tokio::test]
async fn texts_are_embedded_in_both_ways() {
    let provider = Provider::start(at_once()).await;
    let new = json!({"model": "m", "input": ["one", "two"], "dimensions": 4});
    let old = json!({"model": "m", "prompt": "one"});

    let new = json_of(send(provider.post("/api/embed", &new)).await).await;
    let old = json_of(send(provider.post("/api/embeddings", &old)).await).await;

    assert_eq!(new["embeddings"][1].as_array().unwrap().len(), 4);
    assert_eq!(new["prompt_eval_count"], 2);
    assert_eq!(old["embedding"].as_array().unwrap().len(), 256);
}

#[tokio::test]
async fn what_clients_look_up_is_there() {
    let provider = Provider::start(at_once()).await;

    let tags = json_of(send(provider.get("/api/tags")).await).await;
    let loaded = json_of(send(provider.get("/api/ps")).await).await;
    let version = json_of(send(provider.get("/api/version")).await).await;
    let show = json_of(send(provider.post("/api/show", &json!({"model": "m"}))).await).await;
    let running = send(provider.get("/")).await.text().await.unwrap();

    assert!(tags["models"][0]["digest"].is_string());
    assert!(loaded["models"][0]["expires_at"].is_string());
    assert!(version["version"].is_string());
    assert!(show["capabilities"].is_array());
    assert_eq!(running, "Ollama is running");
}
