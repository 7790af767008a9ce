//! Strategies: which of a model's candidates serves, over the whole cluster.
//!
//! A new strategy is one arm here and one in the twin.

use super::health::Health;
use super::{Pool, Waiter};
use crate::catalog::Strategy;
use crate::ids::RowIndex;
use std::collections::BTreeSet;

/// Rows on which an earlier waiter lacks tokens: later ones in the same pass may not take what it saves up for.
pub(super) type Closed = BTreeSet<RowIndex>;

/// What is left of a key's weight at least.
const SHARE_MIN: f64 = 0.01;
/// The age at which half of what a sample said is forgotten.
const FADING_MS: f64 = 60_000.0;

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
            Strategy::Weighted => {
                let weights = self.weights(model);
                self.round_robin(model, &admissible, |position| weights[position])
            }
            Strategy::DynamicWeighted => {
                let weights = self.dynamic_weights(model);
                self.round_robin(model, &admissible, |position| weights[position])
            }
            Strategy::LeastBusy => {
                let loads = self.loads(model);
                self.least(model, &admissible, &loads)
            }
            Strategy::Fastest => {
                let loads = self.latencies(model);
                self.least(model, &admissible, &loads)
            }
        }
    }

    /// Whichever of `positions` has the least load; the ties in turn.
    fn least(&mut self, model: usize, positions: &[usize], loads: &[f64]) -> Option<usize> {
        let least = positions
            .iter()
            .map(|position| loads[*position])
            .reduce(f64::min)?;
        #[expect(clippy::float_cmp, reason = "the same division of the same numbers")]
        let tied: Vec<usize> = positions
            .iter()
            .copied()
            .filter(|position| loads[*position] == least)
            .collect();
        self.round_robin(model, &tied, |_| 1.0)
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

    /// Weights that follow latency and failures: weight × least latency ÷ latency × (1 − penalty), and never less than a
    /// hundredth of the weight, so that a key which got well is found out.
    ///
    /// Latency is the first byte's for streams and the time per output token for plain answers, each compared with the
    /// least among the model's keys; the worse of the two counts, and what was never sampled counts as the least.
    fn dynamic_weights(&self, model: usize) -> Vec<f64> {
        let now = self.meta.now;
        let candidates = &self.catalog.models[model].candidates;
        let keys: Vec<_> = candidates
            .iter()
            .map(|candidate| {
                let candidate = &self.catalog.candidates[candidate.position()];
                let health = self.rows[candidate.key.position()].health.as_ref();
                (health, candidate.weight)
            })
            .collect();
        let least = |sample: fn(&Health) -> f64| {
            let samples = keys
                .iter()
                .filter_map(|(health, _)| Some(sample((*health)?)));
            samples
                .filter(|sample| *sample > 0.0)
                .fold(0.0, |least: f64, sample| {
                    if least > 0.0 {
                        least.min(sample)
                    } else {
                        sample
                    }
                })
        };
        let first_byte = least(|health| health.first_byte);
        let token_time = least(|health| health.token_time);
        keys.iter()
            .map(|&(health, weight)| {
                let Some(health) = health else {
                    return weight;
                };
                let first_byte = speed(first_byte, health.first_byte, now - health.first_byte_at);
                let token_time = speed(token_time, health.token_time, now - health.token_at);
                let share = first_byte.min(token_time) * (1.0 - health.penalty);
                weight * share.max(SHARE_MIN)
            })
            .collect()
    }

    /// Load ÷ dynamic weight.
    fn latencies(&self, model: usize) -> Vec<f64> {
        let weights = self.dynamic_weights(model);
        let keys = self.catalog.models[model].candidates.iter();
        #[expect(clippy::cast_precision_loss, reason = "slots are far below 2^53")]
        keys.zip(weights)
            .map(|(candidate, weight)| {
                let candidate = &self.catalog.candidates[candidate.position()];
                (self.rows[candidate.key.position()].held + 1) as f64 / weight
            })
            .collect()
    }

    fn admits(&self, model: usize, position: usize, waiter: &Waiter, closed: &Closed) -> bool {
        let index = self.catalog.models[model].candidates[position];
        let candidate = &self.catalog.candidates[index.position()];
        let exclusive = self.catalog.models[model].exclusive;
        (waiter.allow.is_empty() || waiter.allow.contains(&index))
            && !(exclusive && self.rows[candidate.key.position()].held > 0)
            && self.rows[candidate.key.position()].is_open(self.meta.now)
            && self.row_admits(candidate.key, waiter.tokens, closed)
            && candidate
                .scopes
                .iter()
                .all(|&row| self.row_admits(row, waiter.tokens, closed))
    }

    pub(super) fn row_admits(&self, row: RowIndex, tokens: u32, closed: &Closed) -> bool {
        let state = &self.rows[row.position()];
        state.has_slot()
            && !closed.contains(&row)
            && state
                .windows
                .iter()
                .all(|window| window.has_room(window.cost(tokens)))
    }
}

/// How a latency compares with the least one: 1 is as good. An old sample fades towards it, so that nobody is shunned for
/// what it was long ago.
fn speed(least: f64, latency: f64, age: i64) -> f64 {
    if latency <= 0.0 {
        return 1.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "milliseconds are below 2^53")]
    let age = age as f64;
    let faded = latency + (least - latency) * (age / (age + FADING_MS));
    least / faded
}
