//! Strategies: which of a model's candidates serves, over the whole cluster.
//!
//! A new strategy is one arm here and one in the twin.

use super::{Pool, Waiter};
use crate::catalog::Strategy;
use crate::ids::RowIndex;
use std::collections::BTreeSet;

/// Rows on which an earlier waiter lacks tokens: later ones in the same pass may not take what it saves up for.
pub(super) type Closed = BTreeSet<RowIndex>;

impl Pool {
    /// The position of the candidate that serves `waiter` now, or `None` if none has room.
    ///
    /// Moves the round robin; charges nothing.
    pub(super) fn pick(&mut self, model: usize, waiter: &Waiter, closed: &Closed) -> Option<usize> {
        let admissible: Vec<usize> = (0..self.catalog.models[model].candidates.len())
            .filter(|&position| self.admits(model, position, waiter, closed))
            .collect();
        match self.catalog.models[model].strategy {
            Strategy::FirstAvailable => admissible.first().copied(),
            Strategy::Balanced => self.round_robin(model, &admissible, |_| 1.0),
            Strategy::Weighted | Strategy::DynamicWeighted | Strategy::Fastest => {
                let weights = self.weights(model);
                self.round_robin(model, &admissible, |position| weights[position])
            }
            Strategy::LeastBusy => {
                let load = self.loads(model);
                let least = admissible
                    .iter()
                    .map(|&position| load[position])
                    .reduce(f64::min)?;
                #[expect(clippy::float_cmp, reason = "the same division of the same numbers")]
                let tied: Vec<usize> = admissible
                    .into_iter()
                    .filter(|&position| load[position] == least)
                    .collect();
                self.round_robin(model, &tied, |_| 1.0)
            }
        }
    }

    /// Smooth weighted round robin among `positions`: even at every moment, not only on average.
    fn round_robin(
        &mut self,
        model: usize,
        positions: &[usize],
        weight: impl Fn(usize) -> f64,
    ) -> Option<usize> {
        let current = &mut self.models[model].current;
        let mut total = 0.0;
        let mut best = *positions.first()?;
        for &position in positions {
            current[position] += weight(position);
            total += weight(position);
            if current[position] > current[best] {
                best = position;
            }
        }
        current[best] -= total;
        Some(best)
    }

    fn weights(&self, model: usize) -> Vec<f64> {
        let candidates = &self.catalog.models[model].candidates;
        candidates
            .iter()
            .map(|candidate| self.catalog.candidates[candidate.position()].weight)
            .collect()
    }

    /// In-flight ÷ (capacity × weight); ÷ weight for all, if the capacity of one is not known.
    fn loads(&self, model: usize) -> Vec<f64> {
        let keys = || {
            self.catalog.models[model]
                .candidates
                .iter()
                .map(|candidate| {
                    let candidate = &self.catalog.candidates[candidate.position()];
                    (&self.rows[candidate.key.position()], candidate.weight)
                })
        };
        let all_limited = keys().all(|(row, _)| row.slots_max > 0);
        #[expect(clippy::cast_precision_loss, reason = "slots are far below 2^53")]
        keys()
            .map(|(row, weight)| {
                let capacity = if all_limited {
                    f64::from(row.slots_max) * weight
                } else {
                    weight
                };
                (row.held + 1) as f64 / capacity
            })
            .collect()
    }

    fn admits(&self, model: usize, position: usize, waiter: &Waiter, closed: &Closed) -> bool {
        let index = self.catalog.models[model].candidates[position];
        let candidate = &self.catalog.candidates[index.position()];
        let exclusive = self.catalog.models[model].exclusive;
        (waiter.allow.is_empty() || waiter.allow.contains(&index))
            && !(exclusive && self.rows[candidate.key.position()].held > 0)
            && self.row_admits(candidate.key, waiter.tokens, closed)
            && candidate
                .scopes
                .iter()
                .all(|&row| self.row_admits(row, waiter.tokens, closed))
    }

    pub(super) fn row_admits(&self, row: RowIndex, tokens: u32, closed: &Closed) -> bool {
        let state = &self.rows[row.position()];
        (state.slots_max == 0 || state.held < i64::from(state.slots_max))
            && !closed.contains(&row)
            && state
                .windows
                .iter()
                .all(|window| window.has_room(window.cost(tokens)))
    }
}
