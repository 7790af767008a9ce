//! Replicas that die, come back, or leave in order.

use std::time::Duration;

use serde_json::json;
use tests::client::Request;
use tests::figures::{alone, figure};
use tests::fleet::{Fleet, MODEL, Setup};
use tests::oracle::in_flight_max;
use tests::streams::{Stage, Streams};
use tokio::time::{Instant, sleep};

const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_replicas_slots_are_used_again_within_seven_seconds() {
    let _machine = alone().await;

    let took = kill_and_refill(ComesBack::No).await;

    figure(
        "60 in flight again after kill -9",
        format!("{took:.2?}"),
        "<= 7 s",
    );
    assert!(took <= Duration::from_secs(7), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_replica_that_starts_again_frees_its_slots_within_three_seconds() {
    let _machine = alone().await;

    let took = kill_and_refill(ComesBack::Yes).await;

    figure(
        "60 in flight again after kill -9 and start",
        format!("{took:.2?}"),
        "<= 3 s",
    );
    assert!(took <= Duration::from_secs(3), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_replica_finishes_its_streams_and_hands_back_its_slots() {
    let _machine = alone().await;
    let mut fleet = fleet_with_slots(2, 10, "60").await;
    let (leaver, stayer) = (fleet.replicas[0].address(), fleet.replicas[1].address());
    // Three seconds of tokens each.
    let mut leaving = Streams::new();
    leaving.open(leaver, 5, &Request::stream(MODEL));
    leaving.wait(Stage::Running, 5, PATIENCE).await;
    let mut staying = Streams::new();
    staying.open(stayer, 40, &Request::stream(MODEL));
    staying.wait(Stage::Running, 5, PATIENCE).await;

    let began = Instant::now();
    fleet.replicas[0].terminate();
    sleep(Duration::from_millis(300)).await;
    let is_ready = fleet.replicas[0].is_ready().await;
    leaving.wait_all(PATIENCE).await;
    let streams_took = began.elapsed();
    let status = fleet.replicas[0].wait_exit(PATIENCE).await;
    let exit_took = began.elapsed() - streams_took;
    sleep(Duration::from_millis(500)).await;
    let view = fleet.replicas[1].view().await;
    let in_flight = fleet.simulator.key("only").await.in_flight;

    figure(
        "streams that finished after SIGTERM",
        leaving.count(Stage::Finished),
        5,
    );
    figure(
        "exit after the last stream",
        format!("{exit_took:.2?}"),
        "<= 1 s",
    );
    figure("in flight half a second later", in_flight, 10);
    assert!(!is_ready, "a draining replica is not ready");
    assert_eq!(leaving.count(Stage::Finished), 5, "{:?}", leaving.stages());
    assert!(status.success(), "{status}");
    assert!(exit_took <= Duration::from_secs(1), "{exit_took:?}");
    assert_eq!(in_flight, 10);
    assert_eq!(view.sessions.len(), 1, "{:?}", view.sessions);
    assert_eq!(staying.count(Stage::Broken), 0);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ComesBack {
    Yes,
    No,
}

/// Kills a replica that holds 50 of 60 slots while 60 requests wait elsewhere; returns the time until 60 run again.
async fn kill_and_refill(comes_back: ComesBack) -> Duration {
    let mut fleet = fleet_with_slots(3, 60, "100000").await;
    let addresses = fleet.addresses();
    let request = Request::stream(MODEL);
    let mut doomed = Streams::new();
    doomed.open(addresses[0], 50, &request);
    doomed.wait(Stage::Running, 50, PATIENCE).await;
    let mut steady = Streams::new();
    steady.open(addresses[1], 5, &request);
    steady.open(addresses[2], 5, &request);
    steady.wait(Stage::Running, 10, PATIENCE).await;
    let mut waiting = Streams::new();
    waiting.open(addresses[1], 30, &request);
    waiting.open(addresses[2], 30, &request);
    sleep(Duration::from_millis(1_500)).await;
    let view = fleet.replicas[1].view().await;
    let before = fleet.simulator.key("only").await.in_flight;
    let queued = view.models[0].queued;
    let pieces_before = steady.pieces();

    let killed = Instant::now();
    fleet.replicas[0].kill();
    if comes_back == ComesBack::Yes {
        fleet.replicas[0].start();
    }
    fleet
        .simulator
        .wait_in_flight(&["only"], 10, PATIENCE)
        .await;
    fleet
        .simulator
        .wait_in_flight(&["only"], 60, PATIENCE)
        .await;
    let took = killed.elapsed();

    // Long enough for a second, wrong, reclaim to show.
    sleep(Duration::from_millis(1_500)).await;
    let seen = fleet.simulator.key("only").await;
    let swept = in_flight_max(&fleet.simulator.arrivals("only").await);
    figure(
        "in flight before the kill, and waiting",
        format!("{before}, {queued}"),
        "60, 60",
    );
    figure(
        "most in flight, oracle and sweep line",
        format!("{}, {swept}", seen.in_flight_max),
        "<= 60",
    );
    assert_eq!((before, queued), (60, 60));
    assert!(seen.in_flight_max <= 60 && swept <= 60);
    assert_eq!(seen.in_flight, 60);
    assert_eq!(steady.count(Stage::Running), 10, "{:?}", steady.stages());
    assert!(steady.pieces() > pieces_before, "the others' streams go on");
    assert_eq!(waiting.count(Stage::Broken), 0);
    assert_eq!(fleet.replicas[1].view().await.anomalies, 0);
    took
}

/// A fleet on one key with streams of `tokens` tokens, twenty a second.
async fn fleet_with_slots(replicas: usize, slots: u32, tokens: &'static str) -> Fleet {
    Fleet::start(Setup {
        replicas,
        simulator: vec![
            "--first-byte",
            "20ms",
            "--jitter",
            "0ms",
            "--tokens-per-second",
            "20",
            "--tokens",
            tokens,
        ],
        keys: json!([{ "name": "only", "secret": "only", "limits": { "concurrency": slots } }]),
        ..Setup::default()
    })
    .await
}
