//! A replica's side against both stores: leases, queue, hand-over, drops.

use std::sync::Arc;
use std::time::{Duration, Instant};

use shared::catalog::{Catalog, Limits, Strategy};
use shared::config::Config;
use shared::ids::{ModelIndex, ReplicaName};
use shared::lease::{Claim, Outcome, Purpose, RefusalReason, Settlement};
use shared::state::SharedState;
use shared::state::memory::MemoryState;
use shared::state::redis::RedisState;
use shared::state::session::{JoinOptions, Session};
use shared::state::trouble::StoreStatus;
use shared::time::SystemClock;
use shared::units::Priority;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

use super::server::RedisServer;
use super::world;

/// One provider with one key per limit, one model over all of them.
pub(crate) fn config(limits: &[Limits], strategy: Strategy) -> Config {
    let mut config = world::config(&mut fastrand::Rng::with_seed(1));
    let mut provider = config.providers.swap_remove(1);
    let key = provider.keys[0].clone();
    provider.keys = limits
        .iter()
        .enumerate()
        .map(|(index, limits)| {
            let mut key = key.clone();
            (key.name, key.weight, key.limits) =
                (format!("key-{index}").as_str().into(), 1.0, *limits);
            key
        })
        .collect();
    let mut model = config.models.swap_remove(0);
    model.upstreams.truncate(1);
    (
        model.upstreams[0].limits,
        model.upstreams[0].weight,
        model.strategy,
    ) = (Limits::default(), 1.0, strategy);
    config.providers = vec![provider];
    config.models = vec![model];
    config.queue.max_length = 10_000;
    config
}

pub(crate) fn slots(concurrency: u32) -> Limits {
    Limits {
        concurrency: Some(concurrency),
        ..Limits::default()
    }
}

pub(crate) async fn join(state: Arc<dyn SharedState>, config: &Config, replica: &str) -> Session {
    let options = JoinOptions {
        state,
        replica: ReplicaName::from(replica),
        catalog: Catalog::declare(config),
        recorder: None,
        status: StoreStatus::default(),
        tracker: TaskTracker::new(),
    };
    Session::join(options).await.unwrap()
}

pub(crate) fn claim(priority: u8) -> Claim {
    Claim {
        model: ModelIndex(0),
        priority: Priority::try_new(priority).unwrap(),
        tokens: 10,
        callers: Vec::new(),
        allow: None,
        no_queue: false,
        purpose: Purpose::Request,
    }
}

pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

pub(crate) const SERVED: Settlement = Settlement {
    outcome: Outcome::Served,
    tokens: Some(10),
    first_byte: None,
    token_time: None,
    retry_after: None,
    reported: Vec::new(),
};

/// Runs a promise on the embedded store and on Redis.
async fn on_both<F: Future<Output = ()>>(config: Config, promise: impl Fn(Session, Session) -> F) {
    let memory = Arc::new(MemoryState::new(Arc::new(SystemClock::start())));
    promise(
        join(memory.clone(), &config, "a").await,
        join(memory, &config, "b").await,
    )
    .await;

    let server = RedisServer::start();
    let redis = || Arc::new(RedisState::new(&server.url, &config).unwrap());
    promise(
        join(redis(), &config, "a").await,
        join(redis(), &config, "b").await,
    )
    .await;
}

#[tokio::test]
async fn a_freed_slot_goes_to_whoever_waits_at_another_replica() {
    on_both(config(&[slots(1)], Strategy::Weighted), |a, b| async move {
        let lease = a.acquire(claim(5), soon()).await.unwrap();
        let mut waiting = JoinSet::new();
        waiting.spawn(async move { b.acquire(claim(5), soon()).await });
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(waiting.try_join_next().is_none());

        lease.settle(SERVED);

        let freed = Instant::now();
        waiting.join_next().await.unwrap().unwrap().unwrap();
        assert!(
            freed.elapsed() < Duration::from_millis(200),
            "{:?}",
            freed.elapsed()
        );
    })
    .await;
}

#[tokio::test]
async fn a_claim_that_is_dropped_leaves_the_queue_and_a_lease_that_is_dropped_frees_its_slot() {
    on_both(config(&[slots(1)], Strategy::Weighted), |a, b| async move {
        let lease = a.acquire(claim(5), soon()).await.unwrap();
        let gone =
            tokio::time::timeout(Duration::from_millis(50), b.acquire(claim(5), soon())).await;
        assert!(gone.is_err());

        drop(lease);

        a.acquire(claim(5), soon()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let view = a.view().await.unwrap();
        assert_eq!(
            (view.scopes[0].held, view.models[0].queued, view.anomalies),
            (0, 0, 0)
        );
    })
    .await;
}

#[tokio::test]
async fn nothing_is_lost_or_leaked_when_claims_are_dropped_at_any_moment() {
    on_both(config(&[slots(4)], Strategy::Weighted), |a, b| async move {
        let mut tasks = JoinSet::new();
        for index in 0..2_000_u64 {
            let session = if index % 2 == 0 { a.clone() } else { b.clone() };
            tasks.spawn(async move {
                let patience = Duration::from_micros(fastrand::u64(..30_000));
                if let Ok(Ok(lease)) =
                    tokio::time::timeout(patience, session.acquire(claim(5), soon())).await
                {
                    tokio::time::sleep(Duration::from_micros(fastrand::u64(..500))).await;
                    if fastrand::bool() {
                        lease.settle(SERVED);
                    }
                }
            });
        }
        tasks.join_all().await;
        tokio::time::sleep(Duration::from_millis(300)).await;

        let view = a.view().await.unwrap();
        assert_eq!(
            (view.scopes[0].held, view.models[0].queued, view.anomalies),
            (0, 0, 0)
        );
    })
    .await;
}

#[tokio::test]
async fn a_deadline_ends_the_wait_and_a_claim_that_may_not_queue_is_refused_at_once() {
    on_both(config(&[slots(1)], Strategy::Weighted), |a, b| async move {
        let _lease = a.acquire(claim(5), soon()).await.unwrap();

        let late = b
            .acquire(claim(5), Instant::now() + Duration::from_millis(50))
            .await
            .unwrap_err();
        let refused = b
            .acquire(
                Claim {
                    no_queue: true,
                    ..claim(5)
                },
                soon(),
            )
            .await
            .unwrap_err();

        assert_eq!(late.reason, RefusalReason::Deadline);
        assert!(
            matches!(refused.reason, RefusalReason::Limit { .. }),
            "{refused:?}"
        );
    })
    .await;
}
