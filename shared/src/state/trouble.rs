//! What can be wrong with the state store, in a bounded set of words that metrics and readiness may show.
//!
//! [`StoreStatus`] is written by the one session of a process and read by whoever tells people about it. It is also
//! where trouble is logged: each cause once per outage, and no cause more often than every few seconds.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The least time between two log lines about the same cause: a store that comes and goes writes no storm of them.
const SILENCE: Duration = Duration::from_secs(5);

/// Why a call to the store failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// No answer in time.
    Timeout,
    /// No connection: refused, or no such host.
    Unreachable,
    /// The connection was closed or reset.
    Dropped,
    Tls,
    /// An answer that is none.
    Garbage,
    /// Wrong user or password.
    Auth,
    /// A right is missing.
    NoPerm,
    /// It reads its data from disk.
    Loading,
    /// It is a replica.
    ReadOnly,
    MasterDown,
    NoReplicas,
    /// It runs somebody's long script.
    Busy,
    OutOfMemory,
    /// It cannot persist, and therefore refuses to write.
    Misconfigured,
    MaxClients,
    /// Its version or its settings cannot hold shared state.
    Unfit,
    Other,
}

impl Cause {
    pub const ALL: [Self; 17] = [
        Self::Timeout,
        Self::Unreachable,
        Self::Dropped,
        Self::Tls,
        Self::Garbage,
        Self::Auth,
        Self::NoPerm,
        Self::Loading,
        Self::ReadOnly,
        Self::MasterDown,
        Self::NoReplicas,
        Self::Busy,
        Self::OutOfMemory,
        Self::Misconfigured,
        Self::MaxClients,
        Self::Unfit,
        Self::Other,
    ];

    /// As a metric's label; Redis's own word where it has one.
    pub fn name(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::Dropped => "dropped",
            Self::Tls => "tls",
            Self::Garbage => "garbage",
            Self::Auth => "auth",
            Self::NoPerm => "noperm",
            Self::Loading => "loading",
            Self::ReadOnly => "readonly",
            Self::MasterDown => "masterdown",
            Self::NoReplicas => "noreplicas",
            Self::Busy => "busy",
            Self::OutOfMemory => "oom",
            Self::Misconfigured => "misconf",
            Self::MaxClients => "maxclients",
            Self::Unfit => "unfit",
            Self::Other => "other",
        }
    }
}

/// One failure of the store, told without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub cause: Cause,
    pub sentence: String,
}

impl Trouble {
    pub fn new(cause: Cause, sentence: impl Into<String>) -> Self {
        Self {
            cause,
            sentence: sentence.into(),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl From<String> for Trouble {
    fn from(sentence: String) -> Self {
        Self::new(Cause::Other, sentence)
    }
}

impl From<&str> for Trouble {
    fn from(sentence: &str) -> Self {
        Self::new(Cause::Other, sentence)
    }
}

/// How this process stands with the store; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct StoreStatus(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    away: Option<Cause>,
    errors: BTreeMap<Cause, u64>,
    /// When each cause was last logged.
    told_at: BTreeMap<Cause, Instant>,
    /// Causes that this outage has seen.
    seen: Vec<Cause>,
    /// This outage has been logged, so its end will be.
    is_told: bool,
}

impl StoreStatus {
    /// Why the store is away; `None` while it answers.
    pub fn away(&self) -> Option<Cause> {
        self.inner().away
    }

    /// Calls that failed so far.
    pub fn errors(&self) -> BTreeMap<Cause, u64> {
        self.inner().errors.clone()
    }

    /// Notes that a call failed.
    pub(super) fn failed(&self, trouble: &Trouble) {
        let is_news = {
            let mut inner = self.inner();
            inner.away = Some(trouble.cause);
            *inner.errors.entry(trouble.cause).or_default() += 1;
            inner.is_news(trouble.cause, Instant::now())
        };
        if is_news {
            let cause = trouble.cause.name();
            tracing::warn!(cause, "The state store is away: {trouble}");
        }
    }

    /// Notes that a call succeeded.
    pub(super) fn came_back(&self) {
        let was_told = {
            let mut inner = self.inner();
            inner.away = None;
            inner.seen.clear();
            std::mem::take(&mut inner.is_told)
        };
        if was_told {
            tracing::info!("The state store is back");
        }
    }

    // Held only between awaits, hence a std mutex.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn is_news(&mut self, cause: Cause, now: Instant) -> bool {
        if self.seen.contains(&cause) {
            return false;
        }
        self.seen.push(cause);
        let is_silenced = self
            .told_at
            .get(&cause)
            .is_some_and(|told_at| now.duration_since(*told_at) < SILENCE);
        if is_silenced {
            return false;
        }
        self.told_at.insert(cause, now);
        self.is_told = true;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once_in_an_outage_and_again_when_it_changes() {
        let mut inner = Inner::default();
        let now = Instant::now();

        let told: Vec<bool> = [
            Cause::Timeout,
            Cause::Timeout,
            Cause::Dropped,
            Cause::Timeout,
        ]
        .into_iter()
        .map(|cause| inner.is_news(cause, now))
        .collect();

        assert_eq!(told, [true, false, true, false]);
    }

    #[test]
    fn a_store_that_comes_and_goes_writes_no_storm_of_lines() {
        let mut inner = Inner::default();
        let began = Instant::now();

        let mut n_lines = 0;
        for outage in 0..100 {
            let now = began + Duration::from_millis(100) * outage;
            n_lines += u32::from(inner.is_news(Cause::Dropped, now));
            inner.seen.clear();
        }

        assert_eq!(n_lines, 2);
    }

    #[test]
    fn every_cause_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = Cause::ALL.iter().map(|it| it.name()).collect();

        assert_eq!(names.len(), Cause::ALL.len());
    }
}
