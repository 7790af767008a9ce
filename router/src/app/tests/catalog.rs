//! A configuration that changes under a running replica.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use shared::catalog::{Catalog, Limits};
use shared::config::{ConfigFile, Overrides};
use shared::ids::Fence;
use shared::state::SharedState;
use shared::state::memory::MemoryState;
use shared::state::protocol::Status;
use shared::time::SystemClock;
use tokio::task::JoinSet;

use super::client::chat;
use super::*;

async fn publish(state: &dyn SharedState, config: &Config) {
    let catalog = Catalog::succeed(config, &state.catalog().await.unwrap());
    let reply = state.publish(Fence::NONE, &catalog).await.unwrap();
    assert_eq!(reply.status, Status::Done);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_others_change_what_is_in_force() {
    let upstream = FakeUpstream::start().await;
    let file = config(&["good"], &upstream);
    let state = Arc::new(MemoryState::new(Arc::new(SystemClock::start())));
    let options = StartOptions {
        state: Some(state.clone()),
        ..StartOptions::default()
    };
    let replica = Arc::new(Replica::begin(file.clone(), options, upstream).await);
    let is_over = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for _ in 0..6 {
        let (replica, is_over) = (Arc::clone(&replica), Arc::clone(&is_over));
        clients.spawn(async move {
            let mut statuses = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                statuses.push(replica.chat(&chat("m", false)).await.status);
            }
            statuses
        });
    }

    for change in 0..50_u32 {
        let mut other = file.clone();
        let slots = Limits {
            concurrency: Some(1 + change % 5),
            ..Limits::default()
        };
        // Keys that this replica has no credential for come first, so that claims of old snapshots are given them.
        for extra in 0..change % 3 {
            let mut key = other.providers[0].keys[0].clone();
            key.name = format!("elsewhere-{extra}").as_str().into();
            other.providers[0].keys.insert(0, key);
        }
        if change % 2 == 0 {
            other.providers[0].limits = slots;
        } else {
            other.client_keys[0].limits = slots;
        }
        publish(&*state, &other).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    is_over.store(true, Ordering::Relaxed);

    let statuses: Vec<u16> = clients.join_all().await.into_iter().flatten().collect();
    let failed = statuses.iter().filter(|status| **status != 200).count();
    assert_eq!(failed, 0, "of {}", statuses.len());
    assert!(statuses.len() > 100, "only {} requests", statuses.len());
    until("nothing is held", async || {
        replica.held_and_charged().await.0 == 0
    })
    .await;
    assert_eq!(replica.pipeline.session.stats().anomalies, 0);
}

#[tokio::test]
async fn a_model_that_is_published_is_served_and_one_that_is_taken_away_is_unknown() {
    let upstream = FakeUpstream::start().await;
    let mut file = config(&["good"], &upstream);
    let mut second = file.models[0].clone();
    (second.name, second.aliases) = ("second".into(), Vec::new());
    file.models.push(second);
    let mut before = file.clone();
    before.models.truncate(1);
    let state = Arc::new(MemoryState::new(Arc::new(SystemClock::start())));
    let first_there = shared::state::protocol::Boot {
        session: "first".into(),
        replica: "first".into(),
    };
    let (wake_ups, _woken) = tokio::sync::mpsc::unbounded_channel();
    let declared = Catalog::declare(&before);
    state
        .boot(&first_there, &declared, &wake_ups)
        .await
        .unwrap();
    let options = StartOptions {
        state: Some(state.clone()),
        ..StartOptions::default()
    };
    let replica = Replica::begin(file.clone(), options, upstream).await;
    let status = async || replica.chat(&chat("second", false)).await.status;
    assert_eq!(status().await, 404);

    publish(&*state, &file).await;
    until("the model is served", async || status().await == 200).await;
    publish(&*state, &before).await;
    until("the model is unknown", async || status().await == 404).await;

    assert!(replica.pipeline.session.stats().catalog_differs);
}

fn write(path: &Path, upstream: &FakeUpstream, token: &str, more: &str) {
    let yaml = format!(
        "
listen: 127.0.0.1:0
admin_listen: 127.0.0.1:0
providers:
  - {{ name: p, dialect: openai_chat, base_url: 'http://{}/good', keys: [{{ name: main, secret: s }}] }}
models: [{{ name: m, upstreams: [{{ provider: p, model: real }}] }}]
client_keys: [{{ name: c, secret: {token} }}]
{more}
",
        upstream.address
    );
    std::fs::write(path, yaml).unwrap();
}

#[tokio::test]
async fn a_changed_file_is_taken_over_and_a_bad_one_is_not() {
    let upstream = FakeUpstream::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sluice.yaml");
    let (first, second) = ("sk-the-first-of-two-tokens", "sk-the-second-of-two-tokens");
    write(&path, &upstream, first, "");
    let overrides = Overrides::default();
    let config = Config::load(Some(&path), &overrides, std::iter::empty()).unwrap();
    let options = StartOptions {
        config_file: Some(ConfigFile::new(path.clone(), overrides)),
        ..StartOptions::default()
    };
    let replica = Replica::begin(config, options, upstream).await;
    let status = async |token: &str| {
        let body = chat("m", false);
        let answered = post(replica.data, "/v1/chat/completions", token, &body).await;
        answered.status
    };
    assert_eq!((status(first).await, status(second).await), (200, 401));

    write(&path, &replica.upstream, second, "");
    until("the new file is in force", async || {
        (status(first).await, status(second).await) == (401, 200)
    })
    .await;
    write(&path, &replica.upstream, first, "nonsense: 1");
    until("the bad file is told of", async || {
        let metrics = get(replica.admin, "/metrics", "").await;
        metrics.text().contains("sluice_config_rejected 1\n")
    })
    .await;

    assert_eq!((status(first).await, status(second).await), (401, 200));
}
