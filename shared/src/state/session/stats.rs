//! What a replica's session has done and seen: plain numbers that a metrics page renders.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::lease::RefusalReason;

/// Upper bounds of the tick time's buckets, in seconds.
pub const TICK_SECONDS: [f64; 10] = [
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5,
];

#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Batches that the store executed.
    pub ticks: u64,
    /// Operations carried by them: ÷ ticks is the mean batch.
    pub operations: u64,
    /// Ticks by time from send to reply, beside [`TICK_SECONDS`]; the last bucket is the rest.
    pub tick_times: [u64; 11],
    pub tick_seconds_sum: f64,
    pub grants: u64,
    /// Grants that came from another replica's tick.
    pub handed_over: u64,
    /// Claims that had to wait.
    pub queued: u64,
    /// By reason and limit.
    pub refusals: BTreeMap<(&'static str, &'static str), u64>,
    /// Leases held, and claims waiting, at this replica now.
    pub leases: u64,
    pub waiting: u64,
    /// Over the whole cluster, since the epoch began.
    pub sessions: u32,
    pub anomalies: u64,
    pub reclaimed: u64,
    /// Logical time at which the store last began or restarted.
    pub generation: i64,
    /// Times that this replica had to tell the store what it holds.
    pub asserts: u64,
    /// Of the catalog that this replica goes by.
    pub catalog_version: u64,
    /// This replica's file is not what is in force.
    pub catalog_differs: bool,
}

impl Stats {
    pub(super) fn ticked(&mut self, took: Duration, n_operations: usize) {
        let seconds = took.as_secs_f64();
        let bucket = TICK_SECONDS
            .iter()
            .position(|bound| seconds <= *bound)
            .unwrap_or(TICK_SECONDS.len());
        self.tick_times[bucket] += 1;
        self.tick_seconds_sum += seconds;
        self.ticks += 1;
        self.operations += n_operations as u64;
    }

    pub(super) fn refused(&mut self, reason: &RefusalReason) {
        let labels = match reason {
            RefusalReason::Limit { kind, .. } => ("limit", kind.name()),
            RefusalReason::TooLarge { kind, .. } => ("too_large", kind.name()),
            RefusalReason::QueueFull => ("queue_full", ""),
            RefusalReason::Shed => ("shed", ""),
            RefusalReason::Deadline => ("deadline", ""),
            RefusalReason::Unavailable => ("unavailable", ""),
            RefusalReason::RetryBudget => ("retry_budget", ""),
            RefusalReason::Throttled => ("throttled", ""),
            RefusalReason::StoreAway => ("store_away", ""),
            RefusalReason::Draining => ("draining", ""),
        };
        *self.refusals.entry(labels).or_insert(0) += 1;
    }
}
