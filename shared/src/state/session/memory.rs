//! What this replica admitted lately, for a store that lost its windows.

use std::collections::BTreeMap;

use super::actor::Held;
use super::translate::Translator;
use crate::catalog::{Catalog, WindowKind};
use crate::ids::{CandidateIndex, ModelIndex, RowIndex, Ticket};
use crate::state::protocol::AssertedCharge;

/// How long single admissions are remembered: a minute's ring.
const REMEMBERED_MS: u64 = 61_000;
/// Admissions this young keep the resolution of the second's ring.
const FINE_MS: u64 = 1_200;
const FINE_BUCKET_MS: u64 = 25;
const COARSE_BUCKET_MS: u64 = 500;
const DAY_BUCKET_MS: u64 = 15 * 60 * 1000;
const DAY_MS: u64 = 98 * DAY_BUCKET_MS;

#[derive(Clone, Debug)]
pub(super) struct Admission {
    /// By this machine's boot-time clock.
    pub(super) at_ms: u64,
    /// Of the store, when it granted.
    pub(super) generation: i64,
    pub(super) tick: u64,
    pub(super) scopes: Scopes,
    pub(super) requests: u32,
    pub(super) tokens: u32,
}

/// What an admission was charged to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scopes {
    pub(super) model: ModelIndex,
    pub(super) candidate: CandidateIndex,
    pub(super) callers: Vec<RowIndex>,
}

#[derive(Debug, Default)]
struct DaySum {
    requests: u32,
    tokens: u64,
    /// Of the latest admission in it.
    generation: i64,
    tick: u64,
}

/// Keeps nothing where nothing has a window.
#[derive(Debug, Default)]
pub(super) struct Memory {
    has_windows: bool,
    has_days: bool,
    lately: BTreeMap<Ticket, Admission>,
    /// Sums of what is older, per quarter of an hour.
    days: BTreeMap<(u64, Scopes), DaySum>,
}

impl Memory {
    pub(super) fn new(catalog: &Catalog) -> Self {
        let mut memory = Self::default();
        memory.follow(catalog);
        memory
    }

    /// Remembers from now on what `catalog` has windows for.
    pub(super) fn follow(&mut self, catalog: &Catalog) {
        let is_daily = |code| WindowKind::from_code(code).is_some_and(WindowKind::is_daily);
        let mut windows = catalog.rows.iter().flat_map(|row| &row.windows);
        self.has_windows = catalog.has_windows();
        self.has_days = windows.any(|window| is_daily(window.kind));
    }

    /// Goes over to the indexes of another catalog; what has no name there is forgotten.
    pub(super) fn translate(&mut self, translator: &Translator) {
        self.lately
            .retain(|_, admission| translator.scopes(&mut admission.scopes));
        for ((bucket, mut scopes), old) in std::mem::take(&mut self.days) {
            if !translator.scopes(&mut scopes) {
                continue;
            }
            let sum = self.days.entry((bucket, scopes)).or_default();
            sum.requests += old.requests;
            sum.tokens += old.tokens;
            if old.tick >= sum.tick {
                (sum.generation, sum.tick) = (old.generation, old.tick);
            }
        }
    }

    pub(super) fn admitted(&mut self, ticket: Ticket, admission: Admission) {
        if self.has_windows {
            self.prune(admission.at_ms);
            self.lately.insert(ticket, admission);
        }
    }

    /// Corrects an admission by what really happened; one that is not remembered by itself any more, in its day's sum.
    pub(super) fn settled(&mut self, ticket: Ticket, held: &Held, tokens: u32, is_unsent: bool) {
        if let Some(admission) = self.lately.get_mut(&ticket) {
            admission.tokens = tokens;
            if is_unsent {
                self.lately.remove(&ticket);
            }
            return;
        }
        let bucket = (held.at_ms / DAY_BUCKET_MS, held.scopes.clone());
        if let Some(sum) = self.days.get_mut(&bucket) {
            let (requests, tokens) = if is_unsent { (1, 0) } else { (0, tokens) };
            sum.requests = sum.requests.saturating_sub(requests);
            sum.tokens = (sum.tokens + u64::from(tokens)).saturating_sub(u64::from(held.reserved));
        }
    }

    /// The charges that a store of `generation`, which knows the first `base` ticks of earlier ones, may have lost.
    pub(super) fn lost(&self, generation: i64, base: u64, now_ms: u64) -> Vec<AssertedCharge> {
        // Summed per bucket, and as young as the youngest of it: what drains late is safe.
        let mut sums: BTreeMap<(bool, u64, &Scopes), (u64, u32, u64)> = BTreeMap::new();
        let may_be_lost =
            |admission: &&Admission| admission.generation != generation && admission.tick > base;
        for admission in self.lately.values().filter(may_be_lost) {
            let is_fine = now_ms.saturating_sub(admission.at_ms) < FINE_MS;
            let width = if is_fine {
                FINE_BUCKET_MS
            } else {
                COARSE_BUCKET_MS
            };
            let sum = sums
                .entry((is_fine, admission.at_ms / width, &admission.scopes))
                .or_default();
            sum.0 = sum.0.max(admission.at_ms);
            sum.1 += admission.requests;
            sum.2 += u64::from(admission.tokens);
        }
        let charge = |scopes: &Scopes, at_ms: u64, requests, tokens, days_only| AssertedCharge {
            model: scopes.model,
            candidate: scopes.candidate,
            callers: scopes.callers.clone(),
            age_ms: i64::try_from(now_ms.saturating_sub(at_ms)).unwrap_or(i64::MAX),
            requests,
            tokens,
            days_only,
        };
        let lately = sums
            .into_iter()
            .map(|((_, _, scopes), (at_ms, requests, tokens))| {
                charge(scopes, at_ms, requests, tokens, false)
            });
        // A sum is told whole if its latest admission may be lost: at most a bucket is charged twice.
        let lost = |sum: &DaySum| sum.generation != generation && sum.tick > base;
        let days = self
            .days
            .iter()
            .filter(|(_, sum)| lost(sum))
            .map(|((bucket, scopes), sum)| {
                charge(
                    scopes,
                    (bucket + 1) * DAY_BUCKET_MS - 1,
                    sum.requests,
                    sum.tokens,
                    true,
                )
            });
        lately.chain(days).collect()
    }

    /// Marks everything as known to a store of `generation` that has just been told, at `tick`.
    pub(super) fn told(&mut self, generation: i64, tick: u64) {
        for admission in self.lately.values_mut() {
            (admission.generation, admission.tick) = (generation, tick);
        }
        for sum in self.days.values_mut() {
            (sum.generation, sum.tick) = (generation, tick);
        }
    }

    fn prune(&mut self, now_ms: u64) {
        while let Some(oldest) = self.lately.first_entry() {
            if now_ms.saturating_sub(oldest.get().at_ms) < REMEMBERED_MS {
                break;
            }
            let admission = oldest.remove();
            if self.has_days {
                let sum = self
                    .days
                    .entry((admission.at_ms / DAY_BUCKET_MS, admission.scopes))
                    .or_default();
                sum.requests += admission.requests;
                sum.tokens += u64::from(admission.tokens);
                if admission.tick > sum.tick || admission.generation != sum.generation {
                    (sum.generation, sum.tick) = (admission.generation, admission.tick);
                }
            }
        }
        while let Some(oldest) = self.days.first_entry() {
            if now_ms.saturating_sub(oldest.key().0 * DAY_BUCKET_MS) < DAY_MS {
                break;
            }
            oldest.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes() -> Scopes {
        Scopes {
            model: ModelIndex(0),
            candidate: CandidateIndex(0),
            callers: Vec::new(),
        }
    }

    #[test]
    fn a_settlement_after_minutes_corrects_the_sum_of_its_day() {
        let mut memory = Memory {
            has_windows: true,
            has_days: true,
            lately: BTreeMap::new(),
            days: BTreeMap::new(),
        };
        let admitted = |at_ms| Admission {
            at_ms,
            generation: 1,
            tick: 1,
            scopes: scopes(),
            requests: 1,
            tokens: 1_000,
        };
        let held = Held {
            scopes: scopes(),
            reserved: 1_000,
            granted_at: 0,
            at_ms: 0,
            is_probe: false,
        };
        for ticket in 1..=3 {
            memory.admitted(Ticket(ticket), admitted(0));
        }
        memory.admitted(Ticket(4), admitted(10 * REMEMBERED_MS));

        memory.settled(Ticket(1), &held, 40, false);
        memory.settled(Ticket(2), &held, 0, true);

        let told = memory.lost(2, 0, 10 * REMEMBERED_MS);
        let of_days: Vec<(u32, u64)> = told
            .iter()
            .filter(|charge| charge.days_only)
            .map(|charge| (charge.requests, charge.tokens))
            .collect();
        assert_eq!(of_days, [(2, 1_040)]);
    }
}
