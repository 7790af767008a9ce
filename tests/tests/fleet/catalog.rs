//! Changed files while requests flow: what every replica serves follows what the leader publishes.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::client::Request;
use tests::figures::{alone, figure};
use tests::fleet::{Coordinator, Fleet, MODEL, Replica, Setup};
use tests::ingress::Ingress;
use tests::load::assert_all_served;
use tests::oracle::in_flight_max;

use tokio::time::sleep;

const PATIENCE: Duration = Duration::from_secs(12);
const CHANGES: u32 = 50;

#[tokio::test(flavor = "multi_thread")]
async fn fifty_changed_files_under_load_fail_no_request() {
    let _machine = alone().await;
    let fleet = Fleet::start(setup()).await;
    fleet.wait_leader(PATIENCE).await;
    let ingress = Ingress::over(&fleet.addresses());
    let load = ingress.load(24, Request::chat(MODEL));
    sleep(Duration::from_millis(500)).await;

    let began = Instant::now();
    let mut version = fleet.replicas[0].view().await.catalog_version;
    for change in 0..CHANGES {
        for path in files(&fleet) {
            rewrite(path, |config| vary(config, change));
        }
        for coordinator in &fleet.coordinators {
            coordinator.reload();
        }
        let deadline = Instant::now() + PATIENCE;
        let before = version;
        while version == before {
            assert!(Instant::now() < deadline, "change {change} is not in force");
            sleep(Duration::from_millis(20)).await;
            version = fleet.replicas[0].view().await.catalog_version;
        }
    }
    let took = began.elapsed();
    sleep(Duration::from_secs(2)).await;
    let samples = load.stop().await;
    sleep(Duration::from_secs(1)).await;

    let view = fleet.replicas[0].view().await;
    let held: u64 = view.scopes.iter().map(|scope| scope.held).sum();
    let steady = in_flight_max(&fleet.simulator.arrivals("a").await);
    figure(
        &format!("{CHANGES} changes in {took:.1?}: requests, and not served"),
        format!(
            "{}, {}",
            samples.len(),
            samples.iter().filter(|sample| sample.status != 200).count()
        ),
        "0 not served",
    );
    figure(
        "most in flight at the key that nobody touched",
        steady,
        "<= 10",
    );
    assert_all_served(&samples);
    assert!(steady <= 10, "{steady}");
    assert_eq!((held, view.anomalies), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_files_during_a_rollout_exceed_nothing_and_lose_nothing() {
    let _machine = alone().await;
    let fleet = Fleet::start(setup()).await;
    let leading = fleet.leading(PATIENCE).await;
    let ingress = Ingress::over(&fleet.addresses());
    let load = ingress.load(40, Request::chat(MODEL));
    sleep(Duration::from_secs(1)).await;

    // The new file narrows one key, and brings another that only those with the new file have a secret for.
    let narrow = |config: &mut Value| {
        config["providers"][0]["keys"][0]["limits"]["concurrency"] = json!(4);
        let keys = config["providers"][0]["keys"].as_array_mut();
        keys.expect("keys")
            .push(json!({ "name": "new", "secret": "new", "limits": { "concurrency": 10 } }));
    };
    let coordinators = &fleet.coordinators;
    let in_order = [
        fleet.replicas[0].config(),
        coordinators[1 - leading].config(),
        coordinators[leading].config(),
        fleet.replicas[1].config(),
        fleet.replicas[2].config(),
    ];
    let mut changed_at = Instant::now();
    for (position, path) in in_order.into_iter().enumerate() {
        rewrite(path, narrow);
        if position == 2 {
            coordinators[leading].reload();
            changed_at = Instant::now();
            wait_slots(&fleet, 4).await;
        }
        sleep(Duration::from_millis(1_500)).await;
    }
    let in_force = changed_at.elapsed();
    fleet.simulator.reset().await;
    sleep(Duration::from_secs(2)).await;
    let samples = load.stop().await;
    sleep(Duration::from_secs(1)).await;

    let view = fleet.replicas[0].view().await;
    let held: u64 = view.scopes.iter().map(|scope| scope.held).sum();
    let narrowed = fleet.simulator.key("a").await.in_flight_max;
    let brought = fleet.simulator.key("new").await.requests;
    figure(
        "requests during the rollout, and not served",
        format!(
            "{}, {}",
            samples.len(),
            samples.iter().filter(|sample| sample.status != 200).count()
        ),
        "0 not served",
    );
    figure(
        &format!("most in flight at the narrowed key, {in_force:.1?} after the leader's change"),
        narrowed,
        "<= 4",
    );
    assert_all_served(&samples);
    assert!(narrowed <= 4, "{narrowed}");
    assert!(brought > 0, "nobody used the new key");
    assert_eq!((held, view.anomalies), (0, 0));
}

fn setup() -> Setup {
    Setup {
        coordinators: 2,
        keys: json!([
            { "name": "a", "secret": "a", "limits": { "concurrency": 10 } },
            { "name": "b", "secret": "b", "limits": { "concurrency": 10 } },
        ]),
        ..Setup::default()
    }
}

/// Limits, weights, keys and models come, change and go; the first key stays as it is.
fn vary(config: &mut Value, change: u32) {
    let mut keys = vec![
        json!({ "name": "a", "secret": "a", "limits": { "concurrency": 10 } }),
        json!({
            "name": "b",
            "secret": "b",
            "weight": 1 + change % 3,
            "limits": { "concurrency": 3 + change % 9, "rpm": 100_000 + change },
        }),
    ];
    if change.is_multiple_of(3) {
        keys.push(json!({ "name": "c", "secret": "c", "limits": { "tpm": 10_000_000 } }));
    }
    config["providers"][0]["keys"] = json!(keys);
    let models = config["models"].as_array_mut().expect("models");
    models.truncate(1);
    if change.is_multiple_of(2) {
        models.push(json!({ "name": "other", "upstreams": [{ "provider": "simulated" }] }));
    }
    if change.is_multiple_of(5) {
        models[0]["limits"] = json!({ "rpm": 1_000_000 });
    } else if let Some(model) = models[0].as_object_mut() {
        model.remove("limits");
    }
}

fn files(fleet: &Fleet) -> Vec<&Path> {
    let replicas = fleet.replicas.iter().map(Replica::config);
    let coordinators = fleet.coordinators.iter().map(Coordinator::config);
    replicas.chain(coordinators).collect()
}

/// Puts another file in the place of this one, as a mounted configuration does: at once.
fn rewrite(path: &Path, change: impl Fn(&mut Value)) {
    let text = std::fs::read_to_string(path).expect("a configuration");
    let mut config: Value = serde_json::from_str(&text).expect("the harness writes JSON");
    change(&mut config);
    let beside = path.with_extension("next");
    std::fs::write(&beside, config.to_string()).expect("a writable folder");
    std::fs::rename(&beside, path).expect("a writable folder");
}

async fn wait_slots(fleet: &Fleet, slots: u64) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let view = fleet.replicas[0].view().await;
        let key = view.scopes.iter().find(|it| it.name == "simulated/a");
        if key.and_then(|key| key.slots_max) == Some(slots) {
            return;
        }
        assert!(Instant::now() < deadline, "not in force");
        sleep(Duration::from_millis(20)).await;
    }
}
