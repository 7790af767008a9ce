//! Grants and releases: what a lease charges, and what its end gives back.

use super::{Pool, Waiter};
use crate::catalog::{LimitKind, WindowKind};
use crate::ids::{CandidateIndex, ModelIndex, RowIndex, SessionId, Ticket};
use crate::lease::Remaining;
use crate::state::protocol::{Grant, PurposeCode, Release};

impl Pool {
    /// The rows of a lease: the key, the limited scopes above it, the caller's own. Empty for an unknown candidate.
    pub(super) fn rows_of(&self, candidate: CandidateIndex, callers: &[RowIndex]) -> Vec<RowIndex> {
        let Some(candidate) = self.catalog.candidates.get(candidate.position()) else {
            return Vec::new();
        };
        [candidate.key]
            .iter()
            .chain(&candidate.scopes)
            .chain(callers)
            .copied()
            .collect()
    }

    /// The same, for what a session says it holds: empty unless the model has the candidate, or had it.
    pub(super) fn lease_rows(
        &self,
        model: ModelIndex,
        candidate: CandidateIndex,
        callers: &[RowIndex],
    ) -> Vec<RowIndex> {
        let is_known = self
            .catalog
            .models
            .get(model.position())
            .is_some_and(|model| {
                model.candidates.contains(&candidate) || model.retired.contains(&candidate)
            });
        if is_known {
            self.rows_of(candidate, callers)
        } else {
            Vec::new()
        }
    }

    /// Charges every row of the lease; the caller has checked that all of them admit it.
    pub(super) fn grant(
        &mut self,
        model: usize,
        position: usize,
        session: &SessionId,
        (ticket, purpose): (Ticket, PurposeCode),
        waiter: &Waiter,
    ) -> Grant {
        let index = self.catalog.models[model].candidates[position];
        let held = self
            .sessions
            .get_mut(session)
            .map(|session| &mut session.held);
        let mut no_session = std::collections::BTreeMap::new();
        let held = held.unwrap_or(&mut no_session);
        let candidate = &self.catalog.candidates[index.position()];
        for row in [candidate.key]
            .iter()
            .chain(&candidate.scopes)
            .chain(&waiter.callers)
        {
            let state = &mut self.rows[row.position()];
            state.held += 1;
            state.grants += 1;
            for window in &mut state.windows {
                if purpose != PurposeCode::LIGHT_PROBE || window.kind == WindowKind::Qps {
                    window.charge(window.cost(waiter.tokens));
                }
            }
            *held.entry(*row).or_insert(0) += 1;
        }
        let key = candidate.key;
        self.begin_trial(session, key);
        match purpose {
            PurposeCode::REQUEST => self.earn_retry(),
            PurposeCode::RETRY => self.spend_retry(),
            _ => {}
        }
        Grant {
            ticket,
            candidate: index,
            number: self.rows[key.position()].grants,
            granted_at: self.meta.now,
            tick: self.meta.tick,
            remaining: self.remaining(&waiter.callers),
        }
    }

    /// Ends a lease. A release of what the session does not hold is counted and has no effect at all.
    pub(super) fn settle(&mut self, session: &SessionId, release: &Release) {
        let rows = self.lease_rows(release.model, release.candidate, &release.callers);
        let Some(state) = self.sessions.get_mut(session) else {
            return;
        };
        if rows.is_empty() || rows.iter().any(|row| !state.held.contains_key(row)) {
            self.meta.anomalies += 1;
            return;
        }
        for row in &rows {
            if let Some(held) = state.held.get_mut(row) {
                *held -= 1;
                if *held == 0 {
                    state.held.remove(row);
                }
            }
        }
        let is_unsent = release.outcome.refunds();
        for &row in &rows {
            let state = &mut self.rows[row.position()];
            state.held -= 1;
            for window in &mut state.windows {
                let by = match (window.kind.counts_tokens(), is_unsent) {
                    (true, true) => -i64::from(release.reserved),
                    (true, false) => i64::from(release.tokens) - i64::from(release.reserved),
                    (false, true) => -1,
                    (false, false) => 0,
                };
                window.correct(release.granted_at, by);
            }
        }
        self.observe(session, rows[0], release);
    }

    fn remaining(&self, callers: &[RowIndex]) -> Vec<Remaining> {
        let mut remaining = Vec::new();
        for &row in callers {
            let state = &self.rows[row.position()];
            let mut push = |kind, left: i64| {
                remaining.push(Remaining {
                    row,
                    kind,
                    remaining: u64::try_from(left).unwrap_or(0),
                });
            };
            if state.slots_max > 0 {
                push(
                    LimitKind::Concurrency,
                    i64::from(state.slots_max) - state.held,
                );
            }
            for window in &state.windows {
                push(LimitKind::Window(window.kind), window.limit - window.total);
            }
        }
        remaining
    }
}
