//! The one quota view, as every team that shares the pool sees it.

use std::collections::BTreeMap;

use super::health::{Admin, State};
use super::{Pool, RowState, ServerClock, waiting};
use crate::catalog::ScopeKind;
use crate::state::view::{
    AdminState, HealthView, KeyState, ModelView, ScopeView, SessionView, View, WindowView,
};

impl Pool {
    /// A snapshot at `clock`; changes nothing.
    pub fn view(&self, clock: &ServerClock) -> View {
        let mut pool = self.clone();
        pool.meta = self.advanced(clock).unwrap_or_default();
        pool.rotate();
        pool.view_now()
    }

    fn view_now(&self) -> View {
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        let scopes = self
            .catalog
            .rows
            .iter()
            .zip(&self.rows)
            .filter(|(declared, row)| !declared.is_retired || row.held > 0)
            .map(|(declared, row)| ScopeView {
                kind: declared.kind,
                name: declared.name.clone(),
                held: count(row.held),
                slots_max: (row.slots_max > 0).then_some(u64::from(row.slots_max)),
                grants: row.grants,
                windows: row
                    .windows
                    .iter()
                    .map(|window| WindowView {
                        kind: window.kind.name().into(),
                        used: count(window.total),
                        limit: count(window.limit),
                        limit_learned: (window.learned > 0).then(|| count(window.learned)),
                    })
                    .collect(),
                health: (declared.kind == ScopeKind::Key).then(|| self.health_view(row)),
            });
        let models = self
            .catalog
            .models
            .iter()
            .zip(&self.models)
            .filter(|(declared, model)| !declared.candidates.is_empty() || !model.queue.is_empty())
            .map(|(declared, model)| {
                let mut by_priority: BTreeMap<u8, u64> = BTreeMap::new();
                for (score, _) in &model.queue {
                    *by_priority.entry(waiting::priority_of(*score)).or_insert(0) += 1;
                }
                ModelView {
                    name: declared.name.to_string(),
                    strategy: declared.strategy.name().into(),
                    queued: model.queue.len() as u64,
                    queued_by_priority: by_priority.into_iter().rev().collect(),
                }
            });
        // A lease touches many rows, but exactly one key.
        let is_key = |row: &crate::ids::RowIndex| {
            self.catalog
                .rows
                .get(row.position())
                .is_some_and(|row| row.kind == ScopeKind::Key)
        };
        let sessions = self.sessions.iter().map(|(session, state)| SessionView {
            replica: state.replica.to_string(),
            session: session.to_string(),
            held: state
                .held
                .iter()
                .filter(|(row, _)| is_key(row))
                .map(|(_, held)| count(*held))
                .sum(),
            expires_in_ms: state.expires - self.meta.now,
        });
        View {
            now_ms: self.meta.now,
            tick: self.meta.tick,
            epoch: self.meta.epoch,
            learning: self.is_learning(),
            catalog_version: self.catalog.version,
            anomalies: self.meta.anomalies,
            retries_left: self.retries_left(),
            scopes: scopes.collect(),
            models: models.collect(),
            sessions: sessions.collect(),
        }
    }

    fn health_view(&self, row: &RowState) -> HealthView {
        let Some(health) = &row.health else {
            return HealthView::default();
        };
        let now = self.meta.now;
        let average = |micros: f64| (micros > 0.0).then_some(micros / 1000.0);
        let opens_in = !health.is_hopeless() && health.open_at > now;
        HealthView {
            state: match health.state {
                State::Ok if health.open_at > now => KeyState::Throttled,
                State::Ok => KeyState::Ok,
                State::Ejected => KeyState::Ejected,
                State::Trial => KeyState::Trial,
                State::AuthFailed => KeyState::AuthFailed,
                State::Exhausted => KeyState::Exhausted,
            },
            admin: match health.admin {
                Admin::Enabled => AdminState::Enabled,
                Admin::Drained => AdminState::Drained,
                Admin::Disabled => AdminState::Disabled,
            },
            version: health.version,
            opens_in_ms: opens_in.then_some(health.open_at - now),
            failures: health.failures,
            ejections: health.ejections,
            penalty: health.penalty,
            first_byte_ms: average(health.first_byte),
            token_ms: average(health.token_time),
            served_ms_ago: (health.served_at > 0).then_some(now - health.served_at),
            slots_learned: (health.slots_learned > 0.0).then_some(health.slots_learned),
        }
    }
}
