//! Strategies hold over the cluster, not for each replica.

use std::time::Duration;

use serde_json::{Value, json};
use tests::client::Request;
use tests::figures::{alone, figure};
use tests::fleet::{Fleet, MODEL, Setup};
use tests::load::{self, Connections};
use tests::records;
use tests::streams::{Stage, Streams};

/// A provider that holds each stream open for minutes.
const ENDLESS: [&str; 8] = [
    "--first-byte",
    "10ms",
    "--jitter",
    "0ms",
    "--tokens",
    "10000",
    "--tokens-per-second",
    "10",
];

#[tokio::test(flavor = "multi_thread")]
async fn weights_share_the_requests_of_all_replicas() {
    let _machine = alone().await;
    let fleet = Fleet::start(Setup {
        keys: weights(3, 2),
        is_recorded: true,
        ..Setup::default()
    })
    .await;

    let samples = load::run(
        &fleet.addresses(),
        20,
        1_000,
        Connections::Kept,
        Request::chat(MODEL),
    )
    .await;

    let counts = load::by_key(&samples);
    figure(
        "weights 3:2 over 1,000 requests",
        format!("{counts:?}"),
        "600 : 400, 10 more or less",
    );
    load::assert_all_served(&samples);
    assert!((590..=610).contains(&counts["heavy"]), "{counts:?}");

    let operations = fleet.records();
    let grants = records::grants(&operations);
    let deviation = records::worst_deviation(&grants, &[3.0, 2.0]);
    figure(
        "deviation from 3:2 in store order",
        format!("{deviation:.2} picks"),
        "<= 1.5",
    );
    assert_eq!(grants.len(), 1_000);
    assert!(deviation <= 1.5, "{deviation}");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_ten_requests_in_a_row_hold_the_lesser_key_of_nine_to_one_once() {
    let _machine = alone().await;
    let fleet = fleet_of("weighted", weights(9, 1)).await;
    let addresses = fleet.addresses();

    let mut is_light = Vec::new();
    for index in 0..100 {
        let request = Request::chat(MODEL);
        let answer = request.send(addresses[index % addresses.len()]).await;
        let answer = answer.unwrap();
        let key = answer.header("x-sluice-key").expect("who served is told");
        is_light.push(key.ends_with("light"));
    }

    let counts: Vec<usize> = is_light
        .windows(10)
        .map(|ten| ten.iter().filter(|is_light| **is_light).count())
        .collect();
    let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
    figure(
        "lesser key of 9:1 in any ten in a row, round the replicas",
        format!("{least} to {most}"),
        "1 to 1",
    );
    assert_eq!((*least, *most), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_available_key_is_filled_before_the_second() {
    let _machine = alone().await;
    let keys = json!([
        { "name": "first", "secret": "first", "limits": { "concurrency": 6 } },
        { "name": "second", "secret": "second", "limits": { "concurrency": 6 } },
    ]);
    let fleet = Fleet::start(Setup {
        strategy: "first_available",
        simulator: ENDLESS.to_vec(),
        keys,
        ..Setup::default()
    })
    .await;

    let mut streams = Streams::new();
    for address in fleet.addresses() {
        streams.open(address, 3, &Request::stream(MODEL));
    }
    streams
        .wait(Stage::Running, 9, Duration::from_secs(5))
        .await;

    let first = fleet.simulator.key("first").await.in_flight;
    let second = fleet.simulator.key("second").await.in_flight;
    figure(
        "9 streams on two keys of 6",
        format!("{first} + {second}"),
        "6 + 3",
    );
    assert_eq!((first, second), (6, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_key_is_granted_only_when_the_first_is_full() {
    let _machine = alone().await;
    let keys = json!([
        { "name": "first", "secret": "first", "limits": { "concurrency": 6 } },
        { "name": "second", "secret": "second", "limits": { "concurrency": 6 } },
    ]);
    let fleet = Fleet::start(Setup {
        strategy: "first_available",
        keys,
        is_recorded: true,
        ..Setup::default()
    })
    .await;

    let samples = load::run(
        &fleet.addresses(),
        9,
        1_000,
        Connections::Kept,
        Request::chat(MODEL),
    )
    .await;

    let counts = load::by_key(&samples);
    let n_overlooked = records::overlooked_rooms(&fleet.records(), 6);
    figure(
        "served by the first and the second key",
        format!("{counts:?}"),
        "both",
    );
    figure(
        "grants to the second beside room on the first",
        n_overlooked,
        0,
    );
    load::assert_all_served(&samples);
    assert!(counts["second"] > 100, "{counts:?}");
    assert_eq!(n_overlooked, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_least_busy_key_is_chosen_by_its_capacity() {
    let _machine = alone().await;
    let keys = json!([
        { "name": "wide", "secret": "wide", "limits": { "concurrency": 30 } },
        { "name": "narrow", "secret": "narrow", "limits": { "concurrency": 10 } },
    ]);
    let fleet = fleet_of("least_busy", keys).await;

    let samples = load::run(
        &fleet.addresses(),
        24,
        2_000,
        Connections::Kept,
        Request::chat(MODEL),
    )
    .await;

    let counts = load::by_key(&samples);
    let ratio = counts["wide"] as f64 / counts["narrow"] as f64;
    figure(
        "least busy of capacities 30 and 10",
        format!("{ratio:.2} : 1"),
        "3 : 1, 10 % more or less",
    );
    load::assert_all_served(&samples);
    assert!((2.7..=3.3).contains(&ratio), "{counts:?}");
}

async fn fleet_of(strategy: &'static str, keys: Value) -> Fleet {
    Fleet::start(Setup {
        strategy,
        keys,
        ..Setup::default()
    })
    .await
}

fn weights(heavy: u32, light: u32) -> Value {
    json!([
        { "name": "heavy", "secret": "heavy", "weight": heavy },
        { "name": "light", "secret": "light", "weight": light },
    ])
}
