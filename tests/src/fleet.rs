//! Router replicas over one Redis and one simulated provider.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use shared::state::replay::Recorded;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::client::CLIENT_KEY;
use crate::oracle::Simulator;
use crate::proxy::Proxy;
use crate::redis::Redis;

mod coordinator;
mod replica;

pub use coordinator::{Coordinator, Leader};
pub use replica::{Metrics, Replica};

/// The public model that a fleet serves unless its setup says otherwise.
pub const MODEL: &str = "tiny";

/// What a fleet is made of; every field has a default that serves.
#[derive(Clone, Debug)]
pub struct Setup {
    pub replicas: usize,
    /// Coordinator processes beside them.
    pub coordinators: usize,
    /// Flags of `sluice simulate`.
    pub simulator: Vec<&'static str>,
    /// The simulated provider's keys, as the configuration has them.
    pub keys: Value,
    pub strategy: &'static str,
    pub client_keys: Value,
    /// Merged over the generated configuration, top level by top level.
    pub settings: Value,
    /// Whether each replica writes down its store operations.
    pub is_recorded: bool,
    /// Whether the replicas reach Redis through [`Fleet::link`].
    pub is_linked: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            replicas: 3,
            coordinators: 0,
            simulator: vec![
                "--first-byte",
                "20ms",
                "--jitter",
                "0ms",
                "--tokens",
                "1",
                "--tokens-per-second",
                "100000",
            ],
            keys: json!([{ "name": "only", "secret": "only" }]),
            strategy: "weighted",
            client_keys: json!([{ "name": "client", "secret": CLIENT_KEY, "priority": 10 }]),
            settings: json!({}),
            is_recorded: false,
            is_linked: false,
        }
    }
}

/// A running fleet. Dropped, all of its processes are killed.
#[derive(Debug)]
pub struct Fleet {
    pub replicas: Vec<Replica>,
    pub coordinators: Vec<Coordinator>,
    pub simulator: Simulator,
    pub redis: Redis,
    /// Stands between the replicas and Redis, where the setup asked for it.
    pub link: Option<Proxy>,
    // Last: what runs writes into it.
    _directory: TempDir,
}

impl Fleet {
    /// Starts everything; all replicas are ready when this returns.
    pub async fn start(setup: Setup) -> Self {
        Self::start_with(setup, |_| json!({})).await
    }

    /// As [`Self::start`], with `settings` that have to know the base URL of the simulated provider.
    pub async fn start_with(mut setup: Setup, settings: impl FnOnce(&str) -> Value) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("sluice-fleet-")
            .tempdir()
            .expect("a temporary directory");
        let redis = Redis::start(directory.path().to_owned()).await;
        let simulator = Simulator::start(&setup.simulator, directory.path()).await;
        let settings = settings(&simulator.base_url());
        for (name, value) in settings.as_object().expect("settings are an object") {
            setup.settings[name] = value.clone();
        }

        let link = match setup.is_linked {
            true => Some(Proxy::start(redis.address()).await),
            false => None,
        };
        let store = link.as_ref().map_or(redis.address(), Proxy::address);

        let mut replicas: Vec<Replica> = (1..=setup.replicas)
            .map(|number| {
                let name = format!("router-{number}");
                let config = configuration(&setup, store, &simulator);
                Replica::new(name, &config, directory.path(), setup.is_recorded)
            })
            .collect();
        for replica in &mut replicas {
            replica.start();
        }
        for replica in &mut replicas {
            replica.wait_ready().await;
        }
        let mut coordinators: Vec<Coordinator> = (1..=setup.coordinators)
            .map(|number| {
                let name = format!("coordinator-{number}");
                let config = configuration(&setup, store, &simulator);
                Coordinator::new(name, &config, directory.path(), setup.is_recorded)
            })
            .collect();
        for coordinator in &mut coordinators {
            coordinator.start();
        }
        for coordinator in &mut coordinators {
            coordinator.wait_ready().await;
        }
        Self {
            replicas,
            coordinators,
            simulator,
            redis,
            link,
            _directory: directory,
        }
    }

    /// The data addresses of all replicas.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.replicas.iter().map(Replica::address).collect()
    }

    /// The store operations that all replicas and coordinators recorded.
    pub fn records(&self) -> Vec<Recorded> {
        let replicas = self.replicas.iter().flat_map(Replica::records);
        let coordinators = self.coordinators.iter().flat_map(Coordinator::records);
        replicas.chain(coordinators).collect()
    }

    /// Who leads, as the first coordinator that answers tells it; waits until somebody does.
    pub async fn wait_leader(&self, patience: Duration) -> Leader {
        let deadline = Instant::now() + patience;
        loop {
            for coordinator in &self.coordinators {
                match coordinator.leader().await {
                    Some(leader) if !leader.owner.is_empty() => return leader,
                    Some(_) | None => {}
                }
            }
            assert!(Instant::now() < deadline, "nobody leads after {patience:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// The position of the coordinator that leads.
    pub async fn leading(&self, patience: Duration) -> usize {
        let leader = self.wait_leader(patience).await;
        let mut coordinators = self.coordinators.iter();
        coordinators
            .position(|coordinator| coordinator.admin().to_string() == leader.address)
            .expect("a coordinator of this fleet leads")
    }

    /// The first replica's data address, for tests that need only one.
    pub fn address(&self) -> SocketAddr {
        self.replicas[0].address()
    }
}

/// The `sluice` binary, which cargo puts beside the folder of the test executables.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let path = test
        .parent()
        .and_then(std::path::Path::parent)
        .expect("tests are in target/<profile>/deps")
        .join("sluice");
    assert!(
        path.exists(),
        "`{}` is missing: `cargo build` first, or run `cargo test --workspace`",
        path.display()
    );
    path
}

fn configuration(setup: &Setup, store: SocketAddr, simulator: &Simulator) -> Value {
    let mut config = json!({
        "state": format!("redis://{store}/0"),
        "providers": [{
            "name": "simulated",
            "dialect": "openai_chat",
            "base_url": simulator.base_url(),
            "keys": setup.keys,
        }],
        "models": [{
            "name": MODEL,
            "strategy": setup.strategy,
            "upstreams": [{ "provider": "simulated" }],
        }],
        "client_keys": setup.client_keys,
        "queue": { "max_length": 10_000, "timeout": "120s" },
        "telemetry": { "log": "json", "level": "warn" },
    });
    let settings = setup.settings.as_object().expect("settings are an object");
    for (name, value) in settings {
        config[name] = value.clone();
    }
    config
}
