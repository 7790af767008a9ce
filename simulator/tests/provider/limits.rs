//! What a strict provider refuses, and how it says so.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Provider, json_of, send};

#[tokio::test]
async fn requests_beyond_the_minute_are_refused_with_when_to_come_back() {
    let provider = Provider::start_with_key("sk-1:rpm=2,tpm=1000").await;
    let first = send(provider.chat(json!({}))).await;
    send(provider.chat(json!({}))).await;

    let refused = send(provider.chat(json!({}))).await;

    let header = |name: &str| first.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("x-ratelimit-limit-requests"), "2");
    assert_eq!(header("x-ratelimit-remaining-requests"), "1");
    assert_eq!(header("x-ratelimit-reset-requests"), "1m0s");
    assert_eq!(header("x-ratelimit-limit-tokens"), "1000");
    assert_eq!(header("x-ratelimit-remaining-tokens"), "996");
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["retry-after"], "60");
    let millis: u64 = refused.headers()["retry-after-ms"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((50_000..=60_000).contains(&millis), "{millis}");
    let error = json_of(refused).await;
    assert_eq!(error["error"]["code"], "rate_limit_exceeded");
    assert_eq!(error["error"]["type"], "requests");
    assert_eq!(provider.tally().await["refused"], 1);
}

#[tokio::test]
async fn a_second_later_the_second_has_room() {
    let provider = Provider::start_with_key("sk-1:qps=1").await;
    let first = send(provider.chat(json!({}))).await;
    let refused = send(provider.chat(json!({}))).await;

    tokio::time::sleep(Duration::from_millis(1010)).await;
    let later = send(provider.chat(json!({}))).await;

    assert_eq!(first.status(), 200);
    assert_eq!(refused.status(), 429);
    assert_eq!(later.status(), 200);
}

#[tokio::test]
async fn a_request_that_never_fits_is_not_told_to_come_back() {
    let provider = Provider::start_with_key("sk-1:tpm=3").await;

    let refused = send(provider.chat(json!({}))).await;

    assert_eq!(refused.status(), 429);
    assert!(refused.headers().get("retry-after").is_none());
    assert_eq!(json_of(refused).await["error"]["type"], "tokens");
}

#[tokio::test]
async fn a_slot_is_free_again_with_the_last_byte() {
    let provider = Provider::start_with_key("sk-1:concurrency=1").await;

    for turn in 0..50 {
        let fields = json!({"stream": turn % 2 == 0});
        let response = send(provider.chat(fields)).await;
        assert_eq!(response.status(), 200, "{turn}");
        response.bytes().await.unwrap();
    }
}

#[tokio::test]
async fn a_request_beyond_the_concurrency_is_refused_and_counted() {
    let provider = Provider::start_with_key("sk-1:concurrency=1").await;
    provider.behave("sk-1", json!({"first_byte": "5s"})).await;
    let _running = provider.raw_chat(json!({})).await;
    provider.until("in_flight", 1, Duration::from_secs(1)).await;

    let refused = send(provider.chat(json!({}))).await;

    assert_eq!(refused.status(), 429);
    let tally = provider.tally().await;
    assert_eq!(tally["in_flight"], 1);
    assert_eq!(tally["in_flight_max"], 2);
}
