//! Catalogs that change under live sessions: nothing over, nothing lost.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fastrand::Rng;
use shared::catalog::{Catalog, Limits, Strategy};
use shared::config::Config;
use shared::ids::{CandidateIndex, Fence};
use shared::lease::RefusalReason;
use shared::state::SharedState;
use shared::state::protocol::{Acquire, Operations, RejectCode, Status};
use shared::state::redis::RedisState;
use shared::state::replay::{Recorded, replay};
use shared::state::session::Session;
use tokio::task::JoinSet;

use super::conformance::{self, Opened, ask, end, on_both};
use super::queue_order;
use super::server::RedisServer;
use super::sessions::{self, claim, config, join, slots, soon};

/// Puts `config` in force as the successor of whatever is.
async fn publish(state: &dyn SharedState, config: &Config) -> Catalog {
    let catalog = Catalog::succeed(config, &state.catalog().await.unwrap());
    let reply = state.publish(Fence::NONE, &catalog).await.unwrap();
    assert_eq!(reply.status, Status::Done);
    catalog
}

impl Opened {
    async fn follow(&mut self, config: &Config) {
        self.catalog = publish(&*self.state, config).await;
    }

    async fn held_of(&self, name: &str) -> u64 {
        let view = self.state.view().await.unwrap();
        let scope = view.scopes.iter().find(|scope| scope.name == name);
        scope.map_or(0, |scope| scope.held)
    }
}

#[tokio::test]
async fn a_lower_limit_revokes_nothing_and_grants_nothing_until_there_is_room_below_it() {
    let (high, low) = (
        config(&[slots(3)], Strategy::Weighted),
        config(&[slots(1)], Strategy::Weighted),
    );
    on_both(high, |mut a, mut b| {
        let low = low.clone();
        async move {
            let mut grants = a
                .tick(Operations {
                    acquires: (1..=3).map(|ticket| ask(ticket, 5, 10)).collect(),
                    ..Operations::default()
                })
                .await
                .grants;
            b.acquire(ask(1, 5, 10)).await;
            a.follow(&low).await;
            b.catalog = a.catalog.clone();

            for _ in 0..2 {
                a.release(end(&grants.remove(0), 10, 10, conformance::SERVED))
                    .await;
                assert!(b.tick(Operations::default()).await.mail.is_empty());
            }
            a.release(end(&grants.remove(0), 10, 10, conformance::SERVED))
                .await;

            assert_eq!(b.tick(Operations::default()).await.mail.grants.len(), 1);
            assert_eq!(a.held_of("two/key-0").await, 1);
        }
    })
    .await;
}

#[tokio::test]
async fn capacity_that_a_publish_brings_goes_to_whoever_waits() {
    let more = config(&[slots(2)], Strategy::Weighted);
    on_both(config(&[slots(1)], Strategy::Weighted), |mut a, mut b| {
        let more = more.clone();
        async move {
            a.acquire(ask(1, 5, 10)).await;
            b.acquire(ask(2, 5, 10)).await;

            a.follow(&more).await;

            b.catalog = a.catalog.clone();
            assert_eq!(b.tick(Operations::default()).await.mail.grants.len(), 1);
        }
    })
    .await;
}

#[tokio::test]
async fn a_release_frees_the_rows_that_its_grant_took_whatever_the_scopes_are_now() {
    let mut limited = config(&[slots(5)], Strategy::Weighted);
    limited.providers[0].limits = slots(1);
    on_both(config(&[slots(5)], Strategy::Weighted), |mut a, _| {
        let limited = limited.clone();
        async move {
            let before = a.acquire(ask(1, 5, 10)).await.grants.remove(0);
            a.follow(&limited).await;
            let after = a.acquire(ask(2, 5, 10)).await.grants.remove(0);
            let held = (a.held_of("two/key-0").await, a.held_of("two").await);

            a.release(end(&before, 10, 10, conformance::SERVED)).await;
            let still_held = (a.held_of("two/key-0").await, a.held_of("two").await);
            let reply = a.release(end(&after, 10, 10, conformance::SERVED)).await;

            assert_ne!(before.candidate, after.candidate);
            assert_eq!((held, still_held), ((2, 1), (1, 1)));
            assert_eq!(
                (a.held_of("two/key-0").await, a.held_of("two").await),
                (0, 0)
            );
            assert_eq!(reply.anomalies, 0);
        }
    })
    .await;
}

#[tokio::test]
async fn a_window_that_came_later_gives_nothing_back() {
    let tokens = Limits {
        tpm: Some(1_000),
        ..Limits::default()
    };
    let limited = config(&[tokens], Strategy::Weighted);
    on_both(config(&[slots(5)], Strategy::Weighted), |mut a, _| {
        let limited = limited.clone();
        async move {
            let before = a.acquire(ask(1, 5, 400)).await.grants.remove(0);
            a.follow(&limited).await;
            a.acquire(ask(2, 5, 700)).await;

            a.release(end(&before, 400, 0, conformance::SERVED)).await;

            let view = a.state.view().await.unwrap();
            assert_eq!(view.scopes[0].windows[0].used, 700);
        }
    })
    .await;
}

#[tokio::test]
async fn whoever_waits_for_what_is_gone_is_told_so() {
    let two = || config(&[slots(1), slots(1)], Strategy::Weighted);
    let mut fewer = two();
    fewer.providers[0].keys.remove(1);
    on_both(two(), |mut a, mut b| {
        let fewer = fewer.clone();
        async move {
            a.tick(Operations {
                acquires: vec![ask(1, 5, 1), ask(2, 5, 1)],
                ..Operations::default()
            })
            .await;
            let choosy = Acquire {
                allow: vec![CandidateIndex(1)],
                ..ask(1, 5, 1)
            };
            assert_eq!(b.acquire(choosy).await.queued.len(), 1);
            assert_eq!(b.acquire(ask(2, 5, 1)).await.queued.len(), 1);

            a.follow(&fewer).await;

            b.catalog = a.catalog.clone();
            let told = b.tick(Operations::default()).await.mail.rejected;
            let told: Vec<_> = told.iter().map(|it| (it.ticket.0, it.reason)).collect();
            assert_eq!(told, [(1, RejectCode::Unavailable)]);
        }
    })
    .await;
}

#[tokio::test]
async fn a_batch_that_meets_another_catalog_changes_nothing_and_may_be_sent_again() {
    let more = config(&[slots(2)], Strategy::Weighted);
    on_both(config(&[slots(1)], Strategy::Weighted), |mut a, _| {
        let more = more.clone();
        async move {
            let catalog = publish(&*a.state, &more).await;
            let operations = Operations {
                acquires: vec![ask(1, 5, 1)],
                ..Operations::default()
            };

            let refused = a.tick(operations.clone()).await;
            a.catalog = catalog;
            let done = a.again(&operations).await;

            assert_eq!(
                (refused.status, done.status),
                (Status::Catalog, Status::Done)
            );
            assert_eq!(done.grants.len(), 1);
        }
    })
    .await;
}

#[tokio::test]
async fn only_a_successor_of_what_is_in_force_is_published_and_twice_is_once() {
    let more = config(&[slots(2)], Strategy::Weighted);
    on_both(config(&[slots(1)], Strategy::Weighted), |mut a, _| {
        let more = more.clone();
        async move {
            let before = a.catalog.clone();
            a.follow(&more).await;

            let again = a.state.publish(Fence::NONE, &a.catalog).await.unwrap();
            let late = Catalog::succeed(&config(&[slots(9)], Strategy::Weighted), &before);
            let stale = a.state.publish(Fence::NONE, &late).await.unwrap();
            let unrelated = Catalog {
                version: a.catalog.version + 1,
                ..Catalog::declare(&config(&[], Strategy::Weighted))
            };
            let other = a.state.publish(Fence::NONE, &unrelated).await.unwrap();

            let statuses = (again.status, stale.status, other.status);
            assert_eq!(statuses, (Status::Done, Status::Stale, Status::Stale));
            assert_eq!(a.state.catalog().await.unwrap(), a.catalog);
        }
    })
    .await;
}

#[tokio::test]
async fn a_replica_follows_the_catalog_and_its_waiters_are_sent_away_when_their_model_goes() {
    let server = RedisServer::start();
    let config = config(&[slots(1)], Strategy::Weighted);
    let mut gone = config.clone();
    gone.models[0].name = "another".into();
    let state = Arc::new(RedisState::new(&server.url, &config).unwrap());
    let session = join(state.clone(), &config, "a").await;
    let lease = session.acquire(claim(5), soon()).await.unwrap();
    let waiting = session.acquire(claim(5), soon());
    let publishing = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        publish(&*state, &gone).await;
        Instant::now()
    };

    let (refused, published) = tokio::join!(waiting, publishing);

    assert_eq!(refused.unwrap_err().reason, RefusalReason::Unavailable);
    // A wake-up, not the next heartbeat.
    assert!(published.elapsed() < Duration::from_millis(700));
    assert_eq!(session.catalog().version, 2);
    assert!(session.stats().catalog_differs);
    lease.settle(sessions::SERVED);
    until_idle(&session).await;
}

#[tokio::test]
async fn a_session_speaks_by_name_to_a_store_that_another_catalog_restored() {
    let server = RedisServer::start();
    let before = config(&[slots(3), slots(3), slots(3)], Strategy::FirstAvailable);
    let mut after = before.clone();
    // Other indexes for all but the names, and the first key gone.
    after.providers[0].keys.remove(0);
    after.providers[0].keys.reverse();
    let redis = |config| Arc::new(RedisState::new(&server.url, config).unwrap());
    let session = join(redis(&before), &before, "a").await;
    let mut leases = Vec::new();
    for _ in 0..5 {
        leases.push(session.acquire(claim(5), soon()).await.unwrap());
    }

    let client = redis::Client::open(server.url.as_str()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let restored = redis(&after);
    // At once, or the session itself would restore its own catalog.
    redis::cmd("FLUSHALL")
        .exec_async(&mut connection)
        .await
        .unwrap();
    let newcomer = join(restored, &after, "b").await;

    let held = |view: shared::state::view::View| -> BTreeMap<String, u64> {
        view.scopes
            .into_iter()
            .map(|scope| (scope.name, scope.held))
            .collect()
    };
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        // Three ran at the key that the new catalog does not know, two at the second.
        let found = held(newcomer.view().await.unwrap());
        if found.get("two/key-1") == Some(&2) {
            assert_eq!(found.get("two/key-2"), Some(&0));
            break;
        }
        assert!(Instant::now() < until, "{found:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(leases);
    until_idle(&newcomer).await;
    assert_eq!(*session.catalog(), *newcomer.catalog());
    assert!(session.acquire(claim(5), until).await.is_ok());
}

/// Until nothing is held and nobody waits; then nothing may have been released that was not held.
async fn until_idle(session: &Session) {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let view = session.view().await.unwrap();
        let held: u64 = view.scopes.iter().map(|scope| scope.held).sum();
        let queued: u64 = view.models.iter().map(|model| model.queued).sum();
        if (held, queued) == (0, 0) {
            assert_eq!(view.anomalies, 0);
            return;
        }
        assert!(Instant::now() < until, "{view:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

const CHANGES: u64 = 50;
/// Of the key whose own limits never change.
const STEADY: Limits = Limits {
    concurrency: Some(4),
    qps: Some(60),
    rpm: None,
    tpm: None,
    rpd: None,
    tpd: None,
};

/// A file that differs from the last one in keys, limits, weights and models; the first key stays as it is.
fn changed(rng: &mut Rng) -> Config {
    let n_keys = 1 + rng.usize(1..5);
    let mut limits = vec![STEADY];
    limits.resize_with(n_keys, || slots(1 + rng.u32(..8)));
    let mut config = config(&limits, Strategy::Weighted);
    for key in &mut config.providers[0].keys {
        key.weight = [1.0, 2.0, 3.0][rng.usize(..3)];
    }
    if rng.bool() {
        config.providers[0].limits = slots(6 + rng.u32(..10));
    }
    if rng.bool() {
        config.models[0].limits.tpm = Some(100_000 + rng.u32(..9));
    }
    if rng.bool() {
        let name = format!("other-{}", rng.u32(..4));
        let mut model = config.models[0].clone();
        model.name = name.as_str().into();
        config.models.push(model);
    }
    config
}

/// What clients see of one key.
#[derive(Default)]
struct InFlight {
    now: AtomicU64,
    most: AtomicU64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_changes_under_load_lose_nothing_and_grant_nothing_over() {
    let server = RedisServer::start();
    let folder = tempfile::tempdir().unwrap();
    let mut rng = Rng::with_seed(7);
    let first = changed(&mut rng);
    let paths: Vec<PathBuf> = (0..3)
        .map(|index| folder.path().join(format!("{index}.jsonl")))
        .collect();
    let mut replicas = Vec::new();
    for path in &paths {
        replicas.push(queue_order::join(&server.url, &first, path).await);
    }

    let is_over = Arc::new(AtomicBool::new(false));
    let steady = Arc::new(InFlight::default());
    let refusals = Arc::new(Mutex::new(Vec::new()));
    let mut clients = JoinSet::new();
    for index in 0..60 {
        let session = replicas[index % 3].clone();
        let (is_over, steady, refusals) = (is_over.clone(), steady.clone(), refusals.clone());
        clients.spawn(async move {
            let mut served = 0;
            while !is_over.load(Ordering::Relaxed) {
                let until = Instant::now() + Duration::from_secs(30);
                let lease = match session.acquire(claim(fastrand::u8(..11)), until).await {
                    Ok(lease) => lease,
                    Err(refusal) => {
                        refusals.lock().unwrap().push(refusal);
                        continue;
                    }
                };
                let catalog = session.catalog();
                let candidate = catalog.candidates.get(lease.candidate().position());
                let is_steady = candidate.is_some_and(|it| it.name.ends_with("/key-0"));
                if is_steady {
                    let now = steady.now.fetch_add(1, Ordering::SeqCst) + 1;
                    steady.most.fetch_max(now, Ordering::SeqCst);
                }
                tokio::time::sleep(Duration::from_millis(fastrand::u64(1..30))).await;
                if is_steady {
                    steady.now.fetch_sub(1, Ordering::SeqCst);
                }
                lease.settle(sessions::SERVED);
                served += 1;
            }
            served
        });
    }

    let state = RedisState::new(&server.url, &first).unwrap();
    let mut recorded = Vec::new();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    for _ in 0..CHANGES {
        let in_force = state.catalog().await.unwrap();
        let catalog = Catalog::succeed(&changed(&mut rng), &in_force);
        for step in state.publish_steps(Fence::NONE, &catalog).await.unwrap() {
            let reply = state.publish_step(&step).await.unwrap();
            assert_eq!(reply.status, Status::Done);
            recorded.push(Recorded::Publish { step, reply });
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    is_over.store(true, Ordering::Relaxed);
    let served: u64 = clients.join_all().await.into_iter().sum();
    until_idle(&replicas[0]).await;
    let last = state.catalog().await.unwrap();
    for replica in &replicas {
        assert_eq!(replica.catalog().version, last.version);
        replica.leave().await;
    }

    recorded.extend(paths.iter().flat_map(|path| queue_order::read(path)));
    let worst = worst_second(&recorded, &last);
    let most = steady.most.load(Ordering::SeqCst);
    eprintln!(
        "{CHANGES} changes: {served} served, {} refused, at the steady key {most} of 4 at once and {worst} of 60 in the \
         worst second, catalog version {} with {} candidates",
        refusals.lock().unwrap().len(),
        last.version,
        last.candidates.len(),
    );
    assert_eq!(*refusals.lock().unwrap(), []);
    assert!(served > 500, "only {served} served");
    assert_eq!(last.version, CHANGES + 1);
    assert!(most <= 4 && worst <= 60);
    let replayed = replay(recorded);
    assert!(replayed.is_ok(), "{replayed:?}");
}

/// The most grants of the steady key within any second of the store's clock.
fn worst_second(recorded: &[Recorded], catalog: &Catalog) -> usize {
    let mut moments: Vec<i64> = Vec::new();
    for recorded in recorded {
        let Recorded::Tick { reply, .. } = recorded else {
            continue;
        };
        for grant in reply.grants.iter().chain(&reply.mail.grants) {
            let name = &catalog.candidates[grant.candidate.position()].name;
            if name.ends_with("/key-0") {
                moments.push(grant.granted_at);
            }
        }
    }
    moments.sort_unstable();
    let within = |(first, from): (usize, &i64)| {
        moments[first..]
            .iter()
            .take_while(|at| **at < from + 1_000)
            .count()
    };
    moments.iter().enumerate().map(within).max().unwrap_or(0)
}
