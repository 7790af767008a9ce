//! What the oracle counts.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::{Provider, at_once, read_until, send};

/// An abort is noticed within 10 ms; the rest is for a busy machine.
const NOTICE: Duration = Duration::from_millis(500);

#[tokio::test]
async fn the_mean_in_flight_is_that_of_the_time_with_demand() {
    let provider = Provider::start(at_once()).await;
    provider.behave("*", json!({"first_byte": "100ms"})).await;

    let mut running = JoinSet::new();
    for _ in 0..4 {
        running.spawn(send(provider.chat(json!({}))));
    }
    running.join_all().await;
    tokio::time::sleep(Duration::from_millis(100)).await;

    let tally = provider.tally().await;
    assert_eq!(
        (&tally["requests"], &tally["in_flight"]),
        (&json!(4), &json!(0))
    );
    assert_eq!(tally["in_flight_max"], 4);
    let mean = tally["in_flight_mean"].as_f64().unwrap();
    assert!((2.0..=4.0).contains(&mean), "{mean}");
    assert_eq!(
        (&tally["worst_second"], &tally["worst_minute"]),
        (&json!(4), &json!(4))
    );
    assert_eq!(tally["worst_minute_tokens"], 16);
    assert_eq!(
        (&tally["aborted"], &tally["refused"]),
        (&json!(0), &json!(0))
    );
}

#[tokio::test]
async fn a_client_that_leaves_before_the_first_byte_is_aborted_at_once() {
    let provider = Provider::start(at_once()).await;
    provider.behave("sk-1", json!({"first_byte": "1h"})).await;
    let client = provider.raw_chat(json!({})).await;
    provider.until("in_flight", 1, Duration::from_secs(1)).await;

    drop(client);

    provider.until("aborted", 1, NOTICE).await;
    assert_eq!(provider.tally().await["in_flight"], 0);
}

#[tokio::test]
async fn a_client_that_leaves_amid_a_stream_is_aborted_at_once() {
    let provider = Provider::start(at_once()).await;
    let slow = json!({"tokens": 1000, "tokens_per_second": 1});
    provider.behave("sk-1", slow).await;
    let mut client = provider.raw_chat(json!({"stream": true})).await;
    read_until(&mut client, "the").await;

    drop(client);

    provider.until("aborted", 1, NOTICE).await;
    let arrival = provider.arrivals().await[0].clone();
    assert_eq!(arrival["aborted"], true);
    assert_eq!(arrival["aborted_at_us"], arrival["ended_us"]);
}

#[tokio::test]
async fn a_client_that_leaves_after_the_last_event_is_not_aborted() {
    let provider = Provider::start(at_once()).await;
    let mut client = provider.raw_chat(json!({"stream": true})).await;
    read_until(&mut client, "[DONE]").await;

    drop(client);

    let tally = provider.tally().await;
    assert_eq!(
        (&tally["aborted"], &tally["in_flight"]),
        (&json!(0), &json!(0))
    );
}

#[tokio::test]
async fn arrivals_tell_when_and_with_how_many_tokens() {
    let provider = Provider::start(at_once()).await;
    provider.behave("sk-1", json!({"first_byte": "20ms"})).await;
    for tokens_max in [1, 2] {
        send(provider.chat(json!({"max_tokens": tokens_max}))).await;
    }

    let arrivals = provider.arrivals().await;

    let tokens: Vec<&Value> = arrivals.iter().map(|arrival| &arrival["tokens"]).collect();
    assert_eq!(tokens, [2, 3]);
    let micros = |value: &Value| value.as_u64().unwrap();
    let took = micros(&arrivals[0]["ended_us"]) - micros(&arrivals[0]["at_us"]);
    assert!(took >= 20_000, "{took}");
    assert!(micros(&arrivals[1]["at_us"]) >= micros(&arrivals[0]["ended_us"]));
}

#[tokio::test]
async fn a_reset_forgets_what_arrived() {
    let provider = Provider::start_with_key("sk-1").await;
    send(provider.chat(json!({}))).await;

    provider.reset().await;

    let tally = provider.tally().await;
    assert_eq!(
        (&tally["requests"], &tally["worst_minute"]),
        (&json!(0), &json!(0))
    );
    assert!(provider.arrivals().await.is_empty());
}
