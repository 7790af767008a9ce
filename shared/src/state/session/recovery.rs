//! When the store is away, or comes back without its memory: patience, the fence, and telling it what is held.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::actor::{Actor, Call};
use super::{AWAY_PATIENCE, BACK_OFF_MAX, BACK_OFF_MIN, jittered};
use crate::catalog::Catalog;
use crate::ids::{SessionId, Ticket};
use crate::lease::RefusalReason;
use crate::state::StateError;
use crate::state::protocol::{
    Assert, AssertedCharge, AssertedLease, AssertedWaiter, JoinReply, Operations, Release, Status,
};
use crate::state::replay::Recorded;
use crate::time::boot_time_ms;

impl Actor {
    pub(super) fn failed(&mut self, error: &StateError) {
        self.again_at = Some(Instant::now() + jittered(self.back_off));
        self.back_off = (self.back_off * 2).min(BACK_OFF_MAX);
        if self.away_since.is_none() {
            self.away_since = self.flight.as_ref().map(|flight| flight.first_sent);
        }
        self.common.status.failed(error.trouble());
    }

    /// Whether the store has been away for so long that new requests are not kept waiting for it.
    ///
    /// The call that is on its way, or due again, is the one that will find it back.
    pub(super) fn is_given_up(&self) -> bool {
        self.away_since
            .is_some_and(|since| since.elapsed() > AWAY_PATIENCE)
    }

    pub(super) fn came_back(&mut self, sent_ms: u64) {
        self.away_since = None;
        self.back_off = BACK_OFF_MIN;
        self.common.last_sent_ms.store(sent_ms, Ordering::Release);
        self.common.status.came_back();
    }

    /// Raises or lowers the fence, and sends those away who have waited long enough for a store that is away.
    pub(super) fn watch_the_fence(&mut self) {
        let is_fenced = !self.common.is_within_fence();
        if is_fenced && !self.is_fenced {
            self.lose_leases();
        }
        self.is_fenced = is_fenced;

        let Some(away_since) = self.away_since else {
            return;
        };
        let now = Instant::now();
        let is_over = |since: Instant| since.max(away_since) + AWAY_PATIENCE <= now;
        let impatient: Vec<Ticket> = self
            .waiters
            .iter()
            .filter(|(_, waiter)| is_over(waiter.since))
            .map(|(ticket, _)| *ticket)
            .collect();
        for ticket in impatient {
            if let Some(waiter) = self.waiters.remove(&ticket) {
                self.leave_queue(waiter.acquire);
                self.refuse(
                    waiter.answer,
                    RefusalReason::StoreAway,
                    Duration::from_secs(1),
                );
            }
        }
    }

    /// Tells whoever must know (`exclusive`) that what was granted before may be somebody else's by now.
    pub(super) fn lose_leases(&self) {
        self.common.fences.send_modify(|fences| *fences += 1);
    }

    /// Puts claims of a batch that the store does not know back into the next one.
    pub(super) fn take_back(&mut self, operations: &Operations) {
        for acquire in &operations.acquires {
            if self.waiters.contains_key(&acquire.ticket) {
                self.pending.acquire(acquire.clone());
            }
        }
        for release in &operations.releases {
            self.remember_raise(release);
        }
    }

    /// A release of a session that is gone frees nothing any more; that it raised the charge is told all the same.
    fn remember_raise(&mut self, release: &Release) {
        let raise = u64::from(release.tokens.saturating_sub(release.reserved));
        if raise > 0 {
            self.unsettled.push(AssertedCharge {
                model: release.model,
                candidate: release.candidate,
                callers: release.callers.clone(),
                // As if it were now: what drains late is safe.
                age_ms: 0,
                requests: 0,
                tokens: raise,
                days_only: false,
            });
        }
    }

    /// Opens a new session in place of one that the store lost, or whose writes it may have lost.
    pub(super) fn assert(&mut self, generation: i64, base: u64) {
        for release in self.pending.forget_session() {
            self.remember_raise(&release);
        }
        self.cancelled.clear();
        self.handed_over.clear();

        let mut leases: BTreeMap<_, u32> = BTreeMap::new();
        for held in self.leases.values() {
            *leases.entry(held.scopes.clone()).or_insert(0) += 1;
        }
        let leases = leases.into_iter().map(|(scopes, count)| AssertedLease {
            model: scopes.model,
            candidate: scopes.candidate,
            callers: scopes.callers,
            count,
        });
        let mut charges = self.memory.lost(generation, base, boot_time_ms());
        charges.append(&mut self.unsettled);
        let waiters = self.waiters.values().filter_map(|waiter| {
            Some(AssertedWaiter {
                acquire: waiter.acquire.clone(),
                sequence: waiter.sequence?,
            })
        });
        let session = SessionId::from(Uuid::new_v4().to_string());
        let assert = Assert {
            session: session.clone(),
            replica: self.replica.clone(),
            predecessor: std::mem::replace(&mut self.session, session),
            leases: leases.collect(),
            charges,
            waiters: waiters.collect(),
        };
        self.seq = 0;
        self.asserting_to = generation;
        self.take_off(Call::Assert(Arc::new(assert)));
    }

    pub(super) fn asserted(&mut self, reply: &JoinReply, agreed: Catalog) {
        let Some(flight) = self.flight.take() else {
            return;
        };
        let Call::Assert(assert) = &flight.call else {
            return;
        };
        match reply.status {
            Status::Done => {}
            Status::Catalog if agreed.version > 0 && agreed != *self.catalog => {
                self.assert_anew(flight.call, agreed);
                return;
            }
            Status::Catalog
            | Status::NoEpoch
            | Status::Gone
            | Status::Old
            | Status::Rollback
            | Status::Duplicate
            | Status::Busy
            | Status::Fenced
            | Status::Stale => {
                self.flight = Some(flight);
                self.failed(&StateError::Away(
                    format!("it answered {:?} to an assert", reply.status).into(),
                ));
                return;
            }
        }

        if let Some(recorder) = &mut self.recorder {
            let (assert, catalog) = ((**assert).clone(), (*self.catalog).clone());
            recorder.write(&Recorded::Assert {
                assert,
                catalog,
                reply: reply.clone(),
            });
        }
        self.generation = reply.generation;
        let now_ms = boot_time_ms();
        for held in self.leases.values_mut() {
            // The buckets of the new timeline, by each lease's age.
            held.granted_at =
                reply.now - i64::try_from(now_ms.saturating_sub(held.at_ms)).unwrap_or(0);
        }
        self.came_back(flight.first_sent_ms);
        if self.asserting_to != 0 && self.asserting_to != reply.generation {
            // The store restarted once more on the way: what was told is what an earlier start had lost.
            self.assert(reply.generation, reply.base);
            return;
        }
        self.memory.told(reply.generation, reply.tick);
        self.common
            .stats
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .asserts += 1;
        // What has gathered goes out at once.
        self.heartbeat_at = Instant::now();
    }

    /// Ends the session in the store; one that still holds leases is left to its expiry.
    pub(super) async fn say_bye(&mut self) {
        match self.state.bye(&self.session, &self.catalog).await {
            Ok(reply) => {
                if let Some(recorder) = &mut self.recorder
                    && reply.status == Status::Done
                {
                    recorder.write(&Recorded::Bye {
                        session: self.session.clone(),
                        reply,
                    });
                }
            }
            Err(error) => tracing::warn!("Left without telling the state store: {error}"),
        }
    }
}
