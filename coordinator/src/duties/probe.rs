//! Asks providers whether keys work: those that are out, and those that nobody has used for long.
//!
//! A probe is a claim like any other, so it never exceeds a limit; it names one candidate, never waits, and is settled
//! as `Probed`, which says nothing by itself. `rise` successes or `fall` failures in a row become a judgement, which
//! carries the key's state version from before the probe: what was found of an earlier state is `Stale`. The streaks
//! are in memory only: a new leader begins to count anew.

mod client;
mod schedule;
mod tally;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shared::catalog::{Catalog, ScopeKind};
use shared::config::{self, Config};
use shared::ids::{CandidateIndex, Fence, ModelIndex, RowIndex};
use shared::lease::{Claim, Outcome, Purpose, Settlement};
use shared::state::SharedState;
use shared::state::protocol::{Judgement, Status, Verdict};
use shared::state::session::Session;
use shared::state::view::{AdminState, HealthView, KeyState};
use shared::tasks::spawn_named;
use shared::units::Priority;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Duty, DutyError, Run};
use crate::leadership::Term;
use crate::metrics;
pub(crate) use client::ProbeClient;
use client::{Ask, Finding};
use schedule::Schedule;
use tally::{Streak, Tally};

/// Between two looks at what is due.
const PERIOD: Duration = Duration::from_millis(250);
/// From the claim to the last byte.
const DEADLINE: Duration = Duration::from_secs(10);
/// A key that served nobody for this many intervals is asked whether it still would.
const IDLE_INTERVALS: u32 = 10;
/// What a chat of one token may cost, with its prompt.
const CHAT_TOKENS: u32 = 16;

pub(crate) struct Probe {
    state: Arc<dyn SharedState>,
    session: Session,
    config: watch::Receiver<Arc<Config>>,
    client: ProbeClient,
    schedule: Schedule,
    tallies: Tallies,
    /// Counts the probes under way; they are given up at shutdown.
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

/// By `provider/key`; one that is taken out is being probed.
type Tallies = Arc<Mutex<HashMap<String, Option<Tally>>>>;

impl Probe {
    pub(crate) fn new(
        state: Arc<dyn SharedState>,
        session: Session,
        config: watch::Receiver<Arc<Config>>,
        client: ProbeClient,
        tasks: TaskTracker,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            state,
            session,
            config,
            client,
            schedule: Schedule::default(),
            tallies: Tallies::default(),
            tasks,
            shutdown,
        }
    }

    async fn probe_due(&mut self, term: &Term) -> Result<(), DutyError> {
        let config = Arc::clone(&self.config.borrow());
        let due = self.schedule.due(&config, Instant::now());
        if due.is_empty() {
            return Ok(());
        }
        let view = self.state.view().await?;
        let catalog = self.session.catalog();
        for (provider, key) in due {
            let Some(target) = Target::find(&config, &catalog, provider, key) else {
                continue;
            };
            let health = view.scopes.iter().find_map(|scope| {
                let is_it = scope.kind == ScopeKind::Key && scope.name == target.label;
                is_it.then_some(scope.health.as_ref()).flatten()
            });
            let Some(health) = health.filter(|health| wants_probe(health, &target.provider.health))
            else {
                continue;
            };
            let Some(tally) = take(&self.tallies, &target.label) else {
                continue;
            };
            let probing = Probing {
                state: Arc::clone(&self.state),
                session: self.session.clone(),
                client: self.client.clone(),
                term: term.clone(),
                health: health.clone(),
                target,
            };
            let tallies = Arc::clone(&self.tallies);
            let shutdown = self.shutdown.clone();
            spawn_named(&self.tasks, "probe", async move {
                let mut tally = tally;
                tokio::select! {
                    () = probing.run(&mut tally) => {}
                    () = shutdown.cancelled() => return,
                }
                // A term that has begun meanwhile counts in another place.
                if let Some(place) = lock(&tallies).get_mut(&probing.target.label) {
                    *place = Some(tally);
                }
            });
        }
        Ok(())
    }
}

impl Duty for Probe {
    fn name(&self) -> &'static str {
        "probe"
    }

    fn period(&self) -> Duration {
        PERIOD
    }

    fn begin_term(&mut self) {
        self.schedule = Schedule::default();
        self.tallies = Tallies::default();
    }

    fn run_once<'a>(&'a mut self, term: &'a Term) -> Run<'a> {
        Box::pin(self.probe_due(term))
    }
}

/// Whether a key in this state is to be asked.
fn wants_probe(key: &HealthView, health: &config::Health) -> bool {
    if key.admin == AdminState::Disabled {
        return false;
    }
    match key.state {
        KeyState::Ok => {
            let idle = health.interval * IDLE_INTERVALS;
            key.served_ms_ago
                .and_then(|ago| u64::try_from(ago).ok())
                .is_none_or(|ago| Duration::from_millis(ago) > idle)
        }
        // It asked to be left alone, or a request is trying it.
        KeyState::Throttled | KeyState::Trial => false,
        KeyState::Ejected => true,
        // A page that anybody may read says nothing of a credential.
        KeyState::AuthFailed => !matches!(health.probe, config::Probe::Path(_)),
        // Only what costs money tells whether there is any.
        KeyState::Exhausted => health.probe == config::Probe::Chat,
    }
}

/// One key, and the way to it.
struct Target {
    provider: config::Provider,
    key: config::Key,
    /// `provider/key`.
    label: String,
    row: RowIndex,
    model: ModelIndex,
    candidate: CandidateIndex,
    upstream_model: String,
}

impl Target {
    /// By way of the first model that uses the key; `None` where none does, or the catalog in force does not know it.
    fn find(config: &Config, catalog: &Catalog, provider: usize, key: usize) -> Option<Self> {
        let provider = config.providers.get(provider)?;
        let key = provider.keys.get(key)?;
        let label = format!("{}/{}", provider.name, key.name);
        let row = catalog.row_index(ScopeKind::Key, &label)?;
        let (model, upstream) = config.models.iter().find_map(|model| {
            let mut upstreams = model.upstreams.iter();
            let upstream = upstreams.find(|upstream| upstream.provider == provider.name)?;
            Some((model, upstream))
        })?;
        let name = format!(
            "{}/{}/{}/{}",
            model.name, provider.name, upstream.model, key.name
        );
        let model = catalog.model_index(model.name.as_str())?;
        let candidates = &catalog.models.get(model.position())?.candidates;
        let candidate = candidates.iter().find(|candidate| {
            let candidate = catalog.candidates.get(candidate.position());
            candidate.is_some_and(|candidate| candidate.name == name)
        })?;
        Some(Self {
            provider: provider.clone(),
            key: key.clone(),
            label,
            row,
            model,
            candidate: *candidate,
            upstream_model: upstream.model.clone(),
        })
    }
}

/// One probe under way.
struct Probing {
    state: Arc<dyn SharedState>,
    session: Session,
    client: ProbeClient,
    term: Term,
    target: Target,
    /// As it was before the probe began.
    health: HealthView,
}

impl Probing {
    async fn run(&self, tally: &mut Tally) {
        let provider = &self.target.provider;
        let Some(finding) = self.find().await else {
            metrics::probed(&provider.name, "refused");
            return;
        };
        let (outcome, is_success) = match &finding {
            Finding::Fine { .. } => ("fine", true),
            Finding::Failed(why) => {
                let label = &self.target.label;
                tracing::debug!(key = %label, "Probe of `{label}`: {why}");
                ("failed", false)
            }
            Finding::Unclear(_) => {
                metrics::probed(&provider.name, "unclear");
                return;
            }
        };
        metrics::probed(&provider.name, outcome);
        let Some(streak) = tally.count(self.health.version, is_success, &provider.health) else {
            return;
        };
        let Some(verdict) = self.verdict(streak) else {
            return;
        };
        // Lost between the check and the write, it is refused there.
        if let Some(fence) = self.term.fence()
            && !self.judge(fence, verdict).await
        {
            tally.forget();
        }
    }

    /// Asks the provider, under a lease; `None`: there was no room for a probe.
    async fn find(&self) -> Option<Finding> {
        let is_chat = self.target.provider.health.probe == config::Probe::Chat;
        let claim = Claim {
            model: self.target.model,
            priority: Priority::default(),
            tokens: if is_chat { CHAT_TOKENS } else { 0 },
            callers: Vec::new(),
            allow: Some(vec![self.target.candidate]),
            no_queue: true,
            purpose: if is_chat {
                Purpose::Probe
            } else {
                Purpose::LightProbe
            },
        };
        let deadline = std::time::Instant::now() + DEADLINE;
        let lease = self.session.acquire(claim, deadline).await.ok()?;
        if !lease.is_dispatchable() {
            return None;
        }
        let ask = Ask {
            provider: &self.target.provider,
            secret: &self.target.key.secret,
            model: &self.target.upstream_model,
        };
        let left = deadline.saturating_duration_since(std::time::Instant::now());
        let finding = self.client.send(&ask, left).await;
        let tokens = match &finding {
            Finding::Fine { tokens } => *tokens,
            Finding::Failed(_) | Finding::Unclear(_) => None,
        };
        lease.settle(Settlement {
            tokens,
            ..Settlement::of(Outcome::Probed)
        });
        Some(finding)
    }

    /// What a streak says of a key in this state; `None`: nothing new.
    fn verdict(&self, streak: Streak) -> Option<Verdict> {
        let is_chat = self.target.provider.health.probe == config::Probe::Chat;
        match (streak, self.health.state) {
            (Streak::Fallen, KeyState::Ok) => Some(Verdict::Down),
            // It is out already, and not to be brought back.
            (Streak::Fallen, _) | (Streak::Risen, KeyState::Ok) => None,
            (Streak::Risen, _) if is_chat => Some(Verdict::Up),
            (Streak::Risen, _) => Some(Verdict::Reachable),
        }
    }

    /// Whether the verdict was of the key's present state.
    async fn judge(&self, fence: Fence, verdict: Verdict) -> bool {
        let label = &self.target.label;
        let judgement = Judgement {
            fence,
            row: self.target.row,
            version: Some(self.health.version),
            verdict,
        };
        match self.state.judge(&judgement).await {
            Ok(reply) if reply.status == Status::Done => {
                let (name, text) = match verdict {
                    Verdict::Down => ("down", "does not work"),
                    _ => ("up", "works again"),
                };
                metrics::judged(name);
                tracing::info!(key = %label, "Probes found that `{label}` {text}");
                true
            }
            Ok(reply) => {
                if reply.status == Status::Fenced {
                    self.term.end();
                }
                false
            }
            Err(error) => {
                tracing::warn!(key = %label, "What probes found of `{label}` cannot be told: {error}");
                false
            }
        }
    }
}

fn lock(tallies: &Tallies) -> MutexGuard<'_, HashMap<String, Option<Tally>>> {
    tallies.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `None`: the key is being probed already.
fn take(tallies: &Tallies, label: &str) -> Option<Tally> {
    let mut tallies = lock(tallies);
    let place = tallies
        .entry(label.to_owned())
        .or_insert_with(|| Some(Tally::default()));
    place.take()
}

#[cfg(test)]
mod tests;
