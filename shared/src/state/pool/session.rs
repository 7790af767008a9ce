//! Sessions: who holds what, how long they live, and how they come back after the store forgot them.

use std::collections::BTreeMap;

use super::retries::SAVED_FIRST;
use super::{
    LEARNING_EMPTY_MS, Meta, Pool, REAPED_MAX, RENEWED_LATELY_MS, SESSION_TTL_MS, ServerClock,
    SessionState, Waiter, waiting,
};
use crate::catalog::Catalog;
use crate::ids::{ReplicaName, SessionId};
use crate::state::protocol::{Assert, Boot, JoinReply, Mail, Status, TickReply};

impl Pool {
    /// Opens a session; begins the epoch if the store is empty.
    ///
    /// `catalog` is stored if there is none, or if nobody lives who goes by the old one: no session, and no leader
    /// whose catalog it may be. An older incarnation of the same replica is reaped at once, unless it renewed lately:
    /// then the name belongs to somebody alive.
    pub fn boot(
        &mut self,
        clock: &ServerClock,
        has_leader: bool,
        boot: &Boot,
        catalog: &Catalog,
    ) -> JoinReply {
        if let Some(again) = self.joined_before(&boot.session) {
            return again;
        }
        let mut next = self.begun(clock, catalog);
        let older: Vec<(SessionId, i64)> = next
            .sessions
            .iter()
            .filter(|(_, session)| session.replica == boot.replica)
            .map(|(id, session)| (id.clone(), session.expires - SESSION_TTL_MS))
            .collect();
        if older
            .iter()
            .any(|(_, renewed)| next.meta.now - renewed < RENEWED_LATELY_MS)
        {
            // Time is kept, alone of refused calls: there may be nobody else to move it until the name is free.
            self.meta = next.meta;
            return JoinReply::of(Status::Duplicate, &self.meta);
        }
        next.meta.tick += 1;
        next.reap_all_expired();
        for (session, _) in older {
            next.reap(&session);
        }
        let is_nobodys = next.sessions.is_empty() && !has_leader;
        let is_successor = catalog.version == next.catalog.version + 1;
        if is_nobodys && is_successor && next.catalog.hash != catalog.hash {
            next.install(catalog);
        }
        next.open(&boot.session, &boot.replica);
        *self = next;
        self.joined(&boot.session)
    }

    /// Replaces a session that the store lost, or whose writes it lost, by what its replica remembers.
    ///
    /// Counters may exceed their limits afterwards: nothing is granted there until they have drained.
    pub fn assert(&mut self, clock: &ServerClock, assert: &Assert, catalog: &Catalog) -> JoinReply {
        if let Some(again) = self.joined_before(&assert.session) {
            return again;
        }
        let mut next = self.begun(clock, catalog);
        if next.catalog != *catalog {
            // Indexes of another catalog would name other scopes: the replica must translate them first.
            let meta = next.meta.clone();
            self.keep_restart(&meta);
            return JoinReply::of(Status::Catalog, &meta);
        }
        next.meta.tick += 1;
        next.reap_all_expired();
        let tried = next.tried_by(assert);
        next.reap(&assert.predecessor);
        if next.is_learning() {
            // Somebody remembers an epoch before this one, so others may too.
            next.meta.learning_until = next
                .meta
                .learning_until
                .max(next.meta.epoch + SESSION_TTL_MS);
        }
        next.open(&assert.session, &assert.replica);
        for lease in &assert.leases {
            for row in next.lease_rows(lease.model, lease.candidate, &lease.callers) {
                next.rows[row.position()].held += i64::from(lease.count);
                if let Some(session) = next.sessions.get_mut(&assert.session) {
                    *session.held.entry(row).or_insert(0) += i64::from(lease.count);
                }
            }
        }
        for key in tried {
            next.resume_trial(&assert.session, key);
        }
        for charge in &assert.charges {
            let charged_at = next.meta.now - charge.age_ms;
            for row in next.lease_rows(charge.model, charge.candidate, &charge.callers) {
                for window in &mut next.rows[row.position()].windows {
                    let by = if window.kind.counts_tokens() {
                        i64::try_from(charge.tokens).unwrap_or(i64::MAX)
                    } else {
                        i64::from(charge.requests)
                    };
                    if window.kind.is_daily() || !charge.days_only {
                        window.correct(charged_at, by);
                    }
                }
            }
        }
        for waiter in &assert.waiters {
            let acquire = &waiter.acquire;
            let Some(model) = next.models.get_mut(acquire.model.position()) else {
                continue;
            };
            let score = waiting::score(acquire.priority, waiter.sequence);
            let before = waiting::member(&assert.predecessor, acquire.ticket);
            if let Some(old) = next.waiters.remove(&before) {
                model.queue.remove(&(old.score, before));
            }
            let member = waiting::member(&assert.session, acquire.ticket);
            model.queue.insert((score, member.clone()));
            let waiter = Waiter {
                score,
                tokens: acquire.tokens,
                callers: acquire.callers.clone(),
                allow: acquire.allow.clone(),
            };
            next.waiters.insert(member, waiter);
        }
        *self = next;
        self.joined(&assert.session)
    }

    /// Ends a session that holds nothing. One that is unknown has ended already.
    pub fn bye(&mut self, clock: &ServerClock, session: &SessionId) -> JoinReply {
        let Some(meta) = self.advanced(clock) else {
            return JoinReply {
                status: Status::NoEpoch,
                ..JoinReply::default()
            };
        };
        let holds = self
            .sessions
            .get(session)
            .is_some_and(|session| !session.held.is_empty());
        if holds {
            self.keep_restart(&meta);
            return JoinReply::of(Status::Busy, &meta);
        }
        self.meta = meta;
        self.meta.tick += 1;
        self.sessions.remove(session);
        JoinReply::of(Status::Done, &self.meta)
    }

    /// The pool as a joining session finds it: rotated to now, with an epoch and a catalog.
    fn begun(&self, clock: &ServerClock, catalog: &Catalog) -> Self {
        let mut next = self.clone();
        match self.advanced(clock) {
            Some(meta) => next.meta = meta,
            None => {
                next.meta = Meta {
                    now: clock.wall,
                    wall: clock.wall,
                    run: clock.run.clone(),
                    generation: clock.wall,
                    learning_until: clock.wall + LEARNING_EMPTY_MS,
                    epoch: clock.wall,
                    // Waiters asserted from an earlier epoch stay ahead of new ones.
                    sequence: clock.wall,
                    retries: SAVED_FIRST,
                    retries_at: clock.wall,
                    ..Meta::default()
                };
                next.install(catalog);
            }
        }
        next.rotate();
        next
    }

    /// The answer to a join that has run already, and whose reply was lost.
    fn joined_before(&self, session: &SessionId) -> Option<JoinReply> {
        let state = self.sessions.get(session)?;
        let first = state.joined.clone();
        Some(first.unwrap_or_else(|| JoinReply::of(Status::Done, &self.meta)))
    }

    fn joined(&mut self, session: &SessionId) -> JoinReply {
        let reply = JoinReply::of(Status::Done, &self.meta);
        if let Some(state) = self.sessions.get_mut(session) {
            state.joined = Some(reply.clone());
        }
        reply
    }

    fn open(&mut self, session: &SessionId, replica: &ReplicaName) {
        let state = SessionState {
            replica: replica.clone(),
            last: 0,
            reply: None,
            joined: None,
            expires: self.meta.now + SESSION_TTL_MS,
            held: BTreeMap::new(),
            mail: Mail::default(),
        };
        self.sessions.insert(session.clone(), state);
    }

    /// Takes back what at most [`REAPED_MAX`] dead sessions held.
    pub(super) fn reap_expired(&mut self, but: &SessionId) {
        self.rotate();
        for session in self.expired().into_iter().take(REAPED_MAX) {
            if session != *but {
                self.reap(&session);
            }
        }
    }

    /// For a store that nothing can have outlived.
    pub fn end_learning(&mut self) {
        self.meta.learning_until = 0;
    }

    fn reap_all_expired(&mut self) {
        for session in self.expired() {
            self.reap(&session);
        }
    }

    /// Longest dead first.
    fn expired(&self) -> Vec<SessionId> {
        let is_expired = |session: &SessionState| session.expires <= self.meta.now;
        let mut expired: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, state)| is_expired(state))
            .map(|(id, state)| (state.expires, id))
            .collect();
        expired.sort();
        expired.into_iter().map(|(_, id)| id.clone()).collect()
    }

    /// Its waiters vanish when they come to the head of their queue.
    fn reap(&mut self, session: &SessionId) {
        let Some(state) = self.sessions.remove(session) else {
            return;
        };
        for (row, held) in state.held {
            self.abandon_trial(session, row);
            self.rows[row.position()].held -= held;
            self.meta.reclaimed += u64::try_from(held).unwrap_or(0);
        }
    }

    pub(super) fn rotate(&mut self) {
        let now = self.meta.now;
        for window in self.rows.iter_mut().flat_map(|row| &mut row.windows) {
            window.rotate(now);
        }
    }

    /// The earliest moment at which a waiter may be helped by time: an opening, a reap, the end of learning.
    pub(super) fn next_moment(&self, session: &SessionId, opening: i64) -> i64 {
        if self.models.iter().all(|model| model.queue.is_empty()) {
            return 0;
        }
        if self.is_learning() {
            return self.meta.learning_until;
        }
        let others = self.sessions.iter().filter(|(id, _)| *id != session);
        let first_expiry = others.map(|(_, state)| state.expires).min();
        match (opening, first_expiry) {
            (0, first_expiry) => first_expiry.unwrap_or(0),
            (opening, first_expiry) => first_expiry.map_or(opening, |expiry| expiry.min(opening)),
        }
    }

    /// Puts something into a session's mailbox, and into the wake-up that it is sent; nothing for a dead one.
    pub(super) fn post(&mut self, session: &SessionId, put: impl Fn(&mut Mail)) {
        if let Some(state) = self.sessions.get_mut(session) {
            put(&mut state.mail);
            put(self.posted.entry(session.clone()).or_default());
        }
    }

    /// What the last tick posted to others, to be sent as wake-ups.
    pub fn take_posted(&mut self) -> BTreeMap<SessionId, Mail> {
        std::mem::take(&mut self.posted)
    }

    /// Keeps the batch's reply, renews the session, and empties its mailbox into the reply.
    pub(super) fn conclude(
        &mut self,
        session: &SessionId,
        seq: u64,
        mut reply: TickReply,
    ) -> TickReply {
        let meta = &self.meta;
        reply.tick = meta.tick;
        reply.now = meta.now;
        reply.wall = meta.wall;
        reply.generation = meta.generation;
        reply.base = meta.base;
        reply.last = seq;
        reply.learning_until = meta.learning_until;
        reply.anomalies = meta.anomalies;
        reply.reclaimed = meta.reclaimed;
        reply.sessions = u32::try_from(self.sessions.len()).unwrap_or(u32::MAX);
        if let Some(state) = self.sessions.get_mut(session) {
            reply.mail = std::mem::take(&mut state.mail);
            state.last = seq;
            state.expires = meta.now + SESSION_TTL_MS;
            state.reply = Some(reply.clone());
            state.joined = None;
        }
        self.posted.remove(session);
        reply
    }
}

impl JoinReply {
    pub(super) fn of(status: Status, meta: &Meta) -> Self {
        Self {
            status,
            tick: meta.tick,
            now: meta.now,
            wall: meta.wall,
            generation: meta.generation,
            base: meta.base,
            learning_until: meta.learning_until,
        }
    }
}
