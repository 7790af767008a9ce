//! The rules of admission as a pure state machine: no I/O, no clock, deterministic.
//!
//! Each file in `pool/` is one rule and has a twin of the same name in `scripts/`, which says the same in Lua for
//! Redis. The machine is the embedded default behind a mutex, and the model that the scripts are tested against:
//! both answer every operation with the same reply, bit for bit.

mod audit;
mod catalog;
mod clock;
mod dump;
mod health;
mod judge;
mod leader;
mod publish;
mod queue;
mod retries;
mod session;
mod settle;
mod strategy;
mod view;
mod waiting;
mod window;

use std::collections::BTreeMap;

pub use audit::Difference;
pub use clock::ServerClock;
pub use dump::{Dump, DumpError};
pub use leader::Leader;
pub use publish::CHANGES_MAX;

use crate::catalog::Catalog;
use crate::ids::{CandidateIndex, ReplicaName, RowIndex, SessionId};
use crate::state::protocol::{JoinReply, Mail, Operations, Status, TickReply};
use health::Health;
use window::WindowState;

/// The most that logical time moves in one call: pauses and clock steps expire nobody.
pub const STEP_MAX_MS: i64 = 2_000;
/// How long a session outlives its last tick.
pub const SESSION_TTL_MS: i64 = 6_000;
/// A replica that renewed less than this ago is alive: another process may not take its name.
pub const RENEWED_LATELY_MS: i64 = 2_000;
/// How long an empty store waits for replicas that remember leases.
pub const LEARNING_EMPTY_MS: i64 = 2_000;
/// How long a leadership outlives its last renewal.
pub const LEADER_TTL_MS: i64 = 6_000;
/// Sessions reaped by one tick at most.
const REAPED_MAX: usize = 16;

/// Everything the routers agree on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pool {
    meta: Meta,
    catalog: Catalog,
    rows: Vec<RowState>,
    models: Vec<ModelState>,
    sessions: BTreeMap<SessionId, SessionState>,
    /// Everyone who waits, or is remembered by a queue, by `<session>:<ticket>`.
    waiters: BTreeMap<String, Waiter>,
    /// What the last tick posted to other sessions; not part of the state.
    posted: BTreeMap<SessionId, Mail>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Meta {
    /// Logical milliseconds; 0: no epoch yet.
    now: i64,
    /// The server's clock at the last call.
    wall: i64,
    /// The server's run id.
    run: String,
    generation: i64,
    base: u64,
    learning_until: i64,
    epoch: i64,
    tick: u64,
    /// Arrival order of waiters.
    sequence: i64,
    anomalies: u64,
    reclaimed: u64,
    /// Retries that the cluster may make, and when that was last refilled.
    retries: f64,
    retries_at: i64,
}

/// One scope's counters.
#[derive(Clone, Debug, Default, PartialEq)]
struct RowState {
    /// 0: unlimited.
    slots_max: u32,
    held: i64,
    grants: u64,
    /// Of a key that has served; see `health`.
    health: Option<Health>,
    windows: Vec<WindowState>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct ModelState {
    /// Smooth weighted round robin's current weights, beside the catalog's candidates.
    current: Vec<f64>,
    /// (score, `<session>:<ticket>`), best first.
    queue: std::collections::BTreeSet<(i64, String)>,
}

#[derive(Clone, Debug, PartialEq)]
struct SessionState {
    replica: ReplicaName,
    /// The last batch and its reply.
    last: u64,
    reply: Option<TickReply>,
    /// How it joined, until its first batch: whoever asks again gets the same answer.
    joined: Option<JoinReply>,
    expires: i64,
    /// Leases per row; never 0.
    held: BTreeMap<RowIndex, i64>,
    mail: Mail,
}

/// A claim in the queue.
#[derive(Clone, Debug, PartialEq)]
struct Waiter {
    /// Its place: see [`waiting::score`].
    score: i64,
    tokens: u32,
    callers: Vec<RowIndex>,
    allow: Vec<CandidateIndex>,
}

impl Pool {
    /// How many calls have changed it since its epoch began.
    pub fn ticks(&self) -> u64 {
        self.meta.tick
    }

    /// Executes one batch of a session. The only hot operation.
    ///
    /// `version` is the catalog version that the operations' indexes were taken from.
    pub fn tick(
        &mut self,
        clock: &ServerClock,
        session: &SessionId,
        seq: u64,
        version: u64,
        operations: &Operations,
    ) -> TickReply {
        let Some(meta) = self.advanced(clock) else {
            return TickReply {
                status: Status::NoEpoch,
                ..TickReply::default()
            };
        };
        let refused = |status, last| TickReply {
            status,
            tick: meta.tick,
            now: meta.now,
            wall: meta.wall,
            generation: meta.generation,
            base: meta.base,
            last,
            ..TickReply::default()
        };
        if version != self.catalog.version {
            self.keep_restart(&meta);
            return refused(Status::Catalog, 0);
        }
        let Some(state) = self.sessions.get(session) else {
            self.keep_restart(&meta);
            return refused(Status::Gone, 0);
        };
        if seq <= state.last || seq > state.last + 1 {
            let last = state.last;
            let again = (seq == last).then(|| state.reply.clone()).flatten();
            self.keep_restart(&meta);
            return again.unwrap_or_else(|| {
                refused(
                    if seq <= last {
                        Status::Old
                    } else {
                        Status::Rollback
                    },
                    last,
                )
            });
        }

        self.meta = meta;
        self.meta.tick += 1;
        self.reap_expired(session);
        for release in &operations.releases {
            self.settle(session, release);
        }
        for cancel in &operations.cancels {
            self.cancel(session, *cancel);
        }
        let mut reply = self.admit(session, &operations.acquires);
        reply.next = self.next_moment(session, reply.next);
        self.conclude(session, seq, reply)
    }
}
