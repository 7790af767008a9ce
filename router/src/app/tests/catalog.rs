//! A configuration that changes under a running replica.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use shared::catalog::{Catalog, Limits};
use shared::config::{ConfigFile, Overrides};
use shared::ids::Fence;
use shared::state::SharedState;
use shared::state::memory::MemoryState;
use shared::state::protocol::{Boot, Status};
use shared::time::SystemClock;
use tokio::task::JoinSet;

use super::client::{Connection, chat};
use super::*;

async fn publish(state: &dyn SharedState, config: &Config) {
    let catalog = Catalog::succeed(config, &state.catalog().await.unwrap());
    let reply = state.publish(Fence::NONE, &catalog).await.unwrap();
    assert_eq!(reply.status, Status::Done);
}

/// Somebody with another file was there first: it is in force.
async fn boot_first(state: &dyn SharedState, file: &Config) {
    let boot = Boot {
        session: "first".into(),
        replica: "first".into(),
    };
    let (wake_ups, _woken) = tokio::sync::mpsc::unbounded_channel();
    let declared = Catalog::declare(file);
    state.boot(&boot, &declared, &wake_ups).await.unwrap();
}

/// A replica beside a store whose catalog the test changes.
async fn start(file: &Config, upstream: FakeUpstream) -> (Replica, Arc<MemoryState>) {
    let state = Arc::new(MemoryState::new(Arc::new(SystemClock::start())));
    let options = StartOptions {
        state: Some(state.clone()),
        ..StartOptions::default()
    };
    let replica = Replica::begin(file.clone(), options, upstream).await;
    (replica, state)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_others_change_what_is_in_force() {
    let upstream = FakeUpstream::start().await;
    let file = config(&["good"], &upstream);
    let (replica, state) = start(&file, upstream).await;
    let replica = Arc::new(replica);
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
    boot_first(&*state, &before).await;
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

#[tokio::test]
async fn what_a_read_file_changes_is_served_as_before_until_it_is_published() {
    let upstream = FakeUpstream::start().await;
    let mut file = config(&["good"], &upstream);
    let (replica, state) = start(&file, upstream).await;
    let served = async || {
        let answer = replica.chat(&chat("m", false)).await;
        let limit = answer.header("x-ratelimit-limit-requests");
        let limit = limit.map(str::to_owned);
        let model = replica.upstream.last_body()["model"].clone();
        (answer.status, model, limit)
    };

    file.models[0].upstreams[0].model = "newer".to_owned();
    file.client_keys[0].limits.rpm = Some(1_000);
    replica.pipeline.fleet.reload(Arc::new(file.clone()));
    assert_eq!(served().await, (200, "real".into(), None));

    publish(&*state, &file).await;
    let now = (200, "newer".into(), Some("1000".to_owned()));
    until("the file is in force", async || served().await == now).await;
}

#[tokio::test]
async fn a_request_waits_for_the_file_that_the_leader_read_first() {
    let upstream = FakeUpstream::start().await;
    let file = config(&["good"], &upstream);
    let (replica, state) = start(&file, upstream).await;
    let mut other = file.clone();
    other.models[0].upstreams[0].model = "newer".to_owned();
    publish(&*state, &other).await;

    let body = chat("m", false);
    let read = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        replica.pipeline.fleet.reload(Arc::new(other));
    };
    let (waited, ()) = tokio::join!(replica.chat(&body), read);
    assert_eq!(waited.status, 200);
    assert_eq!(replica.upstream.last_body()["model"], "newer");

    // The same the other way round, and this file is never read.
    publish(&*state, &file).await;
    let began = Instant::now();
    let refused = replica.chat(&body).await;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.json()["error"]["code"], "no_upstream_available");
    assert!(refused.header("retry-after").is_some());
    assert!(began.elapsed() >= Duration::from_secs(2));
    assert_eq!(replica.held_and_charged().await.0, 0);
}

#[tokio::test]
async fn a_client_key_whose_limits_nobody_counts_is_refused_until_they_are_published() {
    let upstream = FakeUpstream::start().await;
    let before = config(&["good"], &upstream);
    let mut file = before.clone();
    file.client_keys[0].limits.rpm = Some(1_000);
    let state = Arc::new(MemoryState::new(Arc::new(SystemClock::start())));
    boot_first(&*state, &before).await;
    let options = StartOptions {
        state: Some(state.clone()),
        ..StartOptions::default()
    };
    let replica = Replica::begin(file.clone(), options, upstream).await;

    assert_eq!(replica.chat(&chat("m", false)).await.status, 503);
    assert_eq!(replica.upstream.n_requests("good"), 0);
    publish(&*state, &file).await;
    assert_eq!(replica.chat(&chat("m", false)).await.status, 200);
}

#[tokio::test]
async fn a_catalog_that_moves_does_not_give_a_request_more_time_in_the_queue() {
    let upstream = FakeUpstream::start().await;
    let mut file = config(&["wait"], &upstream);
    file.providers[0].keys[0].limits.concurrency = Some(1);
    file.queue.timeout = Duration::from_secs(2);
    file.timeouts.first_byte = Duration::from_secs(20);
    let (replica, state) = start(&file, upstream).await;
    // A key that this replica has no secret for: it asks for its own by index.
    let mut other = file.clone();
    let mut key = other.providers[0].keys[0].clone();
    key.name = "elsewhere".into();
    other.providers[0].keys.push(key);
    publish(&*state, &other).await;
    let body = chat("m", false);
    let mut served = Connection::open(replica.data).await;
    served
        .send("POST", "/v1/chat/completions", TOKEN, "", &body)
        .await;
    until("the first is sent", async || {
        replica.upstream.n_requests("wait") == 1
    })
    .await;

    let began = Instant::now();
    // Each makes other candidates of the same keys.
    let moves = async {
        for change in 0..4_u32 {
            tokio::time::sleep(Duration::from_millis(700)).await;
            other.providers[0].limits.concurrency = (change % 2 == 0).then_some(100);
            publish(&*state, &other).await;
        }
    };
    let waiting = async {
        let refused = replica.chat(&body).await;
        (refused.status, began.elapsed())
    };
    let ((status, took), ()) = tokio::join!(waiting, moves);

    assert_eq!(status, 429);
    assert!(took >= Duration::from_secs(2), "{took:?}");
    assert!(took < Duration::from_millis(3_500), "{took:?}");
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
