//! Restarts of replicas under load, and a Redis that forgets its scripts, freezes, or loses everything.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tests::client::Request;
use tests::figures::{alone, figure, row};
use tests::fleet::{Fleet, MODEL, Setup};
use tests::ingress::Ingress;
use tests::load;
use tests::oracle::in_flight_max;
use tests::proxy::Fault;
use tests::streams::{Stage, Streams};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

const SLOTS: u32 = 20;
const PATIENCE: Duration = Duration::from_secs(10);
const FREEZE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_under_load_fails_no_request() {
    let _machine = alone().await;
    let mut fleet = fleet_with_pace("0").await;
    let ingress = Ingress::over(&fleet.addresses());
    let load = ingress.load(40, Request::chat(MODEL));
    sleep(Duration::from_secs(2)).await;

    fleet.replicas[1].terminate();
    let status = fleet.replicas[1].wait_exit(PATIENCE).await;
    fleet.replicas[1].start();
    fleet.replicas[1].wait_ready().await;
    sleep(Duration::from_secs(2)).await;
    let samples = load.stop().await;

    report_load(&fleet, &samples).await;
    assert!(status.success(), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_that_are_flushed_all_the_time_fail_no_request() {
    let _machine = alone().await;
    let fleet = fleet_with_pace("0").await;
    let ingress = Ingress::over(&fleet.addresses());
    let load = ingress.load(40, Request::chat(MODEL));

    let mut n_flushes = 0;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(6) {
        fleet.redis.command(&["SCRIPT", "FLUSH"]).await.unwrap();
        n_flushes += 1;
        sleep(Duration::from_millis(20)).await;
    }
    let samples = load.stop().await;

    let failed = samples.iter().filter(|sample| sample.status != 200).count();
    row(
        18,
        format!(
            "{failed} of {} requests failed over {n_flushes} SCRIPT FLUSH",
            samples.len()
        ),
        "0",
    );
    report_load(&fleet, &samples).await;
    assert!(n_flushes > 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_link_to_redis_loses_no_slot() {
    let _machine = alone().await;
    let fleet = Fleet::start(Setup {
        is_linked: true,
        ..setup_with_pace("0")
    })
    .await;
    let link = fleet.link.as_ref().unwrap();
    let ingress = Ingress::over(&fleet.addresses());
    let load = ingress.load(40, Request::chat(MODEL));

    for _ in 0..8 {
        for fault in [
            Fault::Reset,
            Fault::None,
            Fault::Delay(Duration::from_millis(30)),
            Fault::SplitBytes,
        ] {
            link.set(fault);
            sleep(Duration::from_millis(200)).await;
        }
    }
    link.set(Fault::None);
    let samples = load.stop().await;
    sleep(Duration::from_secs(1)).await;

    report_load(&fleet, &samples).await;
    let view = fleet.replicas[0].view().await;
    let held: u64 = view.scopes.iter().map(|scope| scope.held).sum();
    figure(
        "leases held afterwards, and anomalies",
        format!("{held}, {}", view.anomalies),
        "0, 0",
    );
    assert_eq!((held, view.anomalies), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_redis_refuses_new_requests_and_harms_no_stream() {
    let _machine = alone().await;
    // Streams of twenty seconds: they outlive the freeze.
    let fleet = fleet_with_pace("10").await;
    let long = Request::chat_with(MODEL, &json!({ "stream": true, "max_tokens": 200 }));
    let mut running = Streams::new();
    for address in fleet.addresses() {
        running.open(address, 2, &long);
    }
    running.wait(Stage::Running, 6, PATIENCE).await;

    fleet.redis.freeze();
    let liveness = watch_liveness(&fleet);
    let answers = ask_while_frozen(&fleet.addresses()).await;
    let is_live = liveness.stop().await;
    fleet.redis.thaw();
    let thawed = Instant::now();
    // Until a replica has found Redis back, it refuses at once.
    for replica in &fleet.replicas {
        while replica.readiness().await != "ok\n" {
            assert!(thawed.elapsed() < PATIENCE, "{}", replica.readiness().await);
            sleep(Duration::from_millis(10)).await;
        }
    }
    let mut fresh = Streams::new();
    for address in fleet.addresses() {
        fresh.open(address, SLOTS as usize, &long);
    }
    fleet
        .simulator
        .wait_in_flight(&["only"], u64::from(SLOTS), PATIENCE)
        .await;
    let refilled = thawed.elapsed();
    // Who came late in the freeze still waits behind them.
    drop(fresh);
    running
        .wait(Stage::Finished, 6, Duration::from_secs(20))
        .await;

    let answers = answers.join_all().await;
    let seen = fleet.simulator.key("only").await;
    let refused: Vec<&Frozen> = answers
        .iter()
        .filter(|answer| answer.status == 503)
        .collect();
    let slowest = refused.iter().map(|answer| answer.took).max().unwrap();
    figure(
        "requests refused while Redis is frozen",
        format!("{} of {}", refused.len(), answers.len()),
        "nearly all",
    );
    let at_once = answers.iter().filter(|answer| answer.is_known_away());
    let slowest_at_once = at_once.map(|answer| answer.took).max().unwrap();
    row(
        13,
        format!(
            "answered in {slowest:.2?}, in {slowest_at_once:.2?} once known, full {refilled:.2?} after"
        ),
        "4.5 s, 0.3 s, 2 s",
    );
    figure("livez all the time", is_live, true);
    figure("streams that finished", running.count(Stage::Finished), 6);
    figure(
        "full capacity after the thaw",
        format!("{refilled:.2?}"),
        "<= 2 s",
    );
    figure("most in flight", seen.in_flight_max, format!("<= {SLOTS}"));
    for answer in &answers {
        assert!(answer.is_right(), "{answer:?}");
    }
    assert!(is_live);
    assert!(refilled <= Duration::from_secs(2), "{refilled:?}");
    assert!(seen.in_flight_max <= u64::from(SLOTS));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_comes_back_empty_serves_in_full_within_eight_seconds() {
    let _machine = alone().await;
    let mut fleet = fleet_with_pace("10").await;
    let mut running = Streams::new();
    for address in fleet.addresses() {
        running.open(address, 3, &Request::stream(MODEL));
    }
    running.wait(Stage::Running, 9, PATIENCE).await;

    fleet.redis.kill();
    let killed = Instant::now();
    sleep(Duration::from_millis(500)).await;
    fleet.redis.restart_empty().await;
    let mut fresh = Streams::new();
    for address in fleet.addresses() {
        fresh.open(address, SLOTS as usize, &Request::stream(MODEL));
    }
    fleet
        .simulator
        .wait_in_flight(&["only"], u64::from(SLOTS), Duration::from_secs(20))
        .await;
    let refilled = killed.elapsed();

    // Long enough for grants beyond the limit to show.
    sleep(Duration::from_secs(2)).await;
    let seen = fleet.simulator.key("only").await;
    let swept = in_flight_max(&fleet.simulator.arrivals("only").await);
    figure(
        "full capacity after the loss of Redis",
        format!("{refilled:.2?}"),
        "<= 8 s",
    );
    figure(
        "most in flight, oracle and sweep line",
        format!("{}, {swept}", seen.in_flight_max),
        format!("<= {SLOTS}"),
    );
    assert!(refilled <= Duration::from_secs(8), "{refilled:?}");
    assert!(seen.in_flight_max <= u64::from(SLOTS) && swept <= i64::from(SLOTS));
    assert_eq!(running.count(Stage::Running), 9, "{:?}", running.stages());
    assert_eq!(fresh.count(Stage::Broken), 0);
}

/// A fleet on one key; answers have 1,000 tokens at `pace` tokens a second, or come at once after 50 ms with pace 0.
async fn fleet_with_pace(pace: &'static str) -> Fleet {
    Fleet::start(setup_with_pace(pace)).await
}

fn setup_with_pace(pace: &'static str) -> Setup {
    Setup {
        simulator: vec![
            "--first-byte",
            "50ms",
            "--jitter",
            "10ms",
            "--tokens",
            "1000",
            "--tokens-per-second",
            pace,
        ],
        keys: json!([{ "name": "only", "secret": "only", "limits": { "concurrency": SLOTS } }]),
        ..Setup::default()
    }
}

async fn report_load(fleet: &Fleet, samples: &[load::Sample]) {
    let seen = fleet.simulator.key("only").await;
    let swept = in_flight_max(&fleet.simulator.arrivals("only").await);
    let failed = samples.iter().filter(|sample| sample.status != 200).count();
    figure(
        "requests, and failed ones",
        format!("{}, {failed}", samples.len()),
        "many, 0",
    );
    figure(
        "most in flight, oracle and sweep line",
        format!("{}, {swept}", seen.in_flight_max),
        format!("<= {SLOTS}"),
    );
    assert!(samples.len() > 500, "{}", samples.len());
    load::assert_all_served(samples);
    assert!(seen.in_flight_max <= u64::from(SLOTS) && swept <= i64::from(SLOTS));
}

/// What became of a request that came while Redis was frozen.
#[derive(Clone, Debug)]
struct Frozen {
    /// After the beginning of the freeze.
    came: Duration,
    took: Duration,
    status: u16,
    has_retry_after: bool,
}

impl Frozen {
    /// Refused in time, and at once when Redis is known to be away; served only if it came with the thaw.
    fn is_right(&self) -> bool {
        let patience = if self.is_known_away() {
            Duration::from_millis(300)
        } else {
            Duration::from_millis(4_500)
        };
        match self.status {
            503 => self.took <= patience && self.has_retry_after,
            200 => self.came + Duration::from_millis(500) >= FREEZE,
            _ => false,
        }
    }

    /// It came when every replica had been without an answer for more than 3.5 s.
    fn is_known_away(&self) -> bool {
        let known = Duration::from_millis(5_000)..FREEZE - Duration::from_millis(500);
        known.contains(&self.came)
    }
}

/// Sends a request every fifth of a second, for as long as the freeze lasts.
async fn ask_while_frozen(addresses: &[SocketAddr]) -> JoinSet<Frozen> {
    let request = Request::chat_with(MODEL, &json!({ "max_tokens": 1 }));
    let began = Instant::now();
    let mut clients = JoinSet::new();
    while began.elapsed() < FREEZE {
        let address = addresses[clients.len() % addresses.len()];
        let request = request.clone();
        let came = began.elapsed();
        clients.spawn(async move {
            let asked = Instant::now();
            let answer = request
                .send(address)
                .await
                .expect("a replica without Redis still answers");
            Frozen {
                came,
                took: asked.elapsed(),
                status: answer.status,
                has_retry_after: answer.header("retry-after").is_some(),
            }
        });
        sleep(Duration::from_millis(200)).await;
    }
    clients
}

struct Liveness {
    is_over: Arc<AtomicBool>,
    watch: JoinSet<bool>,
}

impl Liveness {
    /// Whether every replica was live each time.
    async fn stop(self) -> bool {
        self.is_over.store(true, Ordering::Relaxed);
        self.watch.join_all().await.into_iter().all(|live| live)
    }
}

fn watch_liveness(fleet: &Fleet) -> Liveness {
    let is_over = Arc::new(AtomicBool::new(false));
    let mut watch = JoinSet::new();
    for address in fleet.addresses() {
        let is_over = Arc::clone(&is_over);
        watch.spawn(async move {
            let mut is_live = true;
            while !is_over.load(Ordering::Relaxed) {
                let answer = Request::get("/livez").send(address).await;
                is_live &= answer.is_ok_and(|answer| answer.status == 200);
                sleep(Duration::from_millis(100)).await;
            }
            is_live
        });
    }
    Liveness { is_over, watch }
}
