//! Installing a catalog: what has a name keeps its counters.

use super::window::WindowState;
use super::{ModelState, Pool, RowState};
use crate::catalog::{Catalog, Row, Window};

impl Pool {
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Takes over the limits, weights and models of `catalog`, whose indexes succeed those of the present one.
    ///
    /// Waiters of the old catalog are forgotten: it is for a pool in which no session lives. Where some do, a catalog
    /// is published.
    pub(super) fn install(&mut self, catalog: &Catalog) {
        for (index, row) in catalog.rows.iter().enumerate() {
            let is_other_key = self
                .catalog
                .rows
                .get(index)
                .is_some_and(|before| before.credential != row.credential);
            self.change_row(index, row, is_other_key, 0);
        }
        self.install_models(catalog);
        for model in &mut self.models {
            model.queue.clear();
        }
        self.waiters.clear();
    }

    /// Gives a row other limits. Windows that it keeps keep their charges; new ones are empty, and there `since`.
    pub(super) fn change_row(
        &mut self,
        index: usize,
        declared: &Row,
        is_other_key: bool,
        since: i64,
    ) {
        if index >= self.rows.len() {
            self.rows.resize_with(index + 1, RowState::default);
        }
        let now = self.meta.now;
        let row = &mut self.rows[index];
        let before = std::mem::take(&mut row.windows);
        let window = |window: &Window| {
            let kept = before
                .iter()
                .find(|before| before.kind.code() == window.kind && before.offset == window.offset);
            let mut state = kept
                .cloned()
                .or_else(|| WindowState::new(window, now, since))?;
            state.limit = i64::try_from(window.limit).unwrap_or(i64::MAX);
            Some(state)
        };
        row.windows = declared.windows.iter().filter_map(window).collect();
        row.slots_max = declared.slots_max;
        if is_other_key {
            row.health = Some(row.health.take().unwrap_or_default().renewed(now));
        }
    }

    /// Takes over models and candidates, and with them the catalog itself; queues and round robins stay.
    pub(super) fn install_models(&mut self, catalog: &Catalog) {
        let mut old_models = std::mem::take(&mut self.models).into_iter();
        self.models = catalog
            .models
            .iter()
            .enumerate()
            .map(|(index, model)| {
                let old = old_models.next().unwrap_or_default();
                let before = self.catalog.models.get(index);
                let current = model.candidates.iter().map(|candidate| {
                    let position = before?
                        .candidates
                        .iter()
                        .position(|kept| kept == candidate)?;
                    old.current.get(position).copied()
                });
                ModelState {
                    current: current.map(Option::unwrap_or_default).collect(),
                    queue: old.queue,
                }
            })
            .collect();
        self.rows.truncate(catalog.rows.len());
        self.catalog = catalog.clone();
    }
}
