//! A store that loses its data while requests wait, and is restored with another catalog.

use std::sync::atomic::{AtomicBool, Ordering};

use shared::catalog::Catalog;
use shared::ids::{Fence, SessionId};
use shared::state::memory::MemoryState;
use shared::state::pool::Difference;
use shared::state::protocol::{
    Assert, Boot, Candidacy, JoinReply, Judgement, Leadership, Operations, PublishStep, TickReply,
};
use shared::state::view::View;
use shared::state::{SharedState, StateFuture, WakeUp};
use shared::time::SystemClock;
use tokio::sync::mpsc::UnboundedSender;

use super::client::{Connection, chat};
use super::*;

/// Two stores in one place, the second with a catalog of somebody else's.
struct Forgetful {
    before: MemoryState,
    after: MemoryState,
    has_forgotten: AtomicBool,
}

impl Forgetful {
    async fn new(restored: &Config) -> Arc<Self> {
        let store = || MemoryState::new(Arc::new(SystemClock::start()));
        let forgetful = Self {
            before: store(),
            after: store(),
            has_forgotten: AtomicBool::new(false),
        };
        let boot = Boot {
            session: "other".into(),
            replica: "other".into(),
        };
        let (wake_ups, _woken) = tokio::sync::mpsc::unbounded_channel();
        let catalog = Catalog::declare(restored);
        let joined = forgetful.after.boot(&boot, &catalog, &wake_ups).await;
        joined.unwrap();
        Arc::new(forgetful)
    }

    fn forget(&self) {
        self.has_forgotten.store(true, Ordering::SeqCst);
    }

    fn now(&self) -> &MemoryState {
        if self.has_forgotten.load(Ordering::SeqCst) {
            &self.after
        } else {
            &self.before
        }
    }
}

impl SharedState for Forgetful {
    fn boot<'a>(
        &'a self,
        boot: &'a Boot,
        catalog: &'a Catalog,
        wake_ups: &'a UnboundedSender<WakeUp>,
    ) -> StateFuture<'a, (JoinReply, Catalog)> {
        self.now().boot(boot, catalog, wake_ups)
    }

    fn assert<'a>(
        &'a self,
        assert: &'a Assert,
        catalog: &'a Catalog,
        wake_ups: &'a UnboundedSender<WakeUp>,
    ) -> StateFuture<'a, (JoinReply, Catalog)> {
        self.now().assert(assert, catalog, wake_ups)
    }

    fn tick<'a>(
        &'a self,
        session: &'a SessionId,
        seq: u64,
        catalog: &'a Catalog,
        operations: &'a Operations,
    ) -> StateFuture<'a, TickReply> {
        self.now().tick(session, seq, catalog, operations)
    }

    fn bye<'a>(
        &'a self,
        session: &'a SessionId,
        catalog: &'a Catalog,
    ) -> StateFuture<'a, JoinReply> {
        self.now().bye(session, catalog)
    }

    fn catalog(&self) -> StateFuture<'_, Catalog> {
        self.now().catalog()
    }

    fn view(&self) -> StateFuture<'_, View> {
        self.now().view()
    }

    fn lead<'a>(&'a self, candidacy: &'a Candidacy) -> StateFuture<'a, Leadership> {
        self.now().lead(candidacy)
    }

    fn leader(&self) -> StateFuture<'_, Leadership> {
        self.now().leader()
    }

    fn publish_steps<'a>(
        &'a self,
        fence: Fence,
        catalog: &'a Catalog,
    ) -> StateFuture<'a, Vec<PublishStep>> {
        self.now().publish_steps(fence, catalog)
    }

    fn publish_step<'a>(&'a self, step: &'a PublishStep) -> StateFuture<'a, JoinReply> {
        self.now().publish_step(step)
    }

    fn judge<'a>(&'a self, judgement: &'a Judgement) -> StateFuture<'a, JoinReply> {
        self.now().judge(judgement)
    }

    fn audit(&self, fence: Fence) -> StateFuture<'_, (JoinReply, Vec<Difference>)> {
        self.now().audit(fence)
    }
}

/// Lets one request wait behind another while the store becomes what `restored` makes of it.
async fn lose_data(
    change: impl FnOnce(&mut Config),
    restored: impl FnOnce(&mut Config),
) -> (Replica, Connection, Connection) {
    let upstream = FakeUpstream::start().await;
    let mut file = config(&["wait"], &upstream);
    file.providers[0].keys[0].limits.concurrency = Some(1);
    file.queue.timeout = Duration::from_secs(20);
    file.timeouts.first_byte = Duration::from_secs(20);
    change(&mut file);
    let mut other = file.clone();
    restored(&mut other);
    let state = Forgetful::new(&other).await;
    let options = StartOptions {
        state: Some(state.clone()),
        ..StartOptions::default()
    };
    let replica = Replica::begin(file, options, upstream).await;
    let send = async || {
        let mut connection = Connection::open(replica.data).await;
        let body = chat("m", false);
        connection
            .send("POST", "/v1/chat/completions", TOKEN, "", &body)
            .await;
        connection
    };
    let running = send().await;
    until("the first is sent", async || {
        replica.upstream.n_requests("wait") == 1
    })
    .await;
    let waiting = send().await;
    until("the second waits", async || {
        let view = replica.pipeline.session.view().await.unwrap();
        view.models.iter().any(|model| model.queued == 1)
    })
    .await;

    let before = replica.pipeline.session.catalog();
    state.forget();
    until("the other catalog is in force", async || {
        !replica.pipeline.session.catalog().succeeds(&before)
    })
    .await;
    (replica, running, waiting)
}

#[tokio::test]
async fn who_waited_is_served_in_the_indexes_of_the_restored_catalog() {
    // It is free, and this replica has no secret for it.
    let others_first = |config: &mut Config| {
        let mut key = config.providers[0].keys[0].clone();
        key.name = "elsewhere".into();
        config.providers[0].keys.insert(0, key);
    };
    let (replica, running, _waiting) = lose_data(|_| (), others_first).await;

    drop(running);

    until("the second is sent", async || {
        replica.upstream.n_requests("wait") == 2
    })
    .await;
    assert_eq!(replica.held_and_charged().await.0, 1);
    assert_eq!(replica.pipeline.session.stats().anomalies, 0);
}

#[tokio::test]
async fn who_waited_within_limits_that_are_lost_is_refused() {
    let limited = |config: &mut Config| config.client_keys[0].limits.rpm = Some(1_000);
    let unlimited = |config: &mut Config| {
        config.client_keys[0].limits.rpm = None;
        // With other indexes than before.
        config.providers[0].limits.rpm = Some(1_000);
    };
    let (replica, _running, mut waiting) = lose_data(limited, unlimited).await;

    let refused = waiting.receive().await;

    assert_eq!(refused.status, 503);
    assert_eq!(refused.json()["error"]["code"], "no_upstream_available");
    assert_eq!(replica.upstream.n_requests("wait"), 1);
}
