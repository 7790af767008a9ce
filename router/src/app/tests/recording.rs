//! What a replica asked of its store, read from the session's own recording.

use std::path::PathBuf;

use shared::state::protocol::{Acquire, OutcomeCode, PurposeCode, Release};
use shared::state::replay::Recorded;
use tempfile::TempDir;

use super::until;

pub(super) struct Recording(TempDir);

impl Recording {
    pub(super) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(super) fn path(&self) -> PathBuf {
        self.0.path().join("recording")
    }

    fn read(&self) -> Vec<Recorded> {
        let text = std::fs::read_to_string(self.path()).unwrap_or_default();
        // The last line may be half written.
        let lines = text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    pub(super) fn acquires(&self) -> Vec<Acquire> {
        let ticks = self.read().into_iter();
        ticks
            .filter_map(|recorded| match recorded {
                Recorded::Tick { operations, .. } => Some(operations.acquires),
                _ => None,
            })
            .flatten()
            .collect()
    }

    pub(super) fn n_acquires_for(&self, purpose: PurposeCode) -> usize {
        let acquires = self.acquires();
        acquires
            .iter()
            .filter(|acquire| acquire.purpose == purpose)
            .count()
    }

    /// Leases that were granted.
    pub(super) fn n_grants(&self) -> usize {
        let ticks = self.read().into_iter();
        ticks
            .map(|recorded| match recorded {
                Recorded::Tick { reply, .. } => reply.grants.len(),
                _ => 0,
            })
            .sum()
    }

    /// The leases that ended, at least `n`, by candidate: failed ones are kept a moment longer than others.
    pub(super) async fn releases(&self, n: usize) -> Vec<Release> {
        let releases = || {
            let ticks = self.read().into_iter();
            let releases = ticks.filter_map(|recorded| match recorded {
                Recorded::Tick { operations, .. } => Some(operations.releases),
                _ => None,
            });
            releases.flatten().collect::<Vec<_>>()
        };
        until("the leases ended", async || releases().len() >= n).await;
        let mut releases = releases();
        releases.sort_by_key(|release| release.candidate);
        releases
    }

    pub(super) async fn outcomes(&self, n: usize) -> Vec<OutcomeCode> {
        let releases = self.releases(n).await;
        releases.iter().map(|release| release.outcome).collect()
    }
}
