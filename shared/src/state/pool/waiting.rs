//! Waiting: what stands in a claim's way, when that may pass, and the queue that it waits in.

use super::health::Health;
use super::strategy::Closed;
use super::{Pool, Waiter};
use crate::catalog::LimitKind;
use crate::ids::{CandidateIndex, RowIndex, SessionId, Ticket};
use crate::state::protocol::{Cancel, PurposeCode, Queued, RejectCode, Rejected, TickReply};

/// Windows whose ring one pump scans for their opening; further ones are looked at again a bucket later.
const SCANS_MAX: u32 = 8;
/// A priority level is worth more than any sequence number: one below 2^42 (milliseconds until the year 2109).
const PRIORITY_BAND: i64 = 1 << 42;
/// What is told to whoever waits for a slot or a place in the queue: nobody knows when one comes free.
const RETRY_SLOT_MS: i64 = 1_000;

/// Best first: high priority, then early arrival.
pub(super) fn score(priority: u8, sequence: i64) -> i64 {
    (10 - i64::from(priority)) * PRIORITY_BAND + sequence
}

pub(super) fn priority_of(score: i64) -> u8 {
    u8::try_from(10 - score / PRIORITY_BAND).unwrap_or(0)
}

pub(super) fn member(session: &SessionId, ticket: Ticket) -> String {
    format!("{session}:{}", ticket.0)
}

pub(super) fn parse_member(member: &str) -> Option<(SessionId, Ticket)> {
    let (session, ticket) = member.rsplit_once(':')?;
    Some((SessionId::from(session), Ticket(ticket.parse().ok()?)))
}

/// A claim of the batch in hand.
pub(super) struct Fresh {
    pub(super) sequence: i64,
    pub(super) ticket: Ticket,
    pub(super) no_queue: bool,
    pub(super) purpose: PurposeCode,
    pub(super) waiter: Waiter,
}

/// What stands in a claim's way.
struct Blocker {
    row: RowIndex,
    kind: LimitKind,
    /// When time alone removes it; `None` for slots.
    opens_at: Option<i64>,
    reason: RejectCode,
}

/// What one pump has left to spend, and what it has learned.
#[derive(Default)]
pub(super) struct Pass {
    pub(super) closed: Closed,
    pub(super) scans: u32,
    /// The earliest opening of anything that a waiter was found to wait for; 0: none.
    pub(super) next: i64,
}

impl Pool {
    pub(super) fn cancel(&mut self, session: &SessionId, cancel: Cancel) {
        let member = member(session, cancel.ticket);
        let Some(model) = self.models.get_mut(cancel.model.position()) else {
            return;
        };
        let Some(waiter) = self.waiters.get(&member) else {
            return;
        };
        if model.queue.remove(&(waiter.score, member.clone())) {
            self.waiters.remove(&member);
        }
    }

    /// Puts a claim that was not granted into its queue, or rejects it.
    pub(super) fn enqueue(
        &mut self,
        session: &SessionId,
        model: usize,
        fresh: Fresh,
        pass: &mut Pass,
        reply: &mut TickReply,
    ) {
        if fresh.no_queue {
            let blocker = self.blocker(model, &fresh.waiter, pass);
            let retry_ms = blocker
                .opens_at
                .map_or(RETRY_SLOT_MS, |at| (at - self.meta.now).max(0));
            reply.rejected.push(Rejected {
                ticket: fresh.ticket,
                reason: blocker.reason,
                row: blocker.row,
                kind: blocker.kind,
                retry_ms,
            });
            return;
        }
        let queue_max = self.catalog.queue_max as usize;
        if self.models[model].queue.len() >= queue_max {
            let Some(tail) = self.models[model]
                .queue
                .last()
                .filter(|tail| tail.0 > fresh.waiter.score)
                .cloned()
            else {
                reply.rejected.push(rejected(
                    fresh.ticket,
                    (RejectCode::QueueFull, RowIndex(0), LimitKind::Concurrency),
                ));
                return;
            };
            self.forget(model, &tail);
            if let Some((owner, ticket)) = parse_member(&tail.1) {
                let shed = rejected(
                    ticket,
                    (RejectCode::Shed, RowIndex(0), LimitKind::Concurrency),
                );
                self.post(&owner, |mail| mail.rejected.push(shed));
            }
        }
        let member = member(session, fresh.ticket);
        self.models[model]
            .queue
            .insert((fresh.waiter.score, member.clone()));
        self.waiters.insert(member, fresh.waiter);
        reply.queued.push(Queued {
            ticket: fresh.ticket,
            sequence: fresh.sequence,
            length: u32::try_from(self.models[model].queue.len()).unwrap_or(u32::MAX),
        });
    }

    pub(super) fn forget(&mut self, model: usize, entry: &(i64, String)) {
        self.models[model].queue.remove(entry);
        self.waiters.remove(&entry.1);
    }

    /// Why waiting can never help: no candidate is left, or the estimate exceeds a limit of each of them.
    pub(super) fn never_fits(
        &self,
        model: usize,
        waiter: &Waiter,
    ) -> Option<(RejectCode, RowIndex, LimitKind)> {
        for &row in &waiter.callers {
            if let Some(kind) = self.too_large_for(row, waiter.tokens) {
                return Some((RejectCode::TooLarge, row, kind));
            }
        }
        let mut first = None;
        for index in self.allowed(model, waiter) {
            let rows = self.rows_of(index, &[]);
            match rows
                .into_iter()
                .find_map(|row| Some((row, self.too_large_for(row, waiter.tokens)?)))
            {
                None => return None,
                found => first = first.or(found),
            }
        }
        match first {
            Some((row, kind)) => Some((RejectCode::TooLarge, row, kind)),
            None => Some((RejectCode::Unavailable, RowIndex(0), LimitKind::Concurrency)),
        }
    }

    /// Why waiting cannot help as things stand: no candidate is left that time could bring back, or that the claim fits.
    pub(super) fn never_now(
        &self,
        model: usize,
        waiter: &Waiter,
    ) -> Option<(RejectCode, RowIndex, LimitKind)> {
        let never = self.never_fits(model, waiter);
        let is_dead = |index: &CandidateIndex| {
            let key = self.catalog.candidates[index.position()].key;
            self.rows[key.position()]
                .health
                .as_ref()
                .is_some_and(Health::is_hopeless)
        };
        if never.is_some() || !self.allowed(model, waiter).iter().all(is_dead) {
            return never;
        }
        Some((RejectCode::Unavailable, RowIndex(0), LimitKind::Concurrency))
    }

    fn too_large_for(&self, row: RowIndex, tokens: u32) -> Option<LimitKind> {
        let windows = &self.rows[row.position()].windows;
        let window = windows
            .iter()
            .find(|window| window.cost(tokens) > window.limit)?;
        Some(LimitKind::Window(window.kind))
    }

    fn allowed(&self, model: usize, waiter: &Waiter) -> Vec<CandidateIndex> {
        let candidates = self
            .catalog
            .models
            .get(model)
            .map(|model| model.candidates.as_slice())
            .unwrap_or_default();
        let is_allowed =
            |index: &&CandidateIndex| waiter.allow.is_empty() || waiter.allow.contains(index);
        candidates.iter().filter(is_allowed).copied().collect()
    }

    /// Closes the rows on which a blocked waiter lacks tokens: its own scope's if that is what blocks it.
    pub(super) fn close_rows(
        &self,
        model: usize,
        waiter: &Waiter,
        is_caller_blocked: bool,
        closed: &mut Closed,
    ) {
        let rows: Vec<RowIndex> = if is_caller_blocked {
            waiter.callers.clone()
        } else {
            self.allowed(model, waiter)
                .into_iter()
                .flat_map(|index| self.rows_of(index, &[]))
                .collect()
        };
        for row in rows {
            let lacks_tokens = self.rows[row.position()].windows.iter().any(|window| {
                window.kind.counts_tokens() && !window.has_room(window.cost(waiter.tokens))
            });
            if lacks_tokens {
                closed.insert(row);
            }
        }
    }

    /// Remembers when time alone may help a waiter that was just found blocked.
    pub(super) fn note_opening(&self, model: usize, waiter: &Waiter, pass: &mut Pass) {
        if let Some(at) = self.blocker(model, waiter, pass).opens_at
            && (pass.next == 0 || at < pass.next)
        {
            pass.next = at;
        }
    }

    /// What stands in a claim's way: its own scope, else whichever candidate opens first.
    fn blocker(&self, model: usize, waiter: &Waiter, pass: &mut Pass) -> Blocker {
        for &row in &waiter.callers {
            if let Some(blocker) = self.row_blocker(row, waiter.tokens, pass) {
                return blocker;
            }
        }
        let mut first: Option<Blocker> = None;
        for index in self.allowed(model, waiter) {
            let key = self.catalog.candidates[index.position()].key;
            let found = self.health_blocker(key).or_else(|| {
                let rows = self.rows_of(index, &[]);
                rows.into_iter()
                    .find_map(|row| self.row_blocker(row, waiter.tokens, pass))
            });
            let Some(blocker) = found else {
                continue;
            };
            let is_earlier = match (&first, blocker.opens_at) {
                (None, _) => true,
                (Some(first), Some(at)) => first.opens_at.is_none_or(|best| at < best),
                (Some(_), None) => false,
            };
            if is_earlier {
                first = Some(blocker);
            }
        }
        first.unwrap_or(Blocker {
            row: RowIndex(0),
            kind: LimitKind::Concurrency,
            opens_at: None,
            reason: RejectCode::Limit,
        })
    }

    /// A key that is out: by itself for a while, or until somebody brings it back.
    fn health_blocker(&self, key: RowIndex) -> Option<Blocker> {
        let now = self.meta.now;
        let health = self.rows[key.position()].health.as_ref()?;
        if health.is_open(now) {
            return None;
        }
        let opens_by_itself = !health.is_hopeless() && health.open_at > now;
        Some(Blocker {
            row: key,
            kind: LimitKind::Concurrency,
            opens_at: opens_by_itself.then_some(health.open_at),
            reason: if health.is_throttled(now) {
                RejectCode::Throttled
            } else {
                RejectCode::Unavailable
            },
        })
    }

    fn row_blocker(&self, row: RowIndex, tokens: u32, pass: &mut Pass) -> Option<Blocker> {
        let state = &self.rows[row.position()];
        for window in &state.windows {
            let cost = window.cost(tokens);
            if !window.has_room(cost) {
                pass.scans += 1;
                let opens_at = if pass.scans <= SCANS_MAX {
                    window.opens_at(cost)
                } else {
                    Some(window.next_bucket_at())
                };
                return Some(Blocker {
                    row,
                    kind: LimitKind::Window(window.kind),
                    opens_at,
                    reason: RejectCode::Limit,
                });
            }
        }
        (!state.has_slot()).then_some(Blocker {
            row,
            kind: LimitKind::Concurrency,
            opens_at: None,
            reason: RejectCode::Limit,
        })
    }
}

pub(super) fn rejected(
    ticket: Ticket,
    (reason, row, kind): (RejectCode, RowIndex, LimitKind),
) -> Rejected {
    Rejected {
        ticket,
        reason,
        row,
        kind,
        retry_ms: RETRY_SLOT_MS,
    }
}
