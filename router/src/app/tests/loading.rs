//! Ollama's clients load a model before they ask it.

use shared::config::Dialect;

use super::client::post;
use super::*;

#[tokio::test]
async fn a_model_with_nothing_to_load_is_loaded_at_once() {
    let replica = Replica::start(&["good"]).await;

    for (path, body, pointer, reason) in [
        ("/api/chat", r#"{"model":"m"}"#, "/message/content", "load"),
        (
            "/api/chat",
            r#"{"model":"m","messages":[],"stream":false}"#,
            "/message/content",
            "load",
        ),
        ("/api/generate", r#"{"model":"m"}"#, "/response", "load"),
        (
            "/api/generate",
            r#"{"model":"m","prompt":"","keep_alive":0}"#,
            "/response",
            "unload",
        ),
    ] {
        let received = post(replica.data, path, TOKEN, body).await;

        assert_eq!(received.status, 200, "{}", received.text());
        let told = received.json();
        assert_eq!(told.pointer(pointer).unwrap(), "", "{told}");
        assert_eq!((&told["model"], &told["done"]), (&"m".into(), &true.into()));
        assert_eq!(told["done_reason"], reason);
    }
    assert_eq!(
        post(replica.data, "/api/chat", "sk-no", r#"{"model":"m"}"#)
            .await
            .status,
        401
    );
    let unknown = post(replica.data, "/api/chat", TOKEN, r#"{"model":"nobody"}"#).await;
    assert_eq!(unknown.status, 404);
    assert_eq!(replica.upstream.n_requests("good"), 0);
}

#[tokio::test]
async fn a_model_of_ollama_is_loaded_there() {
    let replica = Replica::start_with(&["loading"], |config| {
        config.providers[0].dialect = Dialect::OllamaChat;
    })
    .await;

    let body = r#"{"model":"m","stream":false}"#;
    let received = post(replica.data, "/api/chat", TOKEN, body).await;

    assert_eq!(received.status, 200, "{}", received.text());
    assert_eq!(received.json()["done_reason"], "load");
    assert_eq!(replica.upstream.n_requests("loading"), 1);
    assert_eq!(replica.held_and_charged().await.0, 0);
}
