//! The retry budget: how many attempts beyond the first the whole cluster may make.
//!
//! Every request earns its share, and a small floor trickles in, so that a quiet cluster can retry at all. Where
//! everything fails, providers see a fifth more load instead of three times as much.

use super::Pool;

/// Retries a second, whatever the traffic.
const FLOOR_PER_SECOND: f64 = 3.0;
/// What may be saved up.
const SAVED_MAX: f64 = 100.0;
/// What a new epoch begins with.
pub(super) const SAVED_FIRST: f64 = 10.0;

impl Pool {
    /// Whether one retry more is within the budget.
    pub(super) fn has_retry(&mut self) -> bool {
        self.meta.retries = self.retries_left();
        self.meta.retries_at = self.meta.now;
        self.meta.retries >= 1.0
    }

    /// What was saved, and what has trickled in since.
    pub(super) fn retries_left(&self) -> f64 {
        let passed = self.meta.now - self.meta.retries_at;
        #[expect(clippy::cast_precision_loss, reason = "milliseconds are below 2^53")]
        let trickled = passed as f64 * FLOOR_PER_SECOND / 1000.0;
        (self.meta.retries + trickled).min(SAVED_MAX)
    }

    pub(super) fn spend_retry(&mut self) {
        self.meta.retries -= 1.0;
    }

    /// A request was granted: it earns the cluster its share.
    pub(super) fn earn_retry(&mut self) {
        self.meta.retries = (self.meta.retries + self.catalog.retry_share).min(SAVED_MAX);
    }
}
