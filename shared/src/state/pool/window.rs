//! Windows: rings of buckets whose sum is what the last interval admitted, never less.
//!
//! A ring holds one bucket more than the interval needs to be covered wherever it begins, and one guard bucket more
//! ([`WindowKind::ring_len`]). "Sum of the ring ≤ limit" therefore proves "≤ limit in every sliding interval".

use crate::catalog::{Window, WindowKind};

/// One window's counter. The ring's place in Redis is the catalog's [`Window::offset`].
#[derive(Clone, Debug, PartialEq)]
pub(super) struct WindowState {
    pub(super) kind: WindowKind,
    pub(super) limit: i64,
    /// The provider's own limit, where it reported a lower one; 0: none.
    pub(super) learned: i64,
    pub(super) offset: u32,
    /// Sum of the ring.
    pub(super) total: i64,
    /// The newest bucket.
    pub(super) last: i64,
    /// Logical time at which it came into being beside live sessions: what was granted before is not in it.
    pub(super) since: i64,
    pub(super) ring: Vec<i64>,
}

impl WindowState {
    pub(super) fn new(window: &Window, now: i64, since: i64) -> Option<Self> {
        let kind = WindowKind::from_code(window.kind)?;
        Some(Self {
            kind,
            limit: i64::try_from(window.limit).unwrap_or(i64::MAX),
            learned: 0,
            offset: window.offset,
            total: 0,
            last: now.div_euclid(kind.bucket_ms()),
            since,
            ring: vec![0; usize::try_from(kind.ring_len()).unwrap_or_default()],
        })
    }

    /// What a request of `tokens` costs here.
    pub(super) fn cost(&self, tokens: u32) -> i64 {
        if self.kind.counts_tokens() {
            i64::from(tokens)
        } else {
            1
        }
    }

    /// Drops the buckets that have left the interval.
    pub(super) fn rotate(&mut self, now: i64) {
        let bucket = now.div_euclid(self.kind.bucket_ms());
        let passed = bucket - self.last;
        if passed <= 0 {
            return;
        }
        if passed >= self.kind.ring_len() {
            self.ring.fill(0);
            self.total = 0;
        } else {
            for stale in self.last + 1..=bucket {
                let slot = self.slot(stale);
                self.total -= std::mem::take(&mut self.ring[slot]);
            }
        }
        self.last = bucket;
    }

    pub(super) fn has_room(&self, cost: i64) -> bool {
        self.total + cost <= self.limit_now()
    }

    /// The limit in force. An empty window admits what the configuration allows, so that no request is stuck behind a
    /// limit that was only reported.
    fn limit_now(&self) -> i64 {
        if self.learned > 0 && self.total > 0 {
            self.learned.min(self.limit)
        } else {
            self.limit
        }
    }

    pub(super) fn charge(&mut self, cost: i64) {
        let slot = self.slot(self.last);
        self.ring[slot] += cost;
        self.total += cost;
    }

    /// Corrects a charge in the bucket where it was made; no effect once that bucket has left.
    ///
    /// Gives nothing back of what was charged before the window was there: it would be somebody else's charge.
    pub(super) fn correct(&mut self, charged_at: i64, by: i64) {
        if by < 0 && charged_at <= self.since {
            return;
        }
        // A timestamp from a timeline that the store lost may lie ahead: it counts as now, which drains later.
        let bucket = charged_at.div_euclid(self.kind.bucket_ms()).min(self.last);
        if self.last - bucket < self.kind.ring_len() {
            let slot = self.slot(bucket);
            self.ring[slot] += by;
            self.total += by;
        }
    }

    /// When enough old buckets will have left for `cost` to fit; `None` if it never fits.
    ///
    /// What exceeds a learned limit alone fits once the window is empty.
    pub(super) fn opens_at(&self, cost: i64) -> Option<i64> {
        let mut missing = self.total + cost - self.limit_now();
        if self.limit_now() < self.limit {
            missing = missing.min(self.total);
        }
        let len = self.kind.ring_len();
        for bucket in self.last - len + 1..=self.last {
            missing -= self.ring[self.slot(bucket)];
            if missing <= 0 {
                return Some((bucket + len) * self.kind.bucket_ms());
            }
        }
        None
    }

    /// The next moment at which any bucket leaves: a bound where [`Self::opens_at`] would cost too much.
    pub(super) fn next_bucket_at(&self) -> i64 {
        (self.last + 1) * self.kind.bucket_ms()
    }

    fn slot(&self, bucket: i64) -> usize {
        usize::try_from(bucket.rem_euclid(self.kind.ring_len())).unwrap_or_default()
    }
}
