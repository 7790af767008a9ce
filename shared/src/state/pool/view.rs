//! The one quota view, as every team that shares the pool sees it.

use std::collections::BTreeMap;

use super::{Pool, ServerClock, waiting};
use crate::state::view::{ModelView, ScopeView, SessionView, View, WindowView};

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
                        limit_learned: None,
                    })
                    .collect(),
                health: None,
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
                .is_some_and(|row| row.kind == crate::catalog::ScopeKind::Key)
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
            retries_left: 0.0,
            scopes: scopes.collect(),
            models: models.collect(),
            sessions: sessions.collect(),
        }
    }
}
