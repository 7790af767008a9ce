//! Coordinators that die, are paused, or are not there; what the leader finds, and what operators tell it.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use shared::state::replay::replay;
use shared::state::view::{AdminState, HealthView, KeyState};
use tests::client::Request;
use tests::figures::{alone, figure, is_long};
use tests::fleet::{Coordinator, Fleet, MODEL, Setup};
use tests::free_address;
use tests::load::{self, Connections, by_key};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_is_followed_within_eight_seconds() {
    let _machine = alone().await;
    let mut fleet = fleet_with_coordinators(2).await;
    let before = fleet.wait_leader(PATIENCE).await;
    let leading = fleet.leading(PATIENCE).await;

    let killed = Instant::now();
    fleet.coordinators[leading].kill();
    let after = wait_other_leader(&fleet, &before.owner).await;
    let took = killed.elapsed();

    figure(
        "another coordinator leads after kill -9",
        format!("{took:.2?}"),
        "<= 8 s",
    );
    assert!(took <= Duration::from_secs(8), "{took:?}");
    assert!(after.fence > before.fence, "{after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_leader_is_followed_at_once() {
    let _machine = alone().await;
    let mut fleet = fleet_with_coordinators(2).await;
    let before = fleet.wait_leader(PATIENCE).await;
    let leading = fleet.leading(PATIENCE).await;

    let terminated = Instant::now();
    fleet.coordinators[leading].terminate();
    let status = fleet.coordinators[leading].wait_exit(PATIENCE).await;
    let exit_took = terminated.elapsed();
    wait_other_leader(&fleet, &before.owner).await;
    let took = terminated.elapsed();

    figure("exit after SIGTERM", format!("{exit_took:.2?}"), "<= 1 s");
    figure("another coordinator leads", format!("{took:.2?}"), "<= 3 s");
    assert!(status.success(), "{status}");
    assert!(exit_took <= Duration::from_secs(1), "{exit_took:?}");
    assert!(took <= Duration::from_secs(3), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_leader_changes_nothing_when_it_comes_back() {
    let _machine = alone().await;
    let fleet = fleet_with_coordinators(2).await;
    let before = fleet.wait_leader(PATIENCE).await;
    let leading = fleet.leading(PATIENCE).await;
    let old = &fleet.coordinators[leading];
    let version = fleet.replicas[0].view().await.catalog_version;

    old.pause();
    let after = wait_other_leader(&fleet, &before.owner).await;
    // What it would publish, if it led.
    narrow(old);
    old.resume();
    sleep(Duration::from_secs(4)).await;

    let seen = old.leader().await.unwrap();
    let is_leader = old.metrics().await.sum("sluice_coordinator_is_leader");
    let view = fleet.replicas[0].view().await;
    figure(
        "leader and fence 4 s after the old one came back",
        format!("{}, {}", seen.owner == after.owner, seen.fence),
        format!("true, {}", after.fence),
    );
    assert_eq!((seen.owner, seen.fence), (after.owner, after.fence));
    assert!(!seen.is_me && is_leader < 0.5, "{is_leader}");
    assert_eq!(view.catalog_version, version);
    assert_eq!(slots_of(&fleet).await, Some(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_need_no_coordinator() {
    let _machine = alone().await;
    let mut fleet = fleet_with_coordinators(2).await;
    fleet.wait_leader(PATIENCE).await;
    for coordinator in &mut fleet.coordinators {
        coordinator.kill();
    }

    let span = Duration::from_secs(if is_long() { 600 } else { 10 });
    let began = Instant::now();
    let mut n_served = 0;
    while began.elapsed() < span {
        let request = Request::chat(MODEL);
        let samples = load::run(&fleet.addresses(), 8, 200, Connections::Kept, request).await;
        load::assert_all_served(&samples);
        n_served += samples.len();
        sleep(Duration::from_millis(200)).await;
    }

    figure(
        &format!("requests in {span:?} without a coordinator, and failures"),
        format!("{n_served}, 0"),
        "any, 0",
    );
    assert_eq!(fleet.replicas[0].view().await.anomalies, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_takes_a_key_out_and_brings_it_back() {
    let _machine = alone().await;
    let fleet = fleet_with_coordinators(2).await;
    fleet.wait_leader(PATIENCE).await;
    let request = || Request::chat(MODEL);
    // Whichever takes it: one of the two does not lead.
    let (first, second) = (&fleet.coordinators[0], &fleet.coordinators[1]);

    let drained = first.decide("simulated/a", "drain").await;
    let without = load::run(&fleet.addresses(), 4, 60, Connections::Kept, request()).await;
    let health = health_of(&fleet, "simulated/a").await;
    let enabled = second.decide("simulated/a", "enable").await;
    let with = load::run(&fleet.addresses(), 4, 60, Connections::Kept, request()).await;
    let unknown = first.decide("simulated/c", "drain").await;

    figure(
        "requests at a drained key, and once it is enabled",
        format!(
            "{:?}, {:?}",
            by_key(&without).get("a"),
            by_key(&with).get("a")
        ),
        "None, some 30",
    );
    assert_eq!((drained.status, enabled.status), (200, 200));
    assert_eq!(drained.json()["health"]["admin"], "drained");
    assert_eq!(health.admin, AdminState::Drained);
    load::assert_all_served(&without);
    load::assert_all_served(&with);
    assert_eq!(by_key(&without).get("a"), None);
    assert!(by_key(&with).get("a").is_some_and(|served| *served > 20));
    assert_eq!(unknown.status, 404);
    assert!(
        unknown.text().contains("simulated/a, simulated/b"),
        "{}",
        unknown.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_take_out_a_provider_that_is_gone_and_bring_it_back() {
    let _machine = alone().await;
    let mut provider = ListOfModels::new();
    let fleet = Fleet::start(Setup {
        replicas: 1,
        coordinators: 2,
        settings: json!({
            "providers": [
                { "name": "probed", "dialect": "openai_chat", "base_url": format!("http://{}/v1", provider.address),
                  "keys": [{ "name": "far", "secret": "far", "limits": { "concurrency": 2 } }],
                  "health": { "probe": "models", "interval": "400ms", "rise": 2, "fall": 3 } },
                { "name": "other", "dialect": "openai_chat", "base_url": "http://127.0.0.1:1/v1",
                  "keys": [{ "name": "near", "secret": "near" }], "health": { "probe": "none" } },
            ],
            "models": [{ "name": MODEL, "upstreams": [{ "provider": "probed" }, { "provider": "other" }] }],
        }),
        ..Setup::default()
    })
    .await;
    fleet.wait_leader(PATIENCE).await;

    let began = Instant::now();
    wait_state(&fleet, KeyState::Ejected).await;
    let out_took = began.elapsed();
    provider.answer().await;
    let began = Instant::now();
    wait_state(&fleet, KeyState::Ok).await;
    let back_took = began.elapsed();

    figure(
        "out after 3 failed probes 0.4 s apart, back after 2",
        format!("{out_took:.2?}, {back_took:.2?}"),
        "<= 4 s, <= 3 s",
    );
    assert!(out_took <= Duration::from_secs(4), "{out_took:?}");
    assert!(back_took <= Duration::from_secs(3), "{back_took:?}");
    let leading = fleet.leading(PATIENCE).await;
    let metrics = fleet.coordinators[leading].metrics().await;
    assert!(
        metrics.sum("sluice_coordinator_probes_total") >= 5.0,
        "{metrics:?}"
    );
    assert_eq!(fleet.replicas[0].view().await.anomalies, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leaders_file_comes_in_force_under_load_and_all_of_it_replays() {
    let _machine = alone().await;
    let mut fleet = Fleet::start(Setup {
        is_recorded: true,
        ..two_keys(2)
    })
    .await;
    let leading = fleet.leading(PATIENCE).await;
    let (leader, other) = (
        &fleet.coordinators[leading],
        &fleet.coordinators[1 - leading],
    );

    narrow(other);
    let request = Request::chat(MODEL);
    let before = load::run(
        &fleet.addresses(),
        8,
        1_000,
        Connections::Kept,
        request.clone(),
    )
    .await;
    sleep(Duration::from_secs(2)).await;
    let of_other = slots_of(&fleet).await;
    let changed = Instant::now();
    narrow(leader);
    let addresses = fleet.addresses();
    let running = tokio::join!(
        load::run(&addresses, 8, 3_000, Connections::Kept, request),
        async {
            while slots_of(&fleet).await != Some(3) {
                assert!(changed.elapsed() < PATIENCE, "not published");
                sleep(Duration::from_millis(20)).await;
            }
            let took = changed.elapsed();
            other.decide("simulated/b", "drain").await;
            other.decide("simulated/b", "enable").await;
            took
        }
    );
    let (during, took) = running;
    let published = leader
        .metrics()
        .await
        .sum("sluice_coordinator_publishes_total");

    for coordinator in &mut fleet.coordinators {
        coordinator.terminate();
        coordinator.wait_exit(PATIENCE).await;
    }
    for replica in &mut fleet.replicas {
        replica.terminate();
        replica.wait_exit(PATIENCE).await;
    }
    let replayed = replay(fleet.records());

    figure(
        "the leader's file is in force",
        format!("{took:.2?}"),
        "<= 3 s",
    );
    figure("operations that replay", format!("{replayed:?}"), "all");
    load::assert_all_served(&before);
    load::assert_all_served(&during);
    assert_eq!(of_other, Some(10), "a follower publishes nothing");
    assert!(took <= Duration::from_secs(3), "{took:?}");
    assert!((published - 1.0).abs() < 0.5, "{published}");
    assert!(replayed.is_ok(), "{replayed:?}");
}

/// Three routers and `n` coordinators on two keys of ten slots.
async fn fleet_with_coordinators(n: usize) -> Fleet {
    Fleet::start(two_keys(n)).await
}

fn two_keys(coordinators: usize) -> Setup {
    Setup {
        coordinators,
        keys: json!([
            { "name": "a", "secret": "a", "limits": { "concurrency": 10 } },
            { "name": "b", "secret": "b", "limits": { "concurrency": 10 } },
        ]),
        ..Setup::default()
    }
}

/// Gives a coordinator a file with three slots for each key.
fn narrow(coordinator: &Coordinator) {
    let file = std::fs::read_to_string(coordinator.config()).unwrap();
    let narrow = file.replace("\"concurrency\": 10", "\"concurrency\": 3");
    assert_ne!(file, narrow);
    std::fs::write(coordinator.config(), narrow).unwrap();
}

async fn slots_of(fleet: &Fleet) -> Option<u64> {
    let view = fleet.replicas[0].view().await;
    let key = view.scopes.iter().find(|scope| scope.name == "simulated/a");
    key.and_then(|scope| scope.slots_max)
}

async fn wait_other_leader(fleet: &Fleet, before: &str) -> tests::fleet::Leader {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let leader = fleet.wait_leader(Duration::from_secs(20)).await;
        if leader.owner != before {
            return leader;
        }
        assert!(Instant::now() < deadline, "nobody follows: {leader:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn health_of(fleet: &Fleet, key: &str) -> HealthView {
    let view = fleet.replicas[0].view().await;
    let scope = view.scopes.into_iter().find(|scope| scope.name == key);
    scope.and_then(|scope| scope.health).unwrap()
}

async fn wait_state(fleet: &Fleet, state: KeyState) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let health = health_of(fleet, "probed/far").await;
        if health.state == state {
            return;
        }
        assert!(Instant::now() < deadline, "not {state:?}: {health:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// A provider that is not there, until it answers every request with an empty list.
struct ListOfModels {
    address: SocketAddr,
    answering: JoinSet<()>,
}

impl ListOfModels {
    fn new() -> Self {
        Self {
            address: free_address(),
            answering: JoinSet::new(),
        }
    }

    async fn answer(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.answering.spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = [0; 4096];
                let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
                if stream.read(&mut head).await.is_ok_and(|read| read > 0) {
                    stream.write_all(answer.as_bytes()).await.ok();
                }
            }
        });
    }
}
