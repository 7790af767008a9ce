//! When a connection has been idle for too long.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// Follows one connection's requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Idleness(Arc<Watched>);

#[derive(Debug, Default)]
struct Watched {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    n_requests: usize,
    /// `None` for a connection that may be idle for ever.
    patience: Option<Duration>,
    /// When the last request ended.
    since: Option<Instant>,
}

/// A request that is being answered. Dropped, it has been.
#[derive(Debug)]
pub(super) struct Busy(Idleness);

impl Idleness {
    pub(super) fn begin(&self) -> Busy {
        self.lock().n_requests += 1;
        Busy(self.clone())
    }

    /// Waits until the connection has been idle for as long as its last answer said.
    pub(super) async fn over(&self) {
        loop {
            let deadline = self.deadline();
            // `notify_one` leaves a permit where nobody waits yet: no change is missed.
            let changed = self.0.changed.notified();
            match deadline {
                None => changed.await,
                Some(deadline) => tokio::select! {
                    () = changed => {}
                    () = sleep_until(deadline) => if self.deadline() == Some(deadline) {
                        return;
                    },
                },
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let state = self.lock();
        let is_idle = state.n_requests == 0;
        let deadline = state.since? + state.patience?;
        is_idle.then_some(deadline)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Busy {
    pub(super) fn set_patience(&self, patience: Option<Duration>) {
        self.0.lock().patience = patience;
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.n_requests -= 1;
        state.since = Some(Instant::now());
        let is_watched = state.patience.is_some();
        drop(state);
        if is_watched {
            self.0.0.changed.notify_one();
        }
    }
}
