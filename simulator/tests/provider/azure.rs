//! Azure: OpenAI's objects at other paths, with its own key, errors and filters.

use serde_json::{Value, json};

use crate::harness::{Provider, at_once, events_of, json_of, send};

const HEADERS: [(&str, &str); 1] = [("api-key", "sk-1")];
const DEPLOYMENT: &str = "/openai/deployments/d/chat/completions?api-version=2024-10-21";

fn chat() -> Value {
    json!({"messages": [{"role": "user", "content": "hi"}]})
}

#[tokio::test]
async fn a_deployment_answers_without_a_model() {
    let provider = Provider::start(at_once()).await;

    let answer = send(provider.post_with(DEPLOYMENT, &HEADERS, &chat())).await;
    let embeddings = "/openai/deployments/d/embeddings?api-version=2024-10-21";
    let embeddings = provider.post_with(embeddings, &HEADERS, &json!({"input": "x"}));
    let embeddings = send(embeddings).await;

    assert!(answer.headers().contains_key("apim-request-id"));
    let answer = json_of(answer).await;
    assert_eq!(answer["model"], "d");
    assert_eq!(answer["choices"][0]["message"]["content"], "the river runs");
    assert!(answer["choices"][0]["content_filter_results"].is_object());
    assert!(answer["prompt_filter_results"].is_array());
    assert_eq!(json_of(embeddings).await["model"], "d");
}

#[tokio::test]
async fn a_stream_begins_with_what_was_filtered() {
    let provider = Provider::start(at_once()).await;
    let mut body = chat();
    body["stream"] = true.into();

    let events = events_of(send(provider.post_with(DEPLOYMENT, &HEADERS, &body)).await).await;

    let first: Value = serde_json::from_str(&events[0]).unwrap();
    assert_eq!(
        (&first["choices"], &first["id"], &first["created"]),
        (&json!([]), &json!(""), &json!(0))
    );
    assert!(first["prompt_filter_results"].is_array());
    assert_eq!(events.last().unwrap(), "[DONE]");
}

#[tokio::test]
async fn the_new_paths_take_the_model_from_the_body() {
    let provider = Provider::start(at_once()).await;
    let mut body = chat();
    body["model"] = "d".into();
    let bearer = [("authorization", "Bearer sk-1")];
    let both = [HEADERS[0], bearer[0]];

    let chat = send(provider.post_with("/openai/v1/chat/completions", &bearer, &body)).await;
    let no_model = provider.post_with("/openai/v1/chat/completions", &HEADERS, &self::chat());
    let no_model = send(no_model).await;
    let twice = send(provider.post_with("/openai/v1/chat/completions", &both, &body)).await;
    let respond = json!({"model": "d", "input": "hi"});
    let respond = send(provider.post_with("/openai/v1/responses", &HEADERS, &respond)).await;

    assert_eq!(
        (chat.status().as_u16(), respond.status().as_u16()),
        (200, 200)
    );
    let versioned = "/openai/responses?api-version=2025-04-01-preview";
    let versioned = provider.post_with(versioned, &HEADERS, &json!({"model": "d", "input": "hi"}));
    assert_eq!(send(versioned).await.status(), 200);
    let models = provider.get("/openai/v1/models");
    assert_eq!(json_of(send(models).await).await["object"], "list");
    assert_eq!(no_model.status(), 400);
    assert_eq!(twice.status(), 401);
}

#[tokio::test]
async fn keys_limits_and_paths_are_told_as_azure_tells_them() {
    let provider = Provider::start_with_key("sk-1:rpm=1").await;
    let wrong_key = [("api-key", "sk-2")];
    let no_version = "/openai/deployments/d/chat/completions";

    let wrong_key = send(provider.post_with(DEPLOYMENT, &wrong_key, &chat())).await;
    let no_version = send(provider.post_with(no_version, &HEADERS, &chat())).await;
    let first = send(provider.post_with(DEPLOYMENT, &HEADERS, &chat())).await;
    let over = send(provider.post_with(DEPLOYMENT, &HEADERS, &chat())).await;

    assert_eq!(wrong_key.status(), 401);
    assert_eq!(json_of(wrong_key).await["error"]["code"], "401");
    assert_eq!(no_version.status(), 404);
    assert_eq!(first.headers()["x-ratelimit-reset-requests"], "60");
    assert_eq!(over.status(), 429);
    assert!(over.headers().contains_key("retry-after-ms"));
    let error = json_of(over).await["error"].clone();
    assert_eq!(
        (&error["type"], &error["status"]),
        (&Value::Null, &json!(429))
    );
}
