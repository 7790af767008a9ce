//! What a request costs the router itself.

use serde_json::json;
use tests::client::Request;
use tests::figures::{alone, figure};
use tests::fleet::{Fleet, MODEL, Setup};
use tests::load::{self, Connections};

const REQUESTS: usize = 10_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_request_costs_little_more_with_redis_than_in_memory() {
    let _machine = alone().await;
    let memory = cpu_seconds_per_thousand(json!({ "state": "memory" })).await;
    let redis = cpu_seconds_per_thousand(json!({})).await;

    let seconds = |seconds: f64| format!("{seconds:.3} s");
    figure(
        "CPU of 1,000 requests through the router, memory",
        seconds(memory),
        "none",
    );
    figure(
        "CPU of 1,000 requests through the router, Redis",
        seconds(redis),
        "none",
    );
    assert!(redis < memory * 3.0, "memory {memory}, Redis {redis}");
}

async fn cpu_seconds_per_thousand(settings: serde_json::Value) -> f64 {
    let fleet = Fleet::start(Setup {
        replicas: 1,
        simulator: vec!["--first-byte", "0ms", "--jitter", "0ms", "--tokens", "1", "--tokens-per-second", "0"],
        keys: json!([{ "name": "only", "secret": "only", "limits": { "concurrency": 1000, "rpm": 1_000_000 } }]),
        settings,
        ..Setup::default()
    })
    .await;
    let router = &fleet.replicas[0];
    let before = router.cpu_seconds();

    let samples = load::run(
        &fleet.addresses(),
        32,
        REQUESTS,
        Connections::Kept,
        Request::chat(MODEL),
    )
    .await;

    load::assert_all_served(&samples);
    (router.cpu_seconds() - before) * 1_000.0 / REQUESTS as f64
}
