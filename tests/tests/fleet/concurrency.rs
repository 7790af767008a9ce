//! One key's concurrency over the whole cluster, and what it costs in Redis.

use std::time::Duration;

use serde_json::json;
use tests::client::Request;
use tests::figures::{alone, figure, is_long};
use tests::fleet::{Fleet, MODEL, Setup};
use tests::load::{self, Connections};
use tests::oracle::{in_flight_max, in_flight_mean};
use tokio::time::Instant;

#[tokio::test(flavor = "multi_thread")]
async fn three_replicas_fill_one_key_and_never_overfill_it() {
    let _machine = alone().await;
    let fleet = Fleet::start(Setup {
        simulator: vec!["--first-byte", "100ms", "--jitter", "0ms", "--tokens", "1"],
        keys: json!([{ "name": "only", "secret": "only", "limits": { "concurrency": 10 } }]),
        ..Setup::default()
    })
    .await;
    let requests: u32 = if is_long() { 20_000 } else { 4_000 };
    fleet.simulator.reset().await;
    let calls_before = fleet.redis.script_calls().await;

    let samples = load::run(
        &fleet.addresses(),
        300,
        requests as usize,
        Connections::Kept,
        Request::chat(MODEL),
    )
    .await;

    let calls = fleet.redis.script_calls().await - calls_before;
    let calls_per_request = calls as f64 / f64::from(requests);
    let seen = fleet.simulator.key("only").await;
    let arrivals = fleet.simulator.arrivals("only").await;
    let (first, last) = (arrivals[0].at, arrivals[arrivals.len() - 1].at);
    let mean = in_flight_mean(&arrivals, first, last);
    let swept = in_flight_max(&arrivals);

    figure("requests served", samples.len(), requests);
    figure("most in flight, oracle", seen.in_flight_max, "<= 10");
    figure("most in flight, sweep line", swept, "<= 10");
    figure(
        "mean in flight under demand",
        format!("{mean:.2}"),
        ">= 9.5",
    );
    figure(
        "script calls per request",
        format!("{calls_per_request:.2}"),
        "<= 2.2",
    );
    load::assert_all_served(&samples);
    assert_eq!(samples.len(), requests as usize);
    assert_eq!(arrivals.len(), requests as usize);
    assert!(seen.in_flight_max <= 10 && swept <= 10);
    assert!(mean >= 9.5, "{mean}");
    assert!(calls_per_request <= 2.2, "{calls_per_request}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_replica_shares_script_calls_among_requests() {
    let _machine = alone().await;
    let fleet = Fleet::start(Setup {
        replicas: 1,
        simulator: vec![
            "--first-byte",
            "0ms",
            "--jitter",
            "0ms",
            "--tokens",
            "1",
            "--tokens-per-second",
            "0",
        ],
        keys: json!([{ "name": "only", "secret": "only", "limits": { "concurrency": 100_000 } }]),
        ..Setup::default()
    })
    .await;
    let requests: u32 = if is_long() { 100_000 } else { 20_000 };
    let calls_before = fleet.redis.script_calls().await;
    let began = Instant::now();

    let samples = load::run(
        &fleet.addresses(),
        256,
        requests as usize,
        Connections::Kept,
        Request::chat(MODEL),
    )
    .await;

    let rate = f64::from(requests) / began.elapsed().as_secs_f64();
    let calls = fleet.redis.script_calls().await - calls_before;
    let calls_per_request = calls as f64 / f64::from(requests);
    figure("requests per second", format!("{rate:.0}"), "none");
    figure(
        "script calls per request, 256 connections",
        format!("{calls_per_request:.2}"),
        "<= 0.5",
    );
    load::assert_all_served(&samples);
    assert!(calls_per_request <= 0.5, "{calls_per_request}");
    let slowest = samples.iter().map(|sample| sample.took).max().unwrap();
    assert!(slowest < Duration::from_secs(30), "{slowest:?}");
}
