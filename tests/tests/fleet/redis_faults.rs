//! Rows of `docs/faults.md` about Redis that runs, and refuses, forgets or is out of reach.

use std::time::Duration;

use serde_json::json;
use tests::client::Request;
use tests::figures::{alone, figure, row};
use tests::fleet::{Fleet, MODEL, Setup};
use tests::ingress::Ingress;
use tests::load::by_status;
use tests::oracle::in_flight_max;
use tests::proxy::Fault;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

/// How Redis is made to refuse, and healed: the cause that replicas must name, and the commands of both.
type Refusal = (
    &'static str,
    &'static [&'static [&'static str]],
    &'static [&'static [&'static str]],
);

const REFUSALS: [Refusal; 6] = [
    (
        "oom",
        &[&["CONFIG", "SET", "maxmemory", "1"]],
        &[&["CONFIG", "SET", "maxmemory", "0"]],
    ),
    (
        "readonly",
        &[&["REPLICAOF", "127.0.0.1", "1"]],
        &[&["REPLICAOF", "NO", "ONE"]],
    ),
    (
        "noreplicas",
        &[&["CONFIG", "SET", "min-replicas-to-write", "1"]],
        &[&["CONFIG", "SET", "min-replicas-to-write", "0"]],
    ),
    (
        "noperm",
        &[&["ACL", "SETUSER", "default", "-evalsha"]],
        &[&["ACL", "SETUSER", "default", "+evalsha"]],
    ),
    (
        "auth",
        &[
            &["ACL", "SETUSER", "default", "resetpass", ">other"],
            &["CLIENT", "KILL", "TYPE", "pubsub"],
        ],
        &[
            &["AUTH", "default", "other"],
            &["ACL", "SETUSER", "default", "nopass"],
        ],
    ),
    (
        "misconf",
        &[&["CONFIG", "SET", "save", "1 1"], &["BGSAVE"]],
        &[&["CONFIG", "SET", "save", ""]],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_failure_of_redis_is_counted_by_its_cause_and_survived() {
    let _machine = alone().await;
    let fleet = Fleet::start(Setup {
        is_linked: true,
        ..slots(9)
    })
    .await;
    let link = fleet.link.as_ref().unwrap();
    // A dump cannot replace a directory, so saving fails.
    std::fs::create_dir(fleet.redis.directory().join("dump.rdb")).unwrap();
    let ingress = Ingress::over(&fleet.addresses());
    let load = ingress.load(12, Request::chat(MODEL));

    for (cause, fault) in [("dropped", Fault::Reset), ("garbage", Fault::Garbage)] {
        link.set(fault);
        wait_for_cause(&fleet, cause).await;
        link.set(Fault::None);
        wait_until_back(&fleet, cause).await;
    }
    link.set(Fault::Swallow);
    wait_for_cause(&fleet, "timeout").await;
    link.set(Fault::None);
    wait_until_back(&fleet, "timeout").await;
    for (cause, harm, heal) in REFUSALS {
        fleet.redis.must_all(harm).await;
        wait_for_cause(&fleet, cause).await;
        fleet.redis.must_all(heal).await;
        wait_until_back(&fleet, cause).await;
    }
    let samples = load.stop().await;

    let mut errors = 0.0;
    for replica in &fleet.replicas {
        errors += replica.metrics().await.sum("sluice_store_errors_total");
    }
    let lines: usize = fleet
        .replicas
        .iter()
        .map(|replica| replica.log().lines().count())
        .max()
        .unwrap();
    let slowest = samples.iter().map(|sample| sample.took).max().unwrap();
    let seen = fleet.simulator.key("only").await;
    row(
        14,
        format!(
            "9 causes told apart, {errors} failed calls counted, slowest answer {slowest:.2?}, {lines} log lines at most"
        ),
        "all, 4.5 s, <= 60 lines",
    );
    figure("answers", format!("{:?}", by_status(&samples)), "200, 503");
    assert!(
        samples
            .iter()
            .all(|sample| matches!(sample.status, 200 | 503))
    );
    assert!(slowest <= Duration::from_millis(4_500), "{slowest:?}");
    assert!(lines <= 60, "{lines}");
    assert!(seen.in_flight_max <= 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn three_replicas_without_redis_admit_no_more_than_one_limit() {
    let _machine = alone().await;
    let mut fleet = Fleet::start(slots(9)).await;
    let ingress = Ingress::over(&fleet.addresses());
    let load = ingress.load(30, Request::chat(MODEL));
    sleep(Duration::from_secs(1)).await;

    fleet.redis.kill();
    sleep(Duration::from_secs(6)).await;
    fleet.redis.restart_empty().await;
    fleet
        .simulator
        .wait_in_flight(&["only"], 9, Duration::from_secs(10))
        .await;
    let samples = load.stop().await;

    let seen = fleet.simulator.key("only").await;
    let swept = in_flight_max(&fleet.simulator.arrivals("only").await);
    row(15, format!("{} in flight at most", seen.in_flight_max), "9");
    figure("answers", format!("{:?}", by_status(&samples)), "200, 503");
    assert!(seen.in_flight_max <= 9 && swept <= 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flushed_redis_forgets_neither_slots_nor_windows() {
    let _machine = alone().await;
    let fleet = Fleet::start(Setup {
        keys: json!([{ "name": "only", "secret": "only", "limits": { "concurrency": 9, "rpm": 60 } }]),
        settings: json!({ "queue": { "max_length": 1_000, "timeout": "15s" } }),
        ..slots(9)
    })
    .await;
    let ingress = Ingress::over(&fleet.addresses());
    let load = ingress.load(12, Request::chat(MODEL));
    sleep(Duration::from_secs(4)).await;

    fleet.redis.must(&["FLUSHALL"]).await;
    let flushed = Instant::now();
    let told = async {
        loop {
            let mut asserts = 0.0;
            for replica in &fleet.replicas {
                asserts += replica.metrics().await.sum("sluice_asserts_total");
            }
            if asserts >= 3.0 {
                return flushed.elapsed();
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    let told = tokio::time::timeout(Duration::from_secs(5), told)
        .await
        .unwrap();
    sleep(Duration::from_secs(10)).await;
    let samples = load.stop().await;

    let seen = fleet.simulator.key("only").await;
    row(
        21,
        format!(
            "told again after {told:.2?}, {} in flight and {} in a minute at most",
            seen.in_flight_max, seen.worst_minute
        ),
        "1.5 s, 9, 60",
    );
    figure("answers", format!("{:?}", by_status(&samples)), "200, 429");
    assert!(told <= Duration::from_millis(1_500), "{told:?}");
    assert!(seen.in_flight_max <= 9 && seen.worst_minute <= 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_without_free_connections_is_survived_without_a_storm() {
    let _machine = alone().await;
    let fleet = Fleet::start(Setup {
        replicas: 6,
        ..slots(9)
    })
    .await;
    let ingress = Ingress::over(&fleet.addresses());
    let load = ingress.load(24, Request::chat(MODEL));
    sleep(Duration::from_secs(1)).await;

    let greeted = fleet.redis.calls("hello").await;
    for _ in 0..20 {
        fleet
            .redis
            .must(&["CLIENT", "KILL", "TYPE", "pubsub"])
            .await;
        sleep(Duration::from_millis(100)).await;
    }
    let greeted = fleet.redis.calls("hello").await - greeted;
    // Idle clients take every connection there is.
    let mut idle = Vec::new();
    for _ in 0..40 {
        idle.push(TcpStream::connect(fleet.redis.address()).await.unwrap());
    }
    let full: [&[&str]; 2] = [
        &["CONFIG", "SET", "maxclients", "41"],
        &["CLIENT", "KILL", "TYPE", "pubsub"],
    ];
    fleet.redis.must_all(&full).await;
    wait_for_cause(&fleet, "maxclients").await;
    drop(idle);
    let freed = Instant::now();
    sleep(Duration::from_millis(200)).await;
    fleet
        .simulator
        .wait_in_flight(&["only"], 9, Duration::from_secs(10))
        .await;
    let recovered = freed.elapsed();
    let samples = load.stop().await;

    let per_kill = greeted as f64 / 20.0 / 6.0;
    row(
        23,
        format!(
            "{per_kill:.2} HELLO per killed connection, full {recovered:.2?} after connections came free"
        ),
        "<= 2, 2 s",
    );
    figure("answers", format!("{:?}", by_status(&samples)), "200, 503");
    assert!(per_kill <= 2.0, "{per_kill}");
    assert!(recovered <= Duration::from_secs(2), "{recovered:?}");
}

/// Waits until some replica has counted a failure of this cause, and says so where people look.
async fn wait_for_cause(fleet: &Fleet, cause: &str) {
    let counter = format!("sluice_store_errors_total{{cause=\"{cause}\"}}");
    let deadline = Instant::now() + Duration::from_secs(6);
    loop {
        for replica in &fleet.replicas {
            if replica.metrics().await.value(&counter) > 0.0 {
                return;
            }
        }
        assert!(Instant::now() < deadline, "nobody names `{cause}`");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until every replica has its store back, which must not take long.
async fn wait_until_back(fleet: &Fleet, cause: &str) {
    let healed = Instant::now();
    for replica in &fleet.replicas {
        while replica.metrics().await.sum("sluice_store_away") > 0.0 {
            let took = healed.elapsed();
            assert!(
                took < Duration::from_secs(2),
                "away after `{cause}` for {took:?}"
            );
            sleep(Duration::from_millis(20)).await;
        }
    }
}

fn slots(count: u32) -> Setup {
    Setup {
        simulator: vec![
            "--first-byte",
            "100ms",
            "--jitter",
            "10ms",
            "--tokens",
            "1",
            "--tokens-per-second",
            "100000",
        ],
        keys: json!([{ "name": "only", "secret": "only", "limits": { "concurrency": count } }]),
        ..Setup::default()
    }
}
