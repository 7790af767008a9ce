//! The shapes of answers.

use serde_json::{Value, json};

use crate::harness::{Provider, at_once, events_of, json_of, send};

fn parsed(events: &[String]) -> Vec<Value> {
    let (done, chunks) = events.split_last().expect("events");
    assert_eq!(done, "[DONE]");
    chunks
        .iter()
        .map(|chunk| serde_json::from_str(chunk).expect("JSON"))
        .collect()
}

#[tokio::test]
async fn a_chat_is_answered_with_its_usage() {
    let provider = Provider::start(at_once()).await;

    let response = send(provider.chat(json!({}))).await;

    let request_id = response.headers()["x-request-id"].clone();
    assert!(request_id.to_str().unwrap().starts_with("req_"));
    let answer = json_of(response).await;
    assert!(answer["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(answer["model"], "m");
    assert!(answer["created"].as_u64().unwrap() > 1_700_000_000);
    let choice = json!({
        "index": 0,
        "message": {"role": "assistant", "content": "the river runs", "refusal": null, "annotations": []},
        "logprobs": null,
        "finish_reason": "stop",
    });
    assert_eq!(answer["choices"], json!([choice]));
    let usage = json!({
        "prompt_tokens": 1,
        "completion_tokens": 3,
        "total_tokens": 4,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    });
    assert_eq!(answer["usage"], usage);
}

#[tokio::test]
async fn a_limit_on_tokens_and_a_number_of_choices_are_honoured() {
    let provider = Provider::start(at_once()).await;
    let fields = json!({"max_completion_tokens": 2, "n": 2});

    let answer = json_of(send(provider.chat(fields)).await).await;

    let choices = answer["choices"].as_array().unwrap();
    assert_eq!(choices.len(), 2);
    assert_eq!(choices[1]["index"], 1);
    assert_eq!(choices[1]["message"]["content"], "the river");
    assert_eq!(choices[1]["finish_reason"], "length");
    assert_eq!(answer["usage"]["completion_tokens"], 4);
}

#[tokio::test]
async fn a_stream_has_a_role_once_and_a_usage_chunk_last() {
    let provider = Provider::start(at_once()).await;
    let fields = json!({"stream": true, "stream_options": {"include_usage": true}});

    let response = send(provider.chat(fields)).await;

    let content_type = response.headers()["content-type"].clone();
    assert_eq!(content_type, "text/event-stream; charset=utf-8");
    let chunks = parsed(&events_of(response).await);
    let id = chunks[0]["id"].clone();
    assert!(chunks.iter().all(|chunk| chunk["id"] == id));
    let (usage, chunks) = chunks.split_last().unwrap();
    assert_eq!(usage["choices"], json!([]));
    assert_eq!(usage["usage"]["total_tokens"], 4);
    let deltas: Vec<_> = chunks
        .iter()
        .map(|chunk| {
            assert!(chunk.get("usage").is_some_and(Value::is_null));
            assert_eq!(chunk["object"], "chat.completion.chunk");
            chunk["choices"][0]["delta"].clone()
        })
        .collect();
    let expected = [
        json!({"role": "assistant", "content": ""}),
        json!({"content": "the"}),
        json!({"content": " river"}),
        json!({"content": " runs"}),
        json!({}),
    ];
    assert_eq!(deltas, expected);
    assert_eq!(chunks[4]["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn a_stream_tells_no_usage_unless_asked() {
    let provider = Provider::start(at_once()).await;

    let events = events_of(send(provider.chat(json!({"stream": true}))).await).await;

    let chunks = parsed(&events);
    assert_eq!(chunks.len(), 5);
    assert!(chunks.iter().all(|chunk| chunk.get("usage").is_none()));
}

#[tokio::test]
async fn a_model_named_like_the_inside_of_a_chunk_streams_all_the_same() {
    let provider = Provider::start(at_once()).await;
    let fields = json!({"stream": true, "model": "a \"%token%\" model"});

    let chunks = parsed(&events_of(send(provider.chat(fields)).await).await);

    assert_eq!(chunks[1]["model"], "a \"%token%\" model");
    assert_eq!(chunks[1]["choices"][0]["delta"]["content"], "the");
}

#[tokio::test]
async fn completions_answer_each_prompt_whole_and_as_a_stream() {
    let provider = Provider::start(at_once()).await;
    let body = json!({"model": "m", "prompt": ["one", "two"], "max_tokens": 1});
    let streamed = json!({"model": "m", "prompt": "one", "stream": true});

    let answer = json_of(send(provider.post("/v1/completions", &body)).await).await;
    let events = events_of(send(provider.post("/v1/completions", &streamed)).await).await;

    assert_eq!(answer["object"], "text_completion");
    assert!(answer["id"].as_str().unwrap().starts_with("cmpl-"));
    let choice = json!({"text": "the", "index": 1, "logprobs": null, "finish_reason": "length"});
    assert_eq!(answer["choices"][1], choice);
    let text: String = parsed(&events)
        .iter()
        .map(|chunk| chunk["choices"][0]["text"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(text, "the river runs");
}

#[tokio::test]
async fn embeddings_come_as_numbers_or_as_base64() {
    let provider = Provider::start(at_once()).await;
    let floats = json!({"model": "m", "input": ["one", "two"], "dimensions": 4});
    let base64 =
        json!({"model": "m", "input": "one", "dimensions": 4, "encoding_format": "base64"});

    let floats = json_of(send(provider.post("/v1/embeddings", &floats)).await).await;
    let base64 = json_of(send(provider.post("/v1/embeddings", &base64)).await).await;

    assert_eq!(floats["object"], "list");
    assert_eq!(floats["data"][1]["index"], 1);
    assert_eq!(floats["data"][1]["embedding"].as_array().unwrap().len(), 4);
    assert_eq!(
        floats["usage"],
        json!({"prompt_tokens": 2, "total_tokens": 2})
    );
    // 16 bytes.
    assert_eq!(base64["data"][0]["embedding"].as_str().unwrap().len(), 24);
}

#[tokio::test]
async fn models_are_listed_and_any_name_is_one() {
    let provider = Provider::start(at_once()).await;

    let list = json_of(send(provider.get("/v1/models")).await).await;
    let model = json_of(send(provider.get("/v1/models/org/model")).await).await;

    assert_eq!(list["object"], "list");
    assert_eq!(list["data"][0]["object"], "model");
    assert_eq!(model["id"], "org/model");
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_as_openai_says_it() {
    let provider = Provider::start(at_once()).await;

    let no_model = send(provider.post("/v1/completions", &json!({"prompt": "x"}))).await;
    let no_url = send(provider.get("/v1/files")).await;
    let no_body = send(provider.get("/v1/embeddings")).await;

    assert_eq!(no_model.status(), 400);
    let error = json_of(no_model).await;
    assert_eq!(error["error"]["type"], "invalid_request_error");
    assert_eq!(error["error"]["param"], "model");
    assert_eq!(no_url.status(), 404);
    assert_eq!(
        json_of(no_url).await["error"]["message"],
        "Invalid URL (GET /v1/files)"
    );
    assert_eq!(no_body.status(), 405);
}

#[tokio::test]
async fn only_configured_keys_are_accepted_if_there_are_any() {
    let provider = Provider::start_with_key("sk-other").await;

    let unknown = send(provider.chat(json!({}))).await;
    let models = send(provider.get("/v1/models")).await;

    assert_eq!(
        (unknown.status(), models.status()),
        (401.try_into().unwrap(), 401.try_into().unwrap())
    );
    assert_eq!(json_of(unknown).await["error"]["code"], "invalid_api_key");
    let tally = provider.tally().await;
    assert_eq!(
        (&tally["requests"], &tally["refused"]),
        (&json!(1), &json!(1))
    );
}
