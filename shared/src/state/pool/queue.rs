//! The queue: strict priority, then first come first served, over all models of the pool.
//!
//! Every tick ends in one pump that considers old waiters and new claims alike, best first. A waiter that cannot be
//! served blocks its model, and closes for everybody behind it the rows whose tokens it is saving up for. One that is
//! held up only by its own scope or its own allow list is passed over instead.

use std::collections::{BTreeMap, VecDeque};

use super::strategy::Closed;
use super::{Pool, Waiter};
use crate::catalog::LimitKind;
use crate::ids::{CandidateIndex, RowIndex, SessionId, Ticket};
use crate::state::protocol::{Acquire, Cancel, Queued, RejectCode, Rejected, TickReply};

/// Leases granted by one pump at most.
const GRANTS_MAX: usize = 128;
/// Waiters of a model that one pump passes over at most.
const LOOK_AHEAD: usize = 16;
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
struct Fresh {
    sequence: i64,
    ticket: Ticket,
    no_queue: bool,
    waiter: Waiter,
}

/// One model's place in the pump.
#[derive(Default)]
struct Cursor {
    /// Waiters in the store that were passed over.
    skipped: usize,
    fresh: VecDeque<Fresh>,
    /// Claims of the batch that were passed over.
    passed: Vec<Fresh>,
    is_blocked: bool,
}

/// What stands in a claim's way.
struct Blocker {
    row: RowIndex,
    kind: LimitKind,
    /// When time alone removes it; `None` for slots.
    opens_at: Option<i64>,
}

/// What one pump has left to spend, and what it has learned.
#[derive(Default)]
struct Pass {
    closed: Closed,
    scans: u32,
    /// The earliest opening of anything that a waiter was found to wait for; 0: none.
    next: i64,
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

    /// Admits, queues or rejects the batch's claims, and hands freed capacity to whoever waits.
    ///
    /// The reply's `next` is the earliest moment at which time alone may open something for a waiter.
    pub(super) fn admit(&mut self, session: &SessionId, acquires: &[Acquire]) -> TickReply {
        let mut reply = TickReply::default();
        let mut cursors: BTreeMap<usize, Cursor> = BTreeMap::new();
        for (model, state) in self.models.iter().enumerate() {
            if !state.queue.is_empty() {
                cursors.insert(model, Cursor::default());
            }
        }
        for acquire in acquires {
            self.meta.sequence += 1;
            let fresh = Fresh {
                sequence: self.meta.sequence,
                ticket: acquire.ticket,
                no_queue: acquire.no_queue,
                waiter: Waiter {
                    score: score(acquire.priority, self.meta.sequence),
                    tokens: acquire.tokens,
                    callers: acquire.callers.clone(),
                    allow: acquire.allow.clone(),
                },
            };
            let model = acquire.model.position();
            match self.never_fits(model, &fresh.waiter) {
                Some(code) => reply.rejected.push(rejected(fresh.ticket, code)),
                None => cursors.entry(model).or_default().fresh.push_back(fresh),
            }
        }
        for cursor in cursors.values_mut() {
            cursor
                .fresh
                .make_contiguous()
                .sort_by_key(|fresh| fresh.waiter.score);
        }

        let mut pass = Pass::default();
        if !self.is_learning() {
            self.pump(session, &mut cursors, &mut pass, &mut reply);
        }
        for (model, cursor) in cursors {
            let mut left: Vec<Fresh> = cursor.passed.into_iter().chain(cursor.fresh).collect();
            left.sort_by_key(|fresh| fresh.waiter.score);
            for fresh in left {
                self.enqueue(session, model, fresh, &mut pass, &mut reply);
            }
        }
        reply.next = pass.next;
        reply
    }

    fn pump(
        &mut self,
        session: &SessionId,
        cursors: &mut BTreeMap<usize, Cursor>,
        pass: &mut Pass,
        reply: &mut TickReply,
    ) {
        let mut n_granted = 0;
        while n_granted < GRANTS_MAX {
            let Some((model, head)) = self.best_head(cursors) else {
                return;
            };
            let Some(cursor) = cursors.get_mut(&model) else {
                return;
            };
            let (owner, ticket, waiter) = match &head {
                Head::Fresh => {
                    let Some(fresh) = cursor.fresh.front() else {
                        return;
                    };
                    (session.clone(), fresh.ticket, fresh.waiter.clone())
                }
                Head::Stored(entry) => {
                    let known = parse_member(&entry.1)
                        .filter(|(owner, _)| self.sessions.contains_key(owner));
                    match (known, self.waiters.get(&entry.1)) {
                        (Some((owner, ticket)), Some(waiter)) => (owner, ticket, waiter.clone()),
                        _ => {
                            // Its session is gone: nobody is left to be granted anything.
                            self.forget(model, entry);
                            continue;
                        }
                    }
                }
            };

            let is_caller_blocked = waiter
                .callers
                .iter()
                .any(|&row| !self.row_admits(row, waiter.tokens, &pass.closed));
            let picked = if is_caller_blocked {
                None
            } else {
                self.pick(model, &waiter, &pass.closed)
            };
            if let Some(position) = picked {
                n_granted += 1;
                let grant = self.grant(model, position, &owner, ticket, &waiter);
                match &head {
                    Head::Fresh => {
                        cursor.fresh.pop_front();
                        reply.grants.push(grant);
                    }
                    Head::Stored(entry) => {
                        self.forget(model, entry);
                        self.post(&owner, |mail| mail.grants.push(grant.clone()));
                    }
                }
                continue;
            }

            if let (Head::Stored(entry), Some(code)) = (&head, self.never_fits(model, &waiter)) {
                // The catalog changed under it.
                self.forget(model, entry);
                self.post(&owner, |mail| mail.rejected.push(rejected(ticket, code)));
                continue;
            }
            self.note_opening(model, &waiter, pass);
            self.close_rows(model, &waiter, is_caller_blocked, &mut pass.closed);
            let is_passed_over = is_caller_blocked || !waiter.allow.is_empty();
            if !is_passed_over || cursor.skipped + cursor.passed.len() >= LOOK_AHEAD {
                cursor.is_blocked = true;
            } else if matches!(head, Head::Fresh) {
                cursor.passed.extend(cursor.fresh.pop_front());
            } else {
                cursor.skipped += 1;
            }
        }
        // There may be room for more: whoever ticks next goes on.
        pass.next = self.meta.now;
    }

    /// The best waiter over all models that are not blocked.
    fn best_head(&self, cursors: &BTreeMap<usize, Cursor>) -> Option<(usize, Head)> {
        let mut best: Option<(i64, usize, Head)> = None;
        for (&model, cursor) in cursors.iter().filter(|(_, cursor)| !cursor.is_blocked) {
            let stored = self.models[model].queue.iter().nth(cursor.skipped);
            let fresh = cursor.fresh.front();
            let head = match (stored, fresh) {
                (Some(stored), Some(fresh)) if fresh.waiter.score < stored.0 => {
                    (fresh.waiter.score, Head::Fresh)
                }
                (Some(stored), _) => (stored.0, Head::Stored(stored.clone())),
                (None, Some(fresh)) => (fresh.waiter.score, Head::Fresh),
                (None, None) => continue,
            };
            if best.as_ref().is_none_or(|best| head.0 < best.0) {
                best = Some((head.0, model, head.1));
            }
        }
        best.map(|(_, model, head)| (model, head))
    }

    /// Puts a claim that was not granted into its queue, or rejects it.
    fn enqueue(
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
                reason: RejectCode::Limit,
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

    fn forget(&mut self, model: usize, entry: &(i64, String)) {
        self.models[model].queue.remove(entry);
        self.waiters.remove(&entry.1);
    }

    /// Why waiting can never help: no candidate is left, or the estimate exceeds a limit of each of them.
    fn never_fits(
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
    fn close_rows(
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
    fn note_opening(&self, model: usize, waiter: &Waiter, pass: &mut Pass) {
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
            let rows = self.rows_of(index, &[]);
            let Some(blocker) = rows
                .into_iter()
                .find_map(|row| self.row_blocker(row, waiter.tokens, pass))
            else {
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
                });
            }
        }
        let is_full = state.slots_max > 0 && state.held >= i64::from(state.slots_max);
        is_full.then_some(Blocker {
            row,
            kind: LimitKind::Concurrency,
            opens_at: None,
        })
    }
}

/// The best waiter of a model: already in the store, or in the batch in hand.
enum Head {
    Fresh,
    Stored((i64, String)),
}

fn rejected(ticket: Ticket, (reason, row, kind): (RejectCode, RowIndex, LimitKind)) -> Rejected {
    Rejected {
        ticket,
        reason,
        row,
        kind,
        retry_ms: RETRY_SLOT_MS,
    }
}
