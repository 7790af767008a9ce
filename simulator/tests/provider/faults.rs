//! Failures on purpose, and changing them while the simulator runs.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::json;
use simulator::{ErrorKind, Options};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{Provider, at_once, json_of, read_until, send};

async fn failing(error_kind: ErrorKind) -> Provider {
    let options = Options {
        error_rate: 1.0,
        error_kind,
        ..at_once()
    };
    Provider::start(options).await
}

#[tokio::test]
async fn injected_errors_look_like_the_real_ones() {
    let broken = send(
        failing(ErrorKind::Status(StatusCode::INTERNAL_SERVER_ERROR))
            .await
            .chat(json!({})),
    )
    .await;
    let busy = send(
        failing(ErrorKind::Status(StatusCode::TOO_MANY_REQUESTS))
            .await
            .chat(json!({})),
    )
    .await;
    let proxy = send(failing(ErrorKind::Html).await.chat(json!({}))).await;

    assert_eq!(broken.status(), 500);
    assert_eq!(json_of(broken).await["error"]["type"], "server_error");
    assert_eq!(busy.status(), 429);
    assert_eq!(busy.headers()["retry-after"], "1");
    assert_eq!(proxy.status(), 502);
    assert_eq!(proxy.headers()["content-type"], "text/html");
}

#[tokio::test]
async fn a_reset_connection_says_nothing_and_is_no_abort() {
    let provider = failing(ErrorKind::Reset).await;
    let mut client = provider.raw_chat(json!({})).await;

    let error = client.read_u8().await.unwrap_err();

    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let tally = provider.tally().await;
    assert_eq!(
        (&tally["requests"], &tally["aborted"]),
        (&json!(1), &json!(0))
    );
}

#[tokio::test]
async fn a_cut_stream_ends_after_its_chunks_without_a_terminator() {
    let options = Options {
        cut_after: Some(2),
        ..at_once()
    };
    let provider = Provider::start(options).await;
    let mut client = provider.raw_chat(json!({"stream": true})).await;
    let mut answer = String::new();

    client.read_to_string(&mut answer).await.unwrap();

    assert!(answer.contains(" river"), "{answer}");
    assert!(!answer.contains(" runs"), "{answer}");
    assert!(!answer.ends_with("0\r\n\r\n"), "{answer}");
    let tally = provider.tally().await;
    assert_eq!(
        (&tally["in_flight"], &tally["aborted"]),
        (&json!(0), &json!(0))
    );
}

#[tokio::test]
async fn a_cut_answer_has_half_of_its_announced_length() {
    let options = Options {
        cut_after: Some(0),
        ..at_once()
    };
    let provider = Provider::start(options).await;

    let response = send(provider.chat(json!({}))).await;

    assert_eq!(response.status(), 200);
    assert!(response.bytes().await.is_err());
}

#[tokio::test]
async fn a_stalled_stream_is_silent_until_its_client_leaves() {
    let options = Options {
        stall_after: Some(1),
        ..at_once()
    };
    let provider = Provider::start(options).await;
    let mut client = provider.raw_chat(json!({"stream": true})).await;
    read_until(&mut client, "the").await;

    let silence = tokio::time::timeout(Duration::from_millis(100), client.read_u8()).await;
    let in_flight = provider.tally().await["in_flight"].clone();
    drop(client);

    assert!(silence.is_err());
    assert_eq!(in_flight, 1);
    provider.until("aborted", 1, Duration::from_secs(1)).await;
}

#[tokio::test]
async fn a_behaviour_holds_for_new_requests_until_it_is_replaced() {
    let provider = Provider::start(at_once()).await;
    let busy = json!({"status": 503, "retry_after": "1500ms"});
    provider.behave("sk-1", busy).await;

    let refused = send(provider.chat(json!({}))).await;
    let models = send(provider.get("/v1/models")).await;
    provider.behave("sk-1", json!({})).await;
    let answered = send(provider.chat(json!({}))).await;

    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "2");
    assert_eq!(refused.headers()["retry-after-ms"], "1500");
    assert_eq!(models.status(), 503);
    assert_eq!(answered.status(), 200);
}

#[tokio::test]
async fn a_key_of_its_own_comes_before_all_keys() {
    let provider = Provider::start(at_once()).await;
    provider.behave("sk-1", json!({"tokens": 7})).await;
    provider
        .behave("*", json!({"tokens": 1, "status": 500}))
        .await;

    let failed = send(provider.chat(json!({}))).await;
    provider.behave("*", json!({"tokens": 1})).await;
    let answer = json_of(send(provider.chat(json!({}))).await).await;

    assert_eq!(failed.status(), 500);
    assert_eq!(answer["usage"]["completion_tokens"], 7);
}

#[tokio::test]
async fn usage_can_be_forced_or_left_out() {
    let provider = Provider::start(at_once()).await;
    provider
        .behave("sk-1", json!({"reported_tokens": 90}))
        .await;
    let forced = json_of(send(provider.chat(json!({}))).await).await;
    provider.behave("sk-1", json!({"usage": false})).await;

    let silent = json_of(send(provider.chat(json!({}))).await).await;

    assert_eq!(forced["usage"]["total_tokens"], 90);
    assert!(silent.get("usage").is_none());
    // Counted is what will be billed, told or not.
    assert_eq!(provider.tally().await["worst_minute_tokens"], 94);
}

#[tokio::test]
async fn answers_take_as_long_as_their_tokens() {
    let provider = Provider::start(at_once()).await;
    let pace = json!({"first_byte": "50ms", "tokens": 10, "tokens_per_second": 100});
    provider.behave("*", pace).await;

    for stream in [false, true] {
        let started = Instant::now();
        let response = send(provider.chat(json!({"stream": stream}))).await;
        response.bytes().await.unwrap();
        let took = started.elapsed();
        assert!(took >= Duration::from_millis(150), "{took:?}");
    }
}

#[tokio::test]
async fn a_wrong_behaviour_is_refused_with_its_field() {
    let provider = Provider::start(at_once()).await;
    let body = json!({"latency": "1s"});
    let url = format!("http://{}/behaviour/sk-1", provider.address);

    let refused = send(reqwest::Client::new().put(url).json(&body)).await;

    assert_eq!(refused.status(), 400);
    let error = json_of(refused).await;
    let message = error["error"]["message"].as_str().unwrap();
    assert!(message.contains("unknown field `latency`"), "{message}");
}

#[tokio::test]
async fn a_provider_that_stops_drops_its_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let shutdown = tokio::time::sleep(Duration::from_millis(50));

    simulator::serve(listener, at_once(), shutdown)
        .await
        .unwrap();

    assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
}
