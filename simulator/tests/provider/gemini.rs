//! Gemini's contents: answers, both kinds of stream, refusals, and the same faults as everywhere.

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::harness::{Provider, at_once, json_of, send, with};

const HEADERS: [(&str, &str); 1] = [("x-goog-api-key", "sk-1")];

fn generate(provider: &Provider, method: &str, fields: Value) -> RequestBuilder {
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
    let path = format!("/v1beta/models/{method}");
    provider.post_with(&path, &HEADERS, &with(body, fields))
}

async fn answer_of(model: &str, fields: Value) -> Value {
    let provider = Provider::start(at_once()).await;
    let response = send(generate(
        &provider,
        &format!("{model}:generateContent"),
        fields,
    ))
    .await;
    let status = response.status();
    let answer = json_of(response).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

/// The responses of a stream, which must be the same in both framings.
async fn stream_of(model: &str, fields: Value) -> Vec<Value> {
    let provider = Provider::start(at_once()).await;
    let method = format!("{model}:streamGenerateContent");
    let array = json_of(send(generate(&provider, &method, fields.clone())).await).await;
    let events = send(generate(&provider, &format!("{method}?alt=sse"), fields)).await;
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    let events = events_of(&events.text().await.unwrap());
    let ids = |responses: &[Value]| -> Vec<Value> {
        responses
            .iter()
            .map(|it| with(it.clone(), json!({"responseId": null})))
            .collect()
    };
    assert_eq!(ids(array.as_array().unwrap()), ids(&events));
    events
}

fn events_of(text: &str) -> Vec<Value> {
    let events = text.strip_suffix("\r\n\r\n").unwrap().split("\r\n\r\n");
    events
        .map(|event| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap())
        .collect()
}

fn parts_of(response: &Value) -> &Vec<Value> {
    response["candidates"][0]["content"]["parts"]
        .as_array()
        .unwrap()
}

fn text_of(stream: &[Value]) -> String {
    let parts = stream.iter().flat_map(parts_of);
    let said = parts.filter(|part| part.get("thought").is_none());
    said.filter_map(|part| part["text"].as_str()).collect()
}

fn user(text: &str) -> Value {
    json!({"role": "user", "parts": [{"text": text}]})
}

fn weather() -> Value {
    let parameters =
        json!({"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]});
    json!([{"functionDeclarations": [{"name": "weather", "parameters": parameters}]}])
}

#[tokio::test]
async fn a_content_is_answered_with_its_usage() {
    let answer = answer_of("m", json!({})).await;

    let candidate = json!({
        "content": {"parts": [{"text": "the river runs"}], "role": "model"},
        "finishReason": "STOP",
        "index": 0,
    });
    assert_eq!(answer["candidates"], json!([candidate]));
    assert_eq!(answer["modelVersion"], "m");
    let usage = json!({
        "promptTokenCount": 1,
        "candidatesTokenCount": 3,
        "totalTokenCount": 4,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 1}],
    });
    assert_eq!(answer["usageMetadata"], usage);
}

#[tokio::test]
async fn a_stream_tells_its_usage_all_along_and_ends_without_a_mark() {
    let stream = stream_of("m", json!({})).await;

    assert_eq!(text_of(&stream), "the river runs");
    let totals: Vec<_> = stream
        .iter()
        .map(|it| it["usageMetadata"]["totalTokenCount"].as_u64().unwrap())
        .collect();
    assert_eq!(totals, [2, 3, 4, 4]);
    let reasons: Vec<_> = stream
        .iter()
        .filter_map(|it| it["candidates"][0]["finishReason"].as_str())
        .collect();
    assert_eq!(reasons, ["STOP"]);
}

#[tokio::test]
async fn several_candidates_are_counted_and_the_limit_is_each_ones() {
    let config = json!({"generationConfig": {"candidateCount": 2, "maxOutputTokens": 2}});

    let answer = answer_of("m", config).await;

    assert_eq!(answer["candidates"][1]["finishReason"], "MAX_TOKENS");
    assert_eq!(answer["candidates"][1]["index"], 1);
    assert_eq!(answer["usageMetadata"]["candidatesTokenCount"], 4);
}

#[tokio::test]
async fn thoughts_and_whole_calls_are_the_same_in_a_stream() {
    let fields = json!({
        "contents": [user("two tools")],
        "tools": weather(),
        "generationConfig": {"thinkingConfig": {"includeThoughts": true, "thinkingBudget": 1000}},
    });

    let answer = answer_of("m", fields.clone()).await;
    let stream = stream_of("m", fields).await;

    let parts = parts_of(&answer);
    assert_eq!(
        parts[0],
        json!({"text": "thinking about it", "thought": true})
    );
    assert_eq!(
        parts[1]["functionCall"],
        json!({"name": "weather", "args": {"city": "Paris"}})
    );
    assert_eq!(parts[2]["functionCall"]["args"]["city"], "Berlin");
    assert!(parts[1]["thoughtSignature"].is_string());
    assert!(parts[2].get("thoughtSignature").is_none());
    assert_eq!(answer["usageMetadata"]["thoughtsTokenCount"], 3);
    let calls: Vec<_> = stream
        .iter()
        .flat_map(parts_of)
        .filter(|part| part.get("functionCall").is_some())
        .collect();
    assert_eq!(calls, [&parts[1], &parts[2]]);
}

#[tokio::test]
async fn what_was_called_is_taken_back_with_its_signature() {
    let ask = user("one tool");
    let fields = json!({"contents": [ask], "tools": weather()});
    let call = answer_of("gemini-3-pro", fields).await["candidates"][0]["content"].clone();
    let response = json!({"name": "weather", "response": {"result": "sun"}});
    let results = json!({"role": "user", "parts": [{"functionResponse": response}]});
    let mut unsigned = call.clone();
    unsigned["parts"][0]
        .as_object_mut()
        .unwrap()
        .remove("thoughtSignature");
    let mut forged = call.clone();
    forged["parts"][0]["thoughtSignature"] = "Zm9v".into();
    let turn = |call: &Value| json!({"contents": [ask, call, results], "tools": weather()});
    let earlier = json!({"contents": [ask, unsigned, results, user("hi")], "tools": weather()});

    let answer = answer_of("gemini-3-pro", turn(&call)).await;
    answer_of("gemini-2.5-pro", turn(&unsigned)).await;
    answer_of("gemini-3-pro", earlier).await;
    let provider = Provider::start(at_once()).await;
    let method = "gemini-3-pro:generateContent";
    let unsigned = send(generate(&provider, method, turn(&unsigned))).await;
    let forged = send(generate(&provider, method, turn(&forged))).await;

    assert_eq!(parts_of(&answer)[0]["text"], "tools said: sun");
    for (refused, words) in [
        (unsigned, "missing a thought_signature"),
        (forged, "is not valid"),
    ] {
        assert_eq!(refused.status(), 400);
        let error = json_of(refused).await;
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.contains(words), "{message}");
    }
}

#[tokio::test]
async fn the_text_follows_its_cue() {
    let say = |parts: Value| json!({"contents": [{"role": "user", "parts": parts}]});
    let data = |kind: &str| json!({"inlineData": {"mimeType": kind, "data": "Zm9v"}});
    let schema = json!({"type": "OBJECT", "properties": {"n": {"type": "NUMBER"}}});
    for (fields, text) in [
        (say(json!([{"text": "repeat after me: x y"}])), "x y"),
        (
            json!({"generation_config": {"response_mime_type": "application/json", "response_schema": schema}}),
            r#"{"n":1}"#,
        ),
        (
            say(json!([data("image/png")])),
            "saw 1 image(s) the river runs",
        ),
        (
            say(json!([data("application/pdf")])),
            "read 1 file(s) the river runs",
        ),
    ] {
        let whole = answer_of("m", fields.clone()).await;
        let stream = stream_of("m", fields).await;

        assert_eq!(parts_of(&whole)[0]["text"], text);
        assert_eq!(text_of(&stream), text);
    }
}

#[tokio::test]
async fn what_gemini_refuses_is_refused_with_its_field() {
    let provider = Provider::start(at_once()).await;
    let say = |parts: Value| json!({"contents": [{"role": "user", "parts": parts}]});
    let config = |config: Value| json!({"generationConfig": config});
    let call =
        json!({"role": "model", "parts": [{"functionCall": {"name": "weather", "args": {}}}]});
    let response = |name: &str| json!({"functionResponse": {"name": name, "response": {}}});
    let declare = |function: Value| json!({"tools": [{"functionDeclarations": [function]}]});
    for (fields, words) in [
        (json!({"messages": []}), "Unknown name \"messages\""),
        (json!({"contents": null}), "contents"),
        (json!({"contents": []}), "contents is not specified"),
        (
            json!({"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}),
            "Please use a valid role",
        ),
        (say(json!([])), "parts must not be empty"),
        (say(json!([{}])), "contents[0].parts[0]: required oneof"),
        (
            say(json!([{"text": "x", "inlineData": {"mimeType": "image/png", "data": "Zm9v"}}])),
            "contents[0].parts[0]: required oneof",
        ),
        (
            say(json!([{"text": "x", "type": "text"}])),
            "Unknown name \"type\" at 'contents[0].parts[0]'",
        ),
        (
            say(json!([{"inlineData": {"mimeType": "image/png", "data": "?"}}])),
            "Base64 decoding failed",
        ),
        (
            say(json!([{"functionCall": {"name": "weather", "args": "{}"}}])),
            "contents[0].parts[0].functionCall.args",
        ),
        (say(json!([response("weather")])), "function response turn"),
        (
            json!({"contents": [user("x"), call, {"role": "user", "parts": [response("other")]}]}),
            "function response turn",
        ),
        (
            json!({"contents": [user("x"), call, user("x")]}),
            "function response turn",
        ),
        (
            json!({"contents": [user("x"), call]}),
            "function response turn",
        ),
        (
            declare(json!({"name": "1st"})),
            "tools[0].functionDeclarations[0].name",
        ),
        (
            declare(
                json!({"name": "f", "parameters": {"type": "OBJECT", "additionalProperties": false}}),
            ),
            "Unknown name \"additionalProperties\" at 'tools[0].functionDeclarations[0].parameters'",
        ),
        (
            json!({"toolConfig": {"functionCallingConfig": {"mode": "AUTO", "allowedFunctionNames": ["f"]}}}),
            "allowed_function_names",
        ),
        (
            config(json!({"max_tokens": 1})),
            "Unknown name \"max_tokens\" at 'generationConfig'",
        ),
        (
            config(json!({"seed": 3_000_000_000_u32})),
            "generationConfig.seed",
        ),
        (
            config(json!({"temperature": 3})),
            "generationConfig.temperature",
        ),
        (
            config(json!({"responseSchema": {"type": "OBJECT"}})),
            "response mime type",
        ),
        (
            config(json!({"thinkingConfig": {"thinkingBudget": 1, "thinkingLevel": "LOW"}})),
            "thinkingLevel",
        ),
    ] {
        let response = send(generate(&provider, "m:generateContent", fields.clone())).await;

        assert_eq!(response.status(), 400, "{fields}");
        let error = json_of(response).await["error"].clone();
        assert_eq!(
            (&error["code"], &error["status"]),
            (&json!(400), &json!("INVALID_ARGUMENT"))
        );
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(words), "{fields}: {message}");
    }
}

#[tokio::test]
async fn keys_limits_and_failures_are_told_as_gemini_tells_them() {
    let provider = Provider::start_with_key("sk-1:rpm=1").await;
    let body = json!({"contents": [user("hi")]});
    let path = "/v1/models/m:generateContent";
    let no_key = send(provider.post_with(path, &[], &body)).await;
    let wrong_key = send(provider.post_with(&format!("{path}?key=sk-2"), &[], &body)).await;
    let first = send(provider.post_with(&format!("{path}?key=sk-1"), &[], &body)).await;
    let over = send(generate(&provider, "m:streamGenerateContent", json!({}))).await;

    assert_eq!(no_key.status(), 403);
    assert_eq!(
        json_of(no_key).await["error"]["status"],
        "PERMISSION_DENIED"
    );
    assert_eq!(wrong_key.status(), 400);
    let wrong_key = json_of(wrong_key).await;
    assert_eq!(
        wrong_key["error"]["details"][0]["reason"],
        "API_KEY_INVALID"
    );
    assert_eq!(first.status(), 200);
    assert_eq!(over.status(), 429);
    assert!(!over.headers().contains_key("retry-after"));
    let over = json_of(over).await;
    assert_eq!(over[0]["error"]["status"], "RESOURCE_EXHAUSTED");
    let details = over[0]["error"]["details"].as_array().unwrap();
    let retry = details
        .iter()
        .find_map(|it| it["retryDelay"].as_str())
        .unwrap();
    assert!(retry.ends_with('s'), "{retry}");
}

#[tokio::test]
async fn streams_break_as_they_are_told() {
    let provider = Provider::start(at_once()).await;
    provider.behave("sk-1", json!({"error_after": 1})).await;
    let sse = "m:streamGenerateContent?alt=sse";
    let events = send(generate(&provider, sse, json!({}))).await;
    let array = send(generate(&provider, "m:streamGenerateContent", json!({}))).await;
    provider.behave("sk-1", json!({"end_after": 1})).await;
    let end = send(generate(&provider, sse, json!({}))).await;

    let events = events_of(&events.text().await.unwrap());
    assert_eq!(events[1]["error"]["status"], "INTERNAL");
    assert_eq!(json_of(array).await[1]["error"]["code"], 500);
    let end = events_of(&end.text().await.unwrap());
    assert_eq!(end.len(), 1);
    assert!(end[0]["candidates"][0].get("finishReason").is_none());
}

#[tokio::test]
async fn tokens_are_counted_and_texts_embedded() {
    let provider = Provider::start(at_once()).await;
    let post = |method: &str, body: Value| {
        let path = format!("/v1beta/models/{method}");
        send(provider.post_with(&path, &HEADERS, &body))
    };
    let content = json!({"parts": [{"text": "12345"}]});
    let one = json!({"model": "models/m", "content": content, "outputDimensionality": 2});
    let other = json!({"model": "models/other", "content": content});

    let count = json_of(post("m:countTokens", json!({"contents": [content]})).await).await;
    let embedding = json_of(post("m:embedContent", json!({"content": content})).await).await;
    let batch = json!({"requests": [one, one]});
    let batch = json_of(post("m:batchEmbedContents", batch).await).await;
    let refused = post("m:batchEmbedContents", json!({"requests": [other]})).await;

    assert_eq!(count["totalTokens"], 2);
    assert_eq!(
        embedding["embedding"]["values"].as_array().unwrap().len(),
        256
    );
    assert_eq!(
        batch["embeddings"][1]["values"].as_array().unwrap().len(),
        2
    );
    assert_eq!(refused.status(), 400);
}

#[tokio::test]
async fn models_are_listed_by_path_or_by_key() {
    let provider = Provider::start(at_once()).await;
    let by_path = provider
        .get("/v1beta/models")
        .header("x-goog-api-key", "sk-1");
    let by_key = provider.get("/v1/models/llama:8b?key=sk-1");

    let list = json_of(send(by_path).await).await;
    let model = json_of(send(by_key).await).await;

    assert!(
        list["models"][0]["name"]
            .as_str()
            .unwrap()
            .starts_with("models/")
    );
    assert_eq!(model["name"], "models/llama:8b");
}
