//! What the store's answers mean: grants to hand out, refusals to pass on, mail to take.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::actor::{Actor, Answer, Call, Flight, Held};
use super::lease::Lease;
use super::memory::{Admission, Scopes};
use crate::lease::RefusalReason;
use crate::state::protocol::{
    Acquire, Cancel, Grant, OutcomeCode, Queued, RejectCode, Rejected, Release, Status, TickReply,
};
use crate::state::replay::Recorded;
use crate::state::{StateError, WakeUp};
use crate::time::boot_time_ms;

impl Actor {
    pub(super) fn answered(&mut self, answer: Result<Answer, StateError>) {
        match answer {
            Ok(Answer::Tick(reply)) => self.ticked(reply),
            Ok(Answer::Assert(reply, agreed)) => self.asserted(&reply, agreed),
            Ok(Answer::Catalog {
                agreed,
                generation,
                base,
            }) => self.fetched(agreed, generation, base),
            Err(error) => self.failed(&error),
        }
    }

    fn ticked(&mut self, reply: TickReply) {
        let Some(flight) = self.flight.take() else {
            return;
        };
        if reply.status == Status::Catalog {
            self.flight = Some(flight);
            self.fetch_catalog(&reply);
            return;
        }
        let Call::Tick { seq, operations } = flight.call else {
            return;
        };
        match reply.status {
            Status::Done => {}
            Status::Catalog
            | Status::NoEpoch
            | Status::Gone
            | Status::Old
            | Status::Rollback
            | Status::Duplicate
            | Status::Busy
            | Status::Fenced
            | Status::Stale => {
                tracing::warn!(status = ?reply.status, "The state store lost this session: telling it what is held");
                if reply.status == Status::Gone {
                    self.lose_leases();
                }
                self.take_back(&operations);
                self.assert(reply.generation, reply.base);
                return;
            }
        }

        self.came_back(flight.first_sent_ms);
        if let Some(recorder) = &self.recorder {
            recorder.write(&Recorded::Tick {
                session: self.session.clone(),
                seq,
                version: self.catalog.version,
                operations: (*operations).clone(),
                reply: reply.clone(),
            });
        }
        let TickReply {
            now,
            next,
            learning_until,
            grants,
            queued,
            rejected,
            mail,
            generation,
            base,
            ..
        } = reply;
        let is_learning = now < learning_until;
        if !is_learning {
            self.common.is_ready.store(true, Ordering::Release);
        }
        let next = if next == 0 && is_learning {
            learning_until
        } else {
            next
        };
        self.opening_at = (next > 0).then(|| {
            let wait = u64::try_from(next - now).unwrap_or(0);
            // One more, because the store's clock stands on whole milliseconds.
            Instant::now() + Duration::from_millis(wait + 1)
        });
        {
            let mut stats = self
                .common
                .stats
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            stats.ticked(flight.first_sent.elapsed(), operations.len());
            stats.sessions = reply.sessions;
            stats.anomalies = reply.anomalies;
            stats.reclaimed = reply.reclaimed;
            stats.generation = generation;
            stats.grants += grants.len() as u64;
            stats.queued += queued.len() as u64;
        }
        for grant in grants {
            self.granted(grant);
        }
        for Queued {
            ticket,
            sequence,
            length: _,
        } in queued
        {
            if let Some(waiter) = self.waiters.get_mut(&ticket) {
                waiter.sequence = Some(sequence);
            }
        }
        for rejected in rejected.into_iter().chain(mail.rejected) {
            self.rejected(rejected);
        }
        for grant in mail.grants {
            if !self.handed_over.remove(&grant.ticket) {
                self.count_handed_over();
                self.granted(grant);
            }
        }
        for Cancel { ticket, .. } in &operations.cancels {
            // A grant that crossed it has come with this reply, if there was one.
            self.cancelled.remove(ticket);
        }
        self.publish_gauges();
        if generation != self.generation {
            // The store restarted: it may have lost what it granted others or us since its snapshot.
            tracing::warn!("The state store restarted: telling it what is held");
            self.assert(generation, base);
        }
    }

    /// A wake-up carries the grant itself; the mailbox will repeat it.
    pub(super) fn woken(&mut self, (session, mail): WakeUp) {
        let is_asserting = matches!(
            self.flight,
            Some(Flight {
                call: Call::Assert(_),
                ..
            })
        );
        if session != self.session || is_asserting {
            return;
        }
        // Refusals are left to the mailbox: they may be due to a catalog that is not known here yet.
        let mut is_mail_due = !mail.rejected.is_empty();
        for grant in mail.grants {
            // One that nobody waits for is left to the mailbox too, which is where it is given back.
            let Some(waiter) = self.waiters.get(&grant.ticket) else {
                continue;
            };
            let model = self.catalog.models.get(waiter.acquire.model.position());
            if !model.is_some_and(|model| model.candidates.contains(&grant.candidate)) {
                // Of a catalog that came in force since the last tick: whoever waits could not tell what it was given.
                is_mail_due = true;
                continue;
            }
            self.handed_over.insert(grant.ticket);
            self.count_handed_over();
            self.granted(grant);
        }
        if is_mail_due {
            self.heartbeat_at = Instant::now();
        }
    }

    fn granted(&mut self, grant: Grant) {
        let ticket = grant.ticket;
        let at_ms = boot_time_ms();
        let Some(waiter) = self.waiters.remove(&ticket) else {
            self.give_back(&grant);
            return;
        };
        let Acquire {
            model,
            tokens,
            callers,
            purpose,
            ..
        } = waiter.acquire;
        let is_probe = purpose.is_probe();
        let scopes = Scopes {
            model,
            candidate: grant.candidate,
            callers,
        };
        let admission = Admission {
            at_ms,
            generation: self.generation,
            tick: grant.tick,
            scopes: scopes.clone(),
            requests: 1,
            tokens,
        };
        self.memory.admitted(ticket, admission);
        self.leases.insert(
            ticket,
            Held {
                scopes,
                reserved: tokens,
                granted_at: grant.granted_at,
                at_ms,
                is_probe,
            },
        );
        if let Some(commands) = self.commands.upgrade() {
            let lease = Lease::new(
                grant,
                Arc::clone(&self.catalog),
                Arc::clone(&self.common),
                commands,
            );
            // Whoever asked has gone: the lease comes back as the value is dropped.
            let _ = waiter.answer.send(Ok(lease));
        }
    }

    /// Ends a grant for a claim that was cancelled before the grant was known.
    fn give_back(&mut self, grant: &Grant) {
        if let Some(cancelled) = self.cancelled.remove(&grant.ticket) {
            self.pending.release(Release {
                model: cancelled.model,
                candidate: grant.candidate,
                callers: cancelled.callers,
                reserved: cancelled.tokens,
                granted_at: grant.granted_at,
                tokens: 0,
                outcome: if cancelled.purpose.is_probe() {
                    OutcomeCode::PROBED
                } else {
                    OutcomeCode::UNSENT
                },
                first_byte_us: 0,
                token_us: 0,
                retry_ms: 0,
                reported: Vec::new(),
            });
        }
    }

    fn rejected(&mut self, rejected: Rejected) {
        let Some(waiter) = self.waiters.remove(&rejected.ticket) else {
            return;
        };
        let Rejected {
            ticket: _,
            reason,
            row,
            kind,
            retry_ms,
        } = rejected;
        let reason = match reason {
            RejectCode::Limit => RefusalReason::Limit { row, kind },
            RejectCode::TooLarge => RefusalReason::TooLarge { row, kind },
            RejectCode::QueueFull => RefusalReason::QueueFull,
            RejectCode::Shed => RefusalReason::Shed,
            RejectCode::Unavailable => RefusalReason::Unavailable,
            RejectCode::RetryBudget => RefusalReason::RetryBudget,
            RejectCode::Throttled => RefusalReason::Throttled,
        };
        self.refuse(
            waiter.answer,
            reason,
            Duration::from_millis(u64::try_from(retry_ms).unwrap_or(0)),
        );
    }

    fn count_handed_over(&self) {
        self.common
            .stats
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .handed_over += 1;
    }

    fn publish_gauges(&self) {
        let mut stats = self
            .common
            .stats
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        stats.leases = self.leases.len() as u64;
        stats.waiting = self.waiters.len() as u64;
    }
}
