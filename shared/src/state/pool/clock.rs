//! The bounded clock: logical time follows the server's clock, but never backwards and never in leaps.
//!
//! While the store is stopped or unreachable, logical time stands still: nobody expires for an outage that they did
//! not cause, and windows never drain early.

use super::{Meta, Pool, SESSION_TTL_MS, STEP_MAX_MS};

/// What the server says of itself when a script begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerClock {
    /// Milliseconds since 1970.
    pub wall: i64,
    /// Names this start of the server; a new one means that writes may be lost.
    pub run: String,
}

impl Pool {
    /// The meta as this call sees it, not yet kept; `None` before the first epoch.
    pub(super) fn advanced(&self, clock: &ServerClock) -> Option<Meta> {
        if self.meta.now == 0 {
            return None;
        }
        let mut meta = self.meta.clone();
        meta.now += (clock.wall - meta.wall).clamp(0, STEP_MAX_MS);
        meta.wall = clock.wall;
        if clock.run != meta.run {
            // A restart: what the store holds may be old, and it cannot know all sessions that hold leases.
            meta.run.clone_from(&clock.run);
            // By the server's clock: a snapshot that is loaded twice would count to the same logical time twice.
            meta.generation = clock.wall;
            meta.base = meta.tick;
            meta.learning_until = meta.now + SESSION_TTL_MS;
            // Arrivals count on from the clock, as in a new epoch: whoever waited before stays ahead of new ones.
            meta.sequence = meta.sequence.max(clock.wall);
        }
        Some(meta)
    }

    /// Keeps a restart that a refused call has seen; a refused call changes nothing else, not even the clock.
    pub(super) fn keep_restart(&mut self, meta: &Meta) {
        if meta.run != self.meta.run {
            self.meta = meta.clone();
        }
    }

    pub(super) fn is_learning(&self) -> bool {
        self.meta.now < self.meta.learning_until
    }
}
