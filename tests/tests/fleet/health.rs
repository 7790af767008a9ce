//! Keys that fail are set aside by the whole cluster, tried again by one request, and weighed by how they answer.

use std::time::Duration;

use serde_json::{Value, json};
use tests::client::Request;
use tests::figures::{alone, figure, unix_us};
use tests::fleet::{Fleet, MODEL, Setup};
use tests::load;
use tests::oracle::Arrival;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

const SECOND_US: i64 = 1_000_000;

/// Three replicas over Redis and two keys.
async fn three_replicas(strategy: &'static str) -> Fleet {
    Fleet::start(Setup {
        keys: json!([{ "name": "first", "secret": "first" }, { "name": "second", "secret": "second" }]),
        strategy,
        simulator: vec!["--first-byte", "5ms", "--jitter", "0ms", "--tokens", "1"],
        ..Setup::default()
    })
    .await
}

/// Sends `count` requests one after the other, to the replicas in turn.
async fn send_in_turn(fleet: &Fleet, count: usize, pause: Duration) {
    let addresses = fleet.addresses();
    for index in 0..count {
        let request = Request::chat(MODEL);
        request
            .send(addresses[index % addresses.len()])
            .await
            .unwrap();
        sleep(pause).await;
    }
}

/// A steady load in the background; it ends with what it returns.
fn load_in_background(fleet: &Fleet, per_second: u32, request: Request) -> JoinSet<()> {
    let addresses = fleet.addresses();
    let mut load = JoinSet::new();
    load.spawn(async move {
        load::run_at_rate(&addresses, per_second, Duration::from_secs(600), request).await;
    });
    load
}

// Half a minute of waiting for little work: beside the others, not alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_fails_five_times_in_a_row_is_set_aside_and_tried_by_one_request() {
    let fleet = three_replicas("weighted").await;
    fleet
        .simulator
        .behave("first", &json!({ "status": 500 }))
        .await;

    // Slowly, so that the floor of the retry budget is enough.
    send_in_turn(&fleet, 20, Duration::from_millis(350)).await;
    let ejected = fleet.simulator.arrivals("first").await;
    figure(
        "attempts at a failing key, 20 requests at 3 replicas",
        ejected.len(),
        5,
    );
    assert_eq!(ejected.len(), 5);

    // Slow, so that a second trial beside the first would be seen.
    fleet
        .simulator
        .behave("first", &json!({ "first_byte": "2s" }))
        .await;
    let load = load_in_background(&fleet, 20, Request::chat(MODEL));
    let patience = Instant::now() + Duration::from_secs(45);
    let (trial, ended) = loop {
        let arrivals = fleet.simulator.arrivals("first").await;
        if let Some(trial) = arrivals.get(5)
            && let Some(ended) = trial.ended
        {
            break (trial.at, ended);
        }
        assert!(Instant::now() < patience, "no trial: {arrivals:?}");
        sleep(Duration::from_millis(20)).await;
    };
    sleep(Duration::from_secs(2)).await;
    drop(load);

    let arrivals = fleet.simulator.arrivals("first").await;
    let out = (trial - ejected[4].ended.unwrap()) as f64 / SECOND_US as f64;
    let n_beside = arrivals[6..]
        .iter()
        .filter(|arrival| arrival.at < ended)
        .count();
    let n_after = arrivals[6..].len() - n_beside;
    figure(
        "seconds from the ejection to the trial",
        format!("{out:.1}"),
        "27 to 33",
    );
    figure("requests beside the trial, of 20 a second", n_beside, 0);
    figure("requests in two seconds after it", n_after, "about 20");
    assert_eq!(n_beside, 0);
    assert!((26.9..=34.0).contains(&out), "{out}");
    assert!(n_after >= 8, "{n_after}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_fails_every_other_time_is_set_aside_by_its_rate() {
    let _machine = alone().await;
    let fleet = three_replicas("first_available").await;
    let addresses = fleet.addresses();

    for index in 0..60 {
        let behaviour = match index % 2 {
            0 => json!({ "status": 500 }),
            _ => json!({}),
        };
        fleet.simulator.behave("first", &behaviour).await;
        let request = Request::chat(MODEL);
        request
            .send(addresses[index % addresses.len()])
            .await
            .unwrap();
    }

    let n_asked = fleet.simulator.key("first").await.requests;
    figure(
        "attempts at a key that fails every other time",
        n_asked,
        "20 to 22 of 60",
    );
    assert!((20..=22).contains(&n_asked), "{n_asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_replica_was_told_by_a_429_holds_for_all() {
    let _machine = alone().await;
    let fleet = three_replicas("weighted").await;
    let load = load_in_background(&fleet, 60, Request::chat(MODEL));
    sleep(Duration::from_secs(1)).await;

    let limited = json!({ "status": 429, "retry_after": "3s" });
    fleet.simulator.behave("first", &limited).await;
    let told = loop {
        let arrivals = fleet.simulator.arrivals("first").await;
        let told = arrivals.iter().find(|arrival| arrival.status == Some(429));
        if let Some(told) = told {
            break told.ended.unwrap();
        }
        sleep(Duration::from_millis(2)).await;
    };
    fleet.simulator.behave("first", &json!({})).await;
    sleep(Duration::from_secs(5)).await;
    drop(load);

    let arrivals = fleet.simulator.arrivals("first").await;
    let n_between = |from: i64, to: i64| {
        let between = arrivals
            .iter()
            .filter(|arrival| (from..to).contains(&(arrival.at - told)));
        between.count()
    };
    let n_limited = arrivals
        .iter()
        .filter(|arrival| arrival.status == Some(429))
        .count();
    let n_early = n_between(100_000, 3 * SECOND_US);
    let n_late = n_between(3 * SECOND_US, 5 * SECOND_US);
    let replicas = format!(
        "{n_limited} × 429 at one of two keys, Retry-After 3, three replicas at 60 requests/s"
    );
    figure(
        &replicas,
        format!("{n_early} arrivals from 100 ms to 3 s after it"),
        0,
    );
    figure("arrivals in the next two seconds", n_late, "about 60");
    assert_eq!(n_early, 0);
    assert!(n_late >= 20, "{n_late}");
}

/// The first key's share of the arrivals in the last five seconds.
fn share(first: &[Arrival], second: &[Arrival]) -> f64 {
    let since = unix_us() - 5 * SECOND_US;
    let recent = |arrivals: &[Arrival]| {
        let recent = arrivals
            .iter()
            .rev()
            .take_while(|arrival| arrival.at >= since);
        recent.count() as f64
    };
    let (first, second) = (recent(first), recent(second));
    first / (first + second).max(1.0)
}

/// Waits until the first key's share is as `is_so` wants it, and tells how long that took.
async fn wait_share(fleet: &Fleet, patience: Duration, is_so: impl Fn(f64) -> bool) -> (f64, f64) {
    let began = Instant::now();
    loop {
        let first = fleet.simulator.arrivals("first").await;
        let second = fleet.simulator.arrivals("second").await;
        let share = share(&first, &second);
        if is_so(share) || began.elapsed() > patience {
            return (share, began.elapsed().as_secs_f64());
        }
        sleep(Duration::from_millis(250)).await;
    }
}

/// The shares before, while the first key is slow, and after; and the seconds that each change took.
async fn measure_dynamic_weights() -> [(f64, f64); 3] {
    let fleet = three_replicas("dynamic_weighted").await;
    let _load = load_in_background(&fleet, 40, Request::stream(MODEL));
    sleep(Duration::from_secs(8)).await;
    let before = wait_share(&fleet, Duration::ZERO, |_| true).await;

    let slow: Value = json!({ "first_byte": "50ms" });
    fleet.simulator.behave("first", &slow).await;
    let slow = wait_share(&fleet, Duration::from_secs(20), |share| share <= 0.2).await;
    // The share is to stay there, and is what recovery begins with.
    sleep(Duration::from_secs(5)).await;
    fleet.simulator.behave("first", &json!({})).await;
    let after = wait_share(&fleet, Duration::from_secs(60), |share| share >= 0.4).await;
    [before, slow, after]
}

// A minute of light load: beside the others, not alone.
#[tokio::test(flavor = "multi_thread")]
async fn dynamic_weights_leave_a_slow_key_and_come_back() {
    for is_last in [false, true] {
        let [before, slow, after] = measure_dynamic_weights().await;
        let shown =
            |(share, seconds): (f64, f64)| format!("{:.0} % after {seconds:.1} s", share * 100.0);
        figure(
            "share of one of two equal keys, dynamic_weighted",
            shown(before),
            "50 %",
        );
        figure(
            "its share once it answers in 50 ms instead of 5",
            shown(slow),
            "<= 20 % within 20 s",
        );
        figure(
            "its share once it is fast again",
            shown(after),
            ">= 40 % within 60 s",
        );
        let is_kept = (0.4..=0.6).contains(&before.0) && slow.0 <= 0.2 && after.0 >= 0.4;
        if is_kept {
            return;
        }
        // Milliseconds are weighed here: other tests that take the whole machine can outweigh them.
        assert!(!is_last, "the share did not follow, twice");
    }
}
