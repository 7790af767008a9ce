//! Connections that are refused, left alone or closed; and probes, which are counted apart.

use std::time::{Duration, Instant};

use serde_json::json;
use simulator::Options;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{Provider, at_once, json_of, read_until, send};

#[tokio::test]
async fn an_idle_connection_is_closed_after_exactly_its_time() {
    let provider = Provider::start(at_once()).await;
    provider
        .behave("sk-1", json!({"idle_close": "200ms"}))
        .await;
    let mut client = provider.raw_chat(json!({})).await;
    read_until(&mut client, "usage").await;

    let idle_since = Instant::now();
    let n_read = client.read_to_end(&mut Vec::new()).await.unwrap();

    let idle = idle_since.elapsed();
    assert!(n_read < 200, "{n_read}");
    assert!(idle >= Duration::from_millis(190), "{idle:?}");
    assert!(idle < Duration::from_secs(2), "{idle:?}");
}

#[tokio::test]
async fn a_slow_accept_delays_the_first_answer_of_a_connection() {
    let provider = Provider::start(at_once()).await;
    provider.listen(json!({"accept_delay": "150ms"})).await;

    let started = Instant::now();
    let mut client = provider.raw_chat(json!({})).await;
    read_until(&mut client, "usage").await;

    assert!(started.elapsed() >= Duration::from_millis(150));
}

#[tokio::test]
async fn the_second_address_refuses_connections_while_it_is_closed() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let second = taken.local_addr().unwrap();
    drop(taken);
    let options = Options {
        second_listen: Some(second),
        ..at_once()
    };
    let provider = Provider::start(options).await;
    // By now it listens on both.
    provider.tally().await;
    let mut held = TcpStream::connect(second).await.unwrap();

    provider.listen(json!({"second": "closed"})).await;
    let n_read = held.read(&mut [0]).await.unwrap_or_default();
    let refused = TcpStream::connect(second).await;
    provider.listen(json!({"second": "open"})).await;

    assert_eq!(n_read, 0);
    assert!(refused.is_err());
    let started = Instant::now();
    while TcpStream::connect(second).await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn probes_are_no_arrivals_and_have_counters_of_their_own() {
    let provider = Provider::start_with_key("sk-1:rpm=1").await;
    send(provider.get("/v1/models")).await;
    provider.behave("sk-1", json!({"status": 401})).await;
    let failed = send(provider.get("/v1/models")).await;

    assert_eq!(failed.status(), 401);
    let tally = provider.tally().await;
    assert_eq!(tally["requests"], 0);
    assert_eq!(
        (&tally["probes"], &tally["probes_failed"]),
        (&json!(2), &json!(1))
    );
    let report = json_of(send(provider.get("/oracle/arrivals/sk-1")).await).await;
    assert_eq!(report["probes"][1]["status"], 401);
}

#[tokio::test]
async fn arrivals_tell_whose_attempts_they_are_and_how_they_ended() {
    let provider = Provider::start(at_once()).await;
    provider
        .behave("sk-1", json!({"status": 429, "code": "insufficient_quota"}))
        .await;
    let request = provider.chat(json!({})).header("x-request-id", "req-1");
    let refused = json_of(send(request).await).await;

    assert_eq!(refused["error"]["code"], "insufficient_quota");
    assert_eq!(refused["error"]["type"], "insufficient_quota");
    let arrival = &provider.arrivals().await[0];
    assert_eq!(
        (&arrival["status"], &arrival["request_id"]),
        (&json!(429), &json!("req-1"))
    );
}

#[tokio::test]
async fn a_seed_repeats_which_requests_fail() {
    let mut patterns = Vec::new();
    for _ in 0..2 {
        let provider = Provider::start(at_once()).await;
        let half = json!({"error_rate": 0.5, "error_kind": "529", "seed": 7});
        provider.behave("*", half).await;
        let mut pattern = Vec::new();
        for _ in 0..24 {
            pattern.push(send(provider.chat(json!({}))).await.status().as_u16());
        }
        patterns.push(pattern);
    }

    assert_eq!(patterns[0], patterns[1]);
    assert!(patterns[0].contains(&200) && patterns[0].contains(&529));
}

#[tokio::test]
async fn a_refusal_has_the_headers_and_the_body_that_were_set() {
    let provider = Provider::start(at_once()).await;
    let millis = json!({"status": 429, "retry_after": "3s", "retry_after_headers": "millis"});
    provider.behave("sk-1", millis).await;
    let in_millis = send(provider.chat(json!({}))).await;
    provider.behave("sk-1", json!({"status": 429})).await;
    let silent = send(provider.chat(json!({}))).await;
    provider.behave("sk-1", json!({"body": "<html>"})).await;
    let page = send(provider.chat(json!({}))).await;

    assert_eq!(in_millis.headers()["retry-after-ms"], "3000");
    assert!(!in_millis.headers().contains_key("retry-after"));
    assert!(!silent.headers().contains_key("retry-after"));
    assert_eq!(page.status(), 200);
    assert_eq!(page.headers()["content-type"], "text/html");
    assert_eq!(page.text().await.unwrap(), "<html>");
}
