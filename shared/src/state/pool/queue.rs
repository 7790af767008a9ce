//! The queue: strict priority, then first come first served, over all models of the pool.
//!
//! Every tick ends in one pump that considers old waiters and new claims alike, best first. A waiter that cannot be
//! served blocks its model, and closes for everybody behind it the rows whose tokens it is saving up for. One that is
//! held up only by its own scope or its own allow list is passed over instead.

use std::collections::{BTreeMap, VecDeque};

use super::health::State;
use super::waiting::{Fresh, Pass, parse_member, rejected, score};
use super::{Pool, Waiter};
use crate::catalog::{LimitKind, WindowKind};
use crate::ids::{RowIndex, SessionId};
use crate::state::protocol::{Acquire, PurposeCode, RejectCode, TickReply};

/// Waiters granted or sent away by one pump at most.
const HANDLED_MAX: usize = 128;
/// Waiters of a model that one pump passes over at most.
const LOOK_AHEAD: usize = 16;

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

impl Pool {
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
                purpose: acquire.purpose,
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
                None if fresh.purpose.is_probe() => {
                    self.admit_probe(session, model, &fresh, &mut reply);
                }
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
        let mut n_handled = 0;
        while n_handled < HANDLED_MAX {
            let Some((model, head)) = self.best_head(cursors) else {
                return;
            };
            let Some(cursor) = cursors.get_mut(&model) else {
                return;
            };
            let (owner, ticket, purpose, waiter) = match &head {
                Head::Fresh => {
                    let Some(fresh) = cursor.fresh.front() else {
                        return;
                    };
                    (
                        session.clone(),
                        fresh.ticket,
                        fresh.purpose,
                        fresh.waiter.clone(),
                    )
                }
                Head::Stored(entry) => {
                    let known = parse_member(&entry.1)
                        .filter(|(owner, _)| self.sessions.contains_key(owner));
                    match (known, self.waiters.get(&entry.1)) {
                        (Some((owner, ticket)), Some(waiter)) => {
                            (owner, ticket, PurposeCode::REQUEST, waiter.clone())
                        }
                        _ => {
                            // Its session is gone: nobody is left to be granted anything.
                            n_handled += 1;
                            self.forget(model, entry);
                            continue;
                        }
                    }
                }
            };

            if purpose == PurposeCode::RETRY && !self.has_retry() {
                cursor.fresh.pop_front();
                let code = (RejectCode::RetryBudget, RowIndex(0), LimitKind::Concurrency);
                reply.rejected.push(rejected(ticket, code));
                continue;
            }
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
                n_handled += 1;
                let grant = self.grant(model, position, &owner, (ticket, purpose), &waiter);
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

            if let Some(code) = self.never_now(model, &waiter) {
                let refused = rejected(ticket, code);
                match &head {
                    Head::Fresh => {
                        cursor.fresh.pop_front();
                        reply.rejected.push(refused);
                    }
                    // The catalog, or its keys' health, changed under it.
                    Head::Stored(entry) => {
                        n_handled += 1;
                        self.forget(model, entry);
                        self.post(&owner, |mail| mail.rejected.push(refused));
                    }
                }
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

    /// A probe passes the queue by, because the queue may be waiting for what it finds; it never waits itself.
    fn admit_probe(
        &mut self,
        session: &SessionId,
        model: usize,
        fresh: &Fresh,
        reply: &mut TickReply,
    ) {
        let position = (!self.is_learning())
            .then(|| self.probe_position(model, fresh))
            .flatten();
        match position {
            Some(position) => {
                let claim = (fresh.ticket, fresh.purpose);
                let grant = self.grant(model, position, session, claim, &fresh.waiter);
                reply.grants.push(grant);
            }
            None => reply.rejected.push(rejected(
                fresh.ticket,
                (RejectCode::Limit, RowIndex(0), LimitKind::Concurrency),
            )),
        }
    }

    /// The place of a probe's one candidate, if its limits admit it and nobody tries it already.
    fn probe_position(&self, model: usize, fresh: &Fresh) -> Option<usize> {
        let &[index] = fresh.waiter.allow.as_slice() else {
            return None;
        };
        let candidates = &self.catalog.models[model].candidates;
        let position = candidates
            .iter()
            .position(|candidate| *candidate == index)?;
        let key = self.catalog.candidates[index.position()].key;
        let is_tried = self.rows[key.position()]
            .health
            .as_ref()
            .is_some_and(|health| health.state == State::Trial);
        let is_taken = self.catalog.models[model].exclusive && self.rows[key.position()].held > 0;
        let is_light = fresh.purpose == PurposeCode::LIGHT_PROBE;
        let admits = |row: RowIndex| {
            let row = &self.rows[row.position()];
            let mut windows = row
                .windows
                .iter()
                .filter(|window| !is_light || window.kind == WindowKind::Qps);
            row.has_slot()
                && windows.all(|window| window.has_room(window.cost(fresh.waiter.tokens)))
        };
        let rows = self.rows_of(index, &fresh.waiter.callers);
        (!is_tried && !is_taken && rows.into_iter().all(admits)).then_some(position)
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
}

/// The best waiter of a model: already in the store, or in the batch in hand.
enum Head {
    Fresh,
    Stored((i64, String)),
}
