//! What a client is told when it cannot be served: OpenAI's bodies, the right status, and when to come back.

use std::time::Duration;

use serde_json::{Value, json};
use tests::client::{Answer, Request};
use tests::figures::alone;
use tests::fleet::{Fleet, MODEL, Setup};
use tests::streams::{Stage, Streams};
use tokio::time::Instant;

/// One replica without Redis: what is promised here does not depend on the store.
async fn one_replica(setup: Setup) -> Fleet {
    let mut setup = Setup {
        replicas: 1,
        ..setup
    };
    setup.settings["state"] = json!("memory");
    Fleet::start(setup).await
}

#[track_caller]
fn check(answer: &Answer, status: u16, kind: &str, code: Option<&str>) {
    let error = &answer.json()["error"];
    let what = format!("{}: {}", answer.status, answer.text());
    assert_eq!(answer.status, status, "{what}");
    assert_eq!(error["type"], kind, "{what}");
    assert_eq!(error["code"], json!(code), "{what}");
    assert!(error["message"].is_string(), "{what}");
    assert!(error.get("param").is_some(), "{what}");
    assert!(answer.header("x-request-id").is_some(), "{what}");
    let content_type = answer.header("content-type").unwrap_or_default();
    assert!(content_type.starts_with("application/json"), "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_and_missing_keys_are_told_apart_by_nobody() {
    let _machine = alone().await;
    let fleet = one_replica(Setup::default()).await;

    let request = Request::chat(MODEL);
    let wrong = [
        request.clone().without_key(),
        request.clone().key("sk-somebody-else"),
        request.clone().header("authorization", "Bearer"),
        request
            .clone()
            .header("authorization", "Basic c2stY2xpZW50Og=="),
        request.clone().key(""),
    ];
    let mut bodies = Vec::new();
    for request in wrong {
        let answer = request.send(fleet.address()).await.unwrap();
        check(
            &answer,
            401,
            "invalid_request_error",
            Some("invalid_api_key"),
        );
        bodies.push(answer.text());
    }

    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_make_no_sense_are_refused_by_name() {
    let _machine = alone().await;
    let settings = json!({ "limits": { "body": "64KiB" } });
    let fleet = one_replica(Setup {
        settings,
        ..Setup::default()
    })
    .await;
    let send = async |request: Request| request.send(fleet.address()).await.unwrap();
    let chat = |body: &str| {
        Request::post_bytes("/v1/chat/completions", body.as_bytes().to_vec())
            .key(tests::client::CLIENT_KEY)
    };

    // The model is looked at before anything else: this one has no messages.
    let unknown = send(chat(r#"{"model":"nobody"}"#)).await;
    check(
        &unknown,
        404,
        "invalid_request_error",
        Some("model_not_found"),
    );

    let twice = send(chat(r#"{"model":"tiny","model":"other","messages":[]}"#)).await;
    check(
        &twice,
        400,
        "invalid_request_error",
        Some("duplicate_parameter"),
    );
    assert!(twice.text().contains("model"), "{}", twice.text());

    let unreadable = ["", "{", "[]"].map(|body| (body, None));
    let wrong = [
        (r#"{"messages":[]}"#, Some("missing_required_parameter")),
        (r#"{"model":7}"#, Some("invalid_type")),
    ];
    for (body, code) in unreadable.into_iter().chain(wrong) {
        let answer = send(chat(body)).await;
        check(&answer, 400, "invalid_request_error", code);
    }

    let large =
        json!({ "model": MODEL, "messages": [{ "role": "user", "content": "x".repeat(100_000) }] });
    let large = send(chat(&large.to_string())).await;
    assert_eq!(large.status, 413, "{}", large.text());
    assert_eq!(large.json()["error"]["type"], "invalid_request_error");

    let nowhere = send(Request::get("/v1/nowhere")).await;
    assert_eq!(nowhere.status, 404);
    assert!(
        nowhere.json()["error"]["message"].is_string(),
        "{}",
        nowhere.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_quota_names_its_limit_and_when_to_come_back() {
    let _machine = alone().await;
    let fleet = one_replica(Setup {
        client_keys: json!([{ "name": "client", "secret": "sk-client", "limits": { "rpm": 2 } }]),
        settings: json!({ "queue": { "max_length": 10, "timeout": "300ms" } }),
        ..Setup::default()
    })
    .await;
    let request = Request::chat(MODEL);
    let served = request.send(fleet.address()).await.unwrap();
    request.send(fleet.address()).await.unwrap();

    let refused = request.send(fleet.address()).await.unwrap();

    assert_eq!(
        served.header("x-ratelimit-limit-requests"),
        Some("2"),
        "{:?}",
        served.headers
    );
    assert_eq!(served.header("x-ratelimit-remaining-requests"), Some("1"));
    check(
        &refused,
        429,
        "rate_limit_error",
        Some("rate_limit_exceeded"),
    );
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=61).contains(&seconds), "{seconds}");
    let limit = refused
        .headers
        .iter()
        .find(|(name, _)| name.starts_with("x-sluice-limit"));
    let (_, limit) = limit.expect("a refusal tells which limit");
    assert!(limit.contains("client") && limit.contains("rpm"), "{limit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_larger_than_the_limit_itself_is_not_kept_waiting() {
    let _machine = alone().await;
    let fleet = one_replica(Setup {
        keys: json!([{ "name": "only", "secret": "only", "limits": { "tpm": 1_000 } }]),
        ..Setup::default()
    })
    .await;
    let request = Request::chat_with(MODEL, &json!({ "max_tokens": 5_000 }));

    let began = Instant::now();
    let refused = request.send(fleet.address()).await.unwrap();

    assert_eq!(refused.status, 429, "{}", refused.text());
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(refused.header("x-should-retry"), Some("false"));
    assert!(
        refused.text().contains("1000") || refused.text().contains("1,000"),
        "{}",
        refused.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_past_the_deadline_is_told_to_come_back() {
    let _machine = alone().await;
    let fleet = one_replica(Setup {
        simulator: vec!["--tokens", "1000", "--tokens-per-second", "10"],
        keys: json!([{ "name": "only", "secret": "only", "limits": { "concurrency": 1 } }]),
        settings: json!({ "queue": { "max_length": 10, "timeout": "1s" } }),
        ..Setup::default()
    })
    .await;
    let mut holder = Streams::new();
    holder.open(fleet.address(), 1, &Request::stream(MODEL));
    holder.wait(Stage::Running, 1, Duration::from_secs(5)).await;

    let began = Instant::now();
    let refused = Request::chat(MODEL).send(fleet.address()).await.unwrap();
    let took = began.elapsed();

    assert_eq!(refused.status, 429, "{}", refused.text());
    assert!(refused.header("retry-after").is_some());
    assert!(
        took >= Duration::from_millis(950) && took < Duration::from_secs(2),
        "{took:?}"
    );
    let view = fleet.replicas[0].view().await;
    assert_eq!(view.models[0].queued, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_pass_through_with_who_served_them() {
    let _machine = alone().await;
    let fleet = one_replica(Setup::default()).await;

    let plain = Request::chat(MODEL).send(fleet.address()).await.unwrap();
    let stream = Request::stream(MODEL).send(fleet.address()).await.unwrap();
    let with_usage = Request::chat_with(
        MODEL,
        &json!({ "stream": true, "stream_options": { "include_usage": true } }),
    );
    let with_usage = with_usage.send(fleet.address()).await.unwrap();

    assert_eq!(plain.status, 200);
    assert_eq!(plain.json()["object"], "chat.completion");
    assert!(plain.json()["usage"]["total_tokens"].as_u64() > Some(0));
    let key = plain.header("x-sluice-key").expect("who served is told");
    assert!(key.ends_with("only"), "{key}");
    assert!(plain.header("x-request-id").is_some());
    let content_type = stream.header("content-type").unwrap_or_default();
    assert!(
        content_type.starts_with("text/event-stream"),
        "{content_type}"
    );
    assert_eq!(stream.events().last().map(String::as_str), Some("[DONE]"));
    assert!(
        !stream.text().contains("\"choices\":[]"),
        "{}",
        stream.text()
    );
    assert_eq!(usage_chunks(&stream), 0, "{}", stream.text());
    assert_eq!(usage_chunks(&with_usage), 1, "{}", with_usage.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_routes_answer_too() {
    let _machine = alone().await;
    let fleet = one_replica(Setup::default()).await;
    let key = tests::client::CLIENT_KEY;
    let send = async |request: Request| request.key(key).send(fleet.address()).await.unwrap();

    let models = send(Request::get("/v1/models")).await;
    assert_eq!(models.json()["data"][0]["id"], MODEL, "{}", models.text());
    let model = send(Request::get("/v1/models/tiny")).await;
    assert_eq!(model.json()["object"], "model", "{}", model.text());
    let unknown = send(Request::get("/v1/models/nobody")).await;
    check(
        &unknown,
        404,
        "invalid_request_error",
        Some("model_not_found"),
    );

    let completion = json!({ "model": MODEL, "prompt": "Once", "max_tokens": 5 });
    let completion = send(Request::post("/v1/completions", &completion)).await;
    assert_eq!(
        completion.json()["object"],
        "text_completion",
        "{}",
        completion.text()
    );
    let embeddings = json!({ "model": MODEL, "input": ["a", "b"] });
    let embeddings = send(Request::post("/v1/embeddings", &embeddings)).await;
    assert_eq!(
        embeddings.json()["data"].as_array().map(Vec::len),
        Some(2),
        "{}",
        embeddings.text()
    );
}

fn usage_chunks(answer: &Answer) -> usize {
    answer
        .events()
        .iter()
        .filter_map(|data| serde_json::from_str::<Value>(data).ok())
        .filter(|chunk| chunk["usage"].is_object())
        .count()
}
