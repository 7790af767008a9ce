//! Bedrock's conversations: answers, binary streams, refusals, and the same faults as everywhere.

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::harness::{Provider, at_once, json_of, send, with};

const MODEL: &str = "/model/anthropic.claude%3A0";
const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=sk-1/20260101/us-east-1/bedrock/aws4_request, \
    SignedHeaders=host;x-amz-date, \
    Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const HEADERS: [(&str, &str); 2] = [
    ("authorization", SIGNED),
    ("x-amz-date", "20260101T000000Z"),
];

fn converse(provider: &Provider, method: &str, fields: Value) -> RequestBuilder {
    let body = json!({"messages": [user(json!([{"text": "hi"}]))]});
    provider.post_with(&format!("{MODEL}/{method}"), &HEADERS, &with(body, fields))
}

fn user(content: Value) -> Value {
    json!({"role": "user", "content": content})
}

async fn answer(fields: Value) -> Value {
    let provider = Provider::start(at_once()).await;
    let response = send(converse(&provider, "converse", fields)).await;
    let status = response.status();
    let answer = json_of(response).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

async fn stream(fields: Value) -> Vec<(String, Value)> {
    let provider = Provider::start(at_once()).await;
    frames_of(converse(&provider, "converse-stream", fields)).await
}

/// The names and the payloads of a whole stream.
async fn frames_of(request: RequestBuilder) -> Vec<(String, Value)> {
    let response = send(request).await;
    let content_type = &response.headers()["content-type"];
    assert_eq!(content_type, "application/vnd.amazon.eventstream");
    let bytes = response.bytes().await.unwrap();
    let mut rest = &bytes[..];
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let number = |at: usize| u32::from_be_bytes(rest[at..at + 4].try_into().unwrap()) as usize;
        let (total, headers) = (number(0), number(4));
        let (frame, others) = rest.split_at(total);
        let name = String::from_utf8_lossy(&frame[12..12 + headers]);
        let name = name.split(['\u{7}', '\r']).nth(1).unwrap();
        let payload = serde_json::from_slice(&frame[12 + headers..total - 4]).unwrap();
        frames.push((name[2..].to_owned(), payload));
        rest = others;
    }
    frames
}

fn tools() -> Value {
    let schema =
        json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    json!({"tools": [{"toolSpec": {"name": "weather", "inputSchema": {"json": schema}}}]})
}

fn thinking() -> Value {
    json!({"thinking": {"type": "enabled", "budget_tokens": 1024}})
}

#[tokio::test]
async fn a_conversation_is_answered_with_its_usage() {
    let answer = answer(json!({})).await;

    let message = json!({"role": "assistant", "content": [{"text": "the river runs"}]});
    assert_eq!(answer["output"]["message"], message);
    assert_eq!(answer["stopReason"], "end_turn");
    let usage = json!({
        "inputTokens": 1,
        "outputTokens": 3,
        "totalTokens": 4,
        "cacheReadInputTokens": 0,
        "cacheWriteInputTokens": 0,
    });
    assert_eq!(answer["usage"], usage);
}

#[tokio::test]
async fn a_stream_has_its_events_in_their_order() {
    let fields = json!({
        "messages": [user(json!([{"text": "one tool"}]))],
        "toolConfig": tools(),
        "additionalModelRequestFields": thinking(),
    });

    let frames = stream(fields).await;

    let mut names: Vec<_> = frames.iter().map(|(name, _)| name.as_str()).collect();
    names.dedup();
    let expected = [
        "messageStart",
        "contentBlockDelta",
        "contentBlockStop",
        "contentBlockStart",
        "contentBlockDelta",
        "contentBlockStop",
        "messageStop",
        "metadata",
    ];
    assert_eq!(names, expected);
    let said = |kind: &str, field: &str| -> String {
        let deltas = frames
            .iter()
            .map(|(_, payload)| &payload["delta"][kind][field]);
        deltas.filter_map(Value::as_str).collect()
    };
    assert_eq!(said("reasoningContent", "text"), "thinking about it");
    assert!(!said("reasoningContent", "signature").is_empty());
    assert_eq!(said("toolUse", "input"), r#"{"city":"Paris"}"#);
    assert_eq!(frames.last().unwrap().1["usage"]["inputTokens"], 2);
    let stop = frames
        .iter()
        .find(|(name, _)| name == "messageStop")
        .unwrap();
    assert_eq!(stop.1["stopReason"], "tool_use");
}

#[tokio::test]
async fn what_was_thought_and_called_is_taken_back() {
    let ask = user(json!([{"text": "two tools"}]));
    let fields = json!({"toolConfig": tools(), "additionalModelRequestFields": thinking()});
    let first = answer(with(fields.clone(), json!({"messages": [ask]}))).await;
    let message = &first["output"]["message"];
    let blocks = message["content"].as_array().unwrap();
    let result = |block: &Value, content: Value| {
        json!({"toolResult": {
            "toolUseId": block["toolUse"]["toolUseId"], "content": [content],
        }})
    };
    let results = user(json!([
        result(&blocks[1], json!({"text": "sun"})),
        result(&blocks[2], json!({"json": {"rain": 1}})),
    ]));

    let told = answer(with(fields, json!({"messages": [ask, message, results]}))).await;

    let text = &told["output"]["message"]["content"][1]["text"];
    assert_eq!(text, r#"tools said: sun | {"rain":1}"#);
}

#[tokio::test]
async fn the_text_follows_its_cue() {
    let say = |content: Value| json!({"messages": [user(content)]});
    let schema = json!({"type": "object", "properties": {"n": {"type": "number"}}, "additionalProperties": false});
    let definition = json!({"schema": schema.to_string(), "name": "s"});
    let format = json!({"type": "json_schema", "structure": {"jsonSchema": definition}});
    let image = json!({"image": {"format": "png", "source": {"bytes": "Zm9v"}}});
    let file =
        json!({"document": {"format": "pdf", "name": "a file", "source": {"bytes": "Zm9v"}}});
    for (fields, text) in [
        (say(json!([{"text": "repeat after me: x y"}])), "x y"),
        (
            json!({"outputConfig": {"textFormat": format}}),
            r#"{"n":1}"#,
        ),
        (say(json!([image])), "saw 1 image(s) the river runs"),
        (say(json!([file])), "read 1 file(s) the river runs"),
    ] {
        let whole = answer(fields.clone()).await;
        let frames = stream(fields).await;

        assert_eq!(whole["output"]["message"]["content"][0]["text"], text);
        let deltas = frames.iter().map(|(_, payload)| &payload["delta"]["text"]);
        let streamed: String = deltas.filter_map(Value::as_str).collect();
        assert_eq!(streamed, text);
    }
}

#[tokio::test]
async fn what_bedrock_refuses_is_refused_with_its_field() {
    let provider = Provider::start(at_once()).await;
    let say = |content: Value| json!({"messages": [user(content)]});
    let text = || json!([{"text": "x"}]);
    let assistant = |content: Value| json!({"role": "assistant", "content": content});
    let call = json!({"toolUse": {"toolUseId": "a", "name": "weather", "input": {}}});
    let string_input = json!({"toolUse": {"toolUseId": "a", "name": "weather", "input": "{}"}});
    let long_id = json!({"toolUse": {"toolUseId": "a".repeat(65), "name": "weather", "input": {}}});
    let result = json!({"toolResult": {"toolUseId": "a", "content": []}});
    let forged = json!({"reasoningContent": {"reasoningText": {"text": "x", "signature": "Zm9v"}}});
    let turns = |said: &Value, last: Value| {
        json!({
            "messages": [user(text()), assistant(json!([said])), user(last)], "toolConfig": tools(),
        })
    };
    for (fields, words) in [
        (json!({"max_tokens": 1}), "extraneous key [max_tokens]"),
        (json!({"messages": null}), "'messages'"),
        (
            json!({"messages": [assistant(text())]}),
            "must start with a user message",
        ),
        (
            json!({"messages": [user(text()), user(text())]}),
            "must alternate",
        ),
        (
            json!({"messages": [{"role": "system", "content": text()}]}),
            "messages[0].role",
        ),
        (
            json!({"messages": [{"role": "user", "content": "x"}]}),
            "messages[0].content",
        ),
        (
            say(json!([{"type": "text", "text": "x"}])),
            "[messages[0].content[0].type]",
        ),
        (say(json!([{"text": " "}])), "is blank"),
        (
            say(json!([{"image": {"format": "png", "source": {"bytes": "?"}}}])),
            "messages[0].content[0].image.source.bytes",
        ),
        (
            say(
                json!([{"document": {"format": "pdf", "name": "a.pdf", "source": {"bytes": "Zm9v"}}}]),
            ),
            "document file name",
        ),
        (turns(&call, text()), "Expected toolResult blocks"),
        (
            with(say(json!([result])), json!({"toolConfig": tools()})),
            "exceeds the number",
        ),
        (
            with(turns(&call, json!([result])), json!({"toolConfig": null})),
            "toolConfig field must be defined",
        ),
        (turns(&string_input, json!([result])), "toolUse.input"),
        (turns(&long_id, json!([result])), "toolUse.toolUseId"),
        (turns(&forged, text()), "Invalid `signature`"),
        (json!({"toolConfig": {"tools": []}}), "toolConfig.tools"),
        (
            with(
                json!({}),
                json!({"toolConfig": with(tools(), json!({"toolChoice": {"none": {}}}))}),
            ),
            "toolChoice",
        ),
        (
            json!({"inferenceConfig": {"topK": 1}}),
            "inferenceConfig.topK",
        ),
        (
            json!({"inferenceConfig": {"maxTokens": 1024}, "additionalModelRequestFields": thinking()}),
            "must be greater than",
        ),
        (
            json!({"inferenceConfig": {"temperature": 0.5}, "additionalModelRequestFields": thinking()}),
            "may only be set to 1",
        ),
    ] {
        let response = send(converse(&provider, "converse", fields.clone())).await;

        assert_eq!(response.status(), 400, "{fields}");
        assert_eq!(
            response.headers()["x-amzn-errortype"],
            "ValidationException"
        );
        let error = json_of(response).await;
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(words), "{fields}: {message}");
    }
}

#[tokio::test]
async fn keys_limits_and_failures_are_told_as_bedrock_tells_them() {
    let provider = Provider::start_with_key("sk-1:rpm=2").await;
    let body = json!({"messages": [user(json!([{"text": "hi"}]))]});
    let path = format!("{MODEL}/converse");
    let post = |headers: &[(&str, &str)]| send(provider.post_with(&path, headers, &body));

    let unsigned = post(&HEADERS[..1]).await;
    let wrong_key = post(&[("authorization", "Bearer sk-2")]).await;
    let bearer = post(&[("authorization", "Bearer sk-1")]).await;
    let signed = post(&HEADERS).await;
    let over = post(&HEADERS).await;

    assert_eq!(unsigned.status(), 403);
    assert_eq!(wrong_key.status(), 403);
    assert_eq!(
        wrong_key.headers()["x-amzn-errortype"],
        "UnrecognizedClientException"
    );
    assert_eq!(
        (bearer.status().as_u16(), signed.status().as_u16()),
        (200, 200)
    );
    assert!(signed.headers().contains_key("x-amzn-requestid"));
    assert_eq!(over.status(), 429);
    assert_eq!(over.headers()["x-amzn-errortype"], "ThrottlingException");
}

#[tokio::test]
async fn streams_break_as_they_are_told() {
    let provider = Provider::start(at_once()).await;
    provider.behave("sk-1", json!({"error_after": 1})).await;
    let error = frames_of(converse(&provider, "converse-stream", json!({}))).await;
    provider.behave("sk-1", json!({"end_after": 1})).await;
    let end = frames_of(converse(&provider, "converse-stream", json!({}))).await;
    // Made of no lines, it has no line ends to change.
    provider
        .behave("sk-1", json!({"line_end": "crlf", "piece": 7}))
        .await;
    let dressed = frames_of(converse(&provider, "converse-stream", json!({}))).await;

    assert_eq!(error.last().unwrap().0, "internalServerException");
    assert_eq!(end.last().unwrap().0, "contentBlockDelta");
    assert_eq!(dressed.last().unwrap().0, "metadata");
}
