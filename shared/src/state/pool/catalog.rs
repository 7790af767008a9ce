//! Installing a catalog: what has a name keeps its counters.

use super::window::WindowState;
use super::{ModelState, Pool, RowState};
use crate::catalog::{Catalog, Window};

impl Pool {
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Takes over the limits, weights and models of `catalog`, whose indexes succeed those of the present one.
    ///
    /// Waiters of the old catalog are forgotten: it changes only while no session lives.
    pub(super) fn install(&mut self, catalog: &Catalog) {
        let now = self.meta.now;
        let mut old_rows = std::mem::take(&mut self.rows).into_iter();
        self.rows = catalog
            .rows
            .iter()
            .map(|row| {
                let old = old_rows.next().unwrap_or_default();
                let window = |window: &Window| {
                    let kept = old
                        .windows
                        .iter()
                        .find(|old| old.kind.code() == window.kind && old.offset == window.offset);
                    let mut state = kept.cloned().or_else(|| WindowState::new(window, now))?;
                    state.limit = i64::try_from(window.limit).unwrap_or(i64::MAX);
                    Some(state)
                };
                RowState {
                    slots_max: row.slots_max,
                    windows: row.windows.iter().filter_map(window).collect(),
                    ..old
                }
            })
            .collect();

        let old_models = std::mem::take(&mut self.models);
        self.models = catalog
            .models
            .iter()
            .enumerate()
            .map(|(index, model)| {
                let old = old_models.get(index).zip(self.catalog.models.get(index));
                let current = model.candidates.iter().map(|candidate| {
                    let (state, before) = old?;
                    let position = before
                        .candidates
                        .iter()
                        .position(|kept| kept == candidate)?;
                    state.current.get(position).copied()
                });
                ModelState {
                    current: current.map(Option::unwrap_or_default).collect(),
                    ..ModelState::default()
                }
            })
            .collect();
        self.waiters.clear();
        self.catalog = catalog.clone();
    }
}
