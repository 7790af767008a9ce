//! A store for tests: the embedded one, whose keys are as well as a test says, and which writes down what a
//! coordinator tells it.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use shared::catalog::{Catalog, ScopeKind};
use shared::config::{Config, Overrides};
use shared::ids::{Fence, ReplicaName, SessionId};
use shared::state::memory::MemoryState;
use shared::state::pool::Difference;
use shared::state::protocol::{
    Assert, Boot, Candidacy, JoinReply, Judgement, Leadership, Operations, PublishStep, Status,
    TickReply,
};
use shared::state::session::{JoinOptions, Session};
use shared::state::view::{HealthView, View};
use shared::state::{SharedState, StateError, StateFuture, WakeUp};
use shared::time::SystemClock;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

pub(crate) struct Scripted {
    state: MemoryState,
    /// By `provider/key`; other keys are fine and served just now.
    health: Mutex<HashMap<String, HealthView>>,
    judged: Mutex<Vec<Judgement>>,
    published: Mutex<Vec<(Fence, Catalog)>>,
    /// How the next writes are answered; `Done` after that.
    answers: Mutex<VecDeque<Status>>,
    is_away: AtomicBool,
}

impl Scripted {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: MemoryState::new(Arc::new(SystemClock::start())),
            health: Mutex::default(),
            judged: Mutex::default(),
            published: Mutex::default(),
            answers: Mutex::default(),
            is_away: AtomicBool::default(),
        })
    }

    pub(crate) fn is(&self, key: &str, health: HealthView) {
        self.health.lock().unwrap().insert(key.to_owned(), health);
    }

    pub(crate) fn judged(&self) -> Vec<Judgement> {
        self.judged.lock().unwrap().clone()
    }

    pub(crate) fn published(&self) -> Vec<(Fence, Catalog)> {
        self.published.lock().unwrap().clone()
    }

    pub(crate) fn answer(&self, answers: &[Status]) {
        self.answers.lock().unwrap().extend(answers);
    }

    /// Nobody hears from it any more.
    pub(crate) fn go_away(&self) {
        self.is_away.store(true, Ordering::Relaxed);
    }

    fn written(&self) -> JoinReply {
        JoinReply {
            status: self.answers.lock().unwrap().pop_front().unwrap_or_default(),
            ..JoinReply::default()
        }
    }
}

impl SharedState for Scripted {
    fn boot<'a>(
        &'a self,
        boot: &'a Boot,
        catalog: &'a Catalog,
        wake_ups: &'a mpsc::UnboundedSender<WakeUp>,
    ) -> StateFuture<'a, (JoinReply, Catalog)> {
        self.state.boot(boot, catalog, wake_ups)
    }

    fn assert<'a>(
        &'a self,
        assert: &'a Assert,
        catalog: &'a Catalog,
        wake_ups: &'a mpsc::UnboundedSender<WakeUp>,
    ) -> StateFuture<'a, (JoinReply, Catalog)> {
        self.state.assert(assert, catalog, wake_ups)
    }

    fn tick<'a>(
        &'a self,
        session: &'a SessionId,
        seq: u64,
        catalog: &'a Catalog,
        operations: &'a Operations,
    ) -> StateFuture<'a, TickReply> {
        self.state.tick(session, seq, catalog, operations)
    }

    fn bye<'a>(
        &'a self,
        session: &'a SessionId,
        catalog: &'a Catalog,
    ) -> StateFuture<'a, JoinReply> {
        self.state.bye(session, catalog)
    }

    fn catalog(&self) -> StateFuture<'_, Catalog> {
        self.state.catalog()
    }

    fn view(&self) -> StateFuture<'_, View> {
        Box::pin(async move {
            let mut view = self.state.view().await?;
            let health = self.health.lock().unwrap();
            for scope in &mut view.scopes {
                if scope.kind == ScopeKind::Key {
                    let served_just_now = HealthView {
                        served_ms_ago: Some(0),
                        ..HealthView::default()
                    };
                    scope.health =
                        Some(health.get(&scope.name).cloned().unwrap_or(served_just_now));
                }
            }
            Ok(view)
        })
    }

    fn lead<'a>(&'a self, candidacy: &'a Candidacy) -> StateFuture<'a, Leadership> {
        if self.is_away.load(Ordering::Relaxed) {
            return Box::pin(async { Err(StateError::Away("it is away".into())) });
        }
        self.state.lead(candidacy)
    }

    fn leader(&self) -> StateFuture<'_, Leadership> {
        self.state.leader()
    }

    fn publish<'a>(&'a self, fence: Fence, catalog: &'a Catalog) -> StateFuture<'a, JoinReply> {
        let published = (fence, catalog.clone());
        self.published.lock().unwrap().push(published);
        Box::pin(async move { Ok(self.written()) })
    }

    fn publish_steps<'a>(
        &'a self,
        fence: Fence,
        catalog: &'a Catalog,
    ) -> StateFuture<'a, Vec<PublishStep>> {
        self.state.publish_steps(fence, catalog)
    }

    fn publish_step<'a>(&'a self, step: &'a PublishStep) -> StateFuture<'a, JoinReply> {
        self.state.publish_step(step)
    }

    fn judge<'a>(&'a self, judgement: &'a Judgement) -> StateFuture<'a, JoinReply> {
        self.judged.lock().unwrap().push(judgement.clone());
        Box::pin(async move { Ok(self.written()) })
    }

    fn audit(&self, _fence: Fence) -> StateFuture<'_, (JoinReply, Vec<Difference>)> {
        Box::pin(async move { Ok((self.written(), Vec::new())) })
    }
}

/// A configuration of one provider at `base_url`, with the keys `a` and `b` in the model `demo`.
pub(crate) fn config(base_url: &str, health: &str) -> Config {
    let yaml = format!(
        "
providers:
  - name: local
    dialect: openai_chat
    base_url: {base_url}
    headers: {{ x-account: main }}
    keys:
      - {{ name: a, secret: sk-a, limits: {{ concurrency: 1 }} }}
      - {{ name: b, secret: sk-b, limits: {{ concurrency: 1 }} }}
    health: {{ {health} }}
models:
  - {{ name: demo, upstreams: [{{ provider: local, model: upstream-demo }}] }}
"
    );
    Config::from_yaml(&yaml, &Overrides::default(), std::iter::empty()).unwrap()
}

pub(crate) async fn join(state: Arc<dyn SharedState>, config: &Config) -> Session {
    let options = JoinOptions {
        state,
        replica: ReplicaName::from("test/coordinator"),
        catalog: Catalog::declare(config),
        recorder: None,
        status: shared::state::trouble::StoreStatus::default(),
        tracker: TaskTracker::new(),
    };
    Session::join(options).await.unwrap()
}
