//! Whether this process leads: asked of the store again and again, believed for a while only.
//!
//! Two things keep an old leader from doing harm. It stops by itself [`ACT_MS`] after it sent the last renewal that
//! succeeded, before anybody else can lead. And should it be paused between that check and a write, the write carries
//! its fence, and the store refuses it.

use std::sync::Arc;
use std::time::Duration;

use shared::ids::Fence;
use shared::state::SharedState;
use shared::state::protocol::{Candidacy, Leadership};
use shared::time::boot_time_ms;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::metrics;

/// Between two renewals.
const RENEW: Duration = Duration::from_millis(1_500);
/// After a call that failed.
const RETRY: Duration = Duration::from_millis(300);
/// After this long without a renewal that surely succeeded, somebody else may lead: the leadership's time to live,
/// less one step of the bounded clock and half a second for the way.
const ACT_MS: u64 = 3_500;
/// So that a candidate asks just after the leadership has fallen free, not just before.
const AFTER_THE_END: Duration = Duration::from_millis(20);
/// How long a resignation may take: the leadership falls free by itself, too.
const RESIGN_PATIENCE: Duration = Duration::from_secs(1);

/// What this process knows of its own leadership; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Standing(Arc<watch::Sender<Option<Held>>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    fence: Fence,
    /// When the renewal was sent, by [`boot_time_ms`].
    renewed_ms: u64,
}

impl Held {
    fn is_within(&self) -> bool {
        boot_time_ms().saturating_sub(self.renewed_ms) < ACT_MS
    }
}

/// Leading, from one change of leader to the next.
#[derive(Clone, Debug)]
pub(crate) struct Term {
    fence: Fence,
    standing: Standing,
}

impl Term {
    /// What a write has to carry; to be asked for right before each one. `None`: this term is over.
    pub(crate) fn fence(&self) -> Option<Fence> {
        let term = self.standing.term()?;
        (term.fence == self.fence).then_some(self.fence)
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.fence == other.fence
    }

    /// The store knows a newer leader.
    pub(crate) fn end(&self) {
        tracing::warn!(
            fence = self.fence.0,
            "Another coordinator leads: a write was refused"
        );
        self.standing.0.send_if_modified(|held| {
            let is_ours = held.is_some_and(|held| held.fence == self.fence);
            if is_ours {
                *held = None;
            }
            is_ours
        });
        metrics::leads(None);
    }
}

impl Standing {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }

    /// `None`: this process does not lead, or does not know it surely enough to act.
    pub(crate) fn term(&self) -> Option<Term> {
        let held = (*self.0.borrow()).filter(Held::is_within)?;
        Some(Term {
            fence: held.fence,
            standing: self.clone(),
        })
    }

    /// Completes when this process leads.
    pub(crate) async fn next_term(&self) -> Term {
        let mut changes = self.0.subscribe();
        loop {
            if let Some(term) = self.term() {
                return term;
            }
            if changes.changed().await.is_err() {
                // Cannot be: the sender is ours.
                std::future::pending::<()>().await;
            }
        }
    }

    fn is_leading(&self) -> bool {
        self.0.borrow().is_some()
    }

    fn set(&self, held: Option<Held>) {
        let before = self.0.send_replace(held);
        let fence = held.map(|held| held.fence);
        if before.map(|held| held.fence) != fence {
            match fence {
                Some(fence) => tracing::info!(fence = fence.0, "This coordinator leads"),
                None => tracing::info!("This coordinator does not lead any more"),
            }
        }
        metrics::leads(fence);
    }
}

/// Asks for the leadership, renews it, and gives it back in the end.
pub(crate) struct Campaign {
    pub(crate) state: Arc<dyn SharedState>,
    pub(crate) standing: Standing,
    /// This incarnation: an opaque uuid.
    pub(crate) owner: String,
    /// Where its admin port answers.
    pub(crate) address: String,
}

impl Campaign {
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        loop {
            let sent_ms = boot_time_ms();
            let pause = match self.state.lead(&self.candidacy(false)).await {
                Ok(leadership) => self.heard(&leadership, sent_ms),
                Err(error) => {
                    tracing::debug!(%error, "The leadership cannot be asked for: {error}");
                    if self.standing.is_leading() && self.standing.term().is_none() {
                        self.standing.set(None);
                    }
                    RETRY
                }
            };
            let was_leading = self.standing.is_leading();
            tokio::select! {
                () = sleep(pause) => {}
                () = shutdown.cancelled() => break,
            }
            if was_leading && !self.standing.is_leading() {
                // A write was refused. The store may still think that we lead, under a fence that it refuses: take another one.
                self.resign().await;
            }
        }
        self.standing.set(None);
        self.resign().await;
    }

    /// Returns when to ask again.
    fn heard(&self, leadership: &Leadership, sent_ms: u64) -> Duration {
        if leadership.owner == self.owner {
            self.standing.set(Some(Held {
                fence: leadership.fence,
                renewed_ms: sent_ms,
            }));
            return RENEW;
        }
        self.standing.set(None);
        let remaining = u64::try_from(leadership.remaining_ms).unwrap_or_default();
        RENEW.min(Duration::from_millis(remaining) + AFTER_THE_END)
    }

    async fn resign(&self) {
        let candidacy = self.candidacy(true);
        let resigned = timeout(RESIGN_PATIENCE, self.state.lead(&candidacy)).await;
        if !matches!(resigned, Ok(Ok(_))) {
            tracing::debug!("The leadership was left to its end");
        }
    }

    fn candidacy(&self, resigns: bool) -> Candidacy {
        Candidacy {
            owner: self.owner.clone(),
            address: self.address.clone(),
            resigns,
        }
    }
}

#[cfg(test)]
mod tests;
