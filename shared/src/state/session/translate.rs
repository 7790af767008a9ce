//! From one catalog's indexes to another's, by name.

use std::collections::HashMap;

use super::memory::Scopes;
use crate::catalog::{Catalog, ScopeKind};
use crate::ids::{CandidateIndex, ModelIndex, RowIndex};
use crate::state::protocol::{Acquire, Assert, AssertedCharge, Release};

/// Each method changes what it is given to the new indexes, and is `false` where that is not known there.
pub(super) struct Translator {
    rows: Vec<Option<RowIndex>>,
    candidates: Vec<Option<CandidateIndex>>,
    models: Vec<Option<ModelIndex>>,
}

impl Translator {
    pub(super) fn new(from: &Catalog, to: &Catalog) -> Self {
        let known_rows: HashMap<(ScopeKind, &str), RowIndex> = (0..)
            .map(RowIndex)
            .zip(&to.rows)
            .map(|(index, row)| ((row.kind, row.name.as_str()), index))
            .collect();
        let rows: Vec<Option<RowIndex>> = from
            .rows
            .iter()
            .map(|row| known_rows.get(&(row.kind, row.name.as_str())).copied())
            .collect();

        // Of one name, what models still have goes before what they had.
        let retired = to.models.iter().flat_map(|model| &model.retired);
        let living = to.models.iter().flat_map(|model| &model.candidates);
        let known_candidates: HashMap<(&str, RowIndex), CandidateIndex> = retired
            .chain(living)
            .filter_map(|index| {
                let candidate = to.candidates.get(index.position())?;
                Some(((candidate.name.as_str(), candidate.key), *index))
            })
            .collect();
        let candidates = from.candidates.iter().map(|candidate| {
            let key = (*rows.get(candidate.key.position())?)?;
            let known = known_candidates.get(&(candidate.name.as_str(), key));
            known.copied()
        });

        Self {
            candidates: candidates.collect(),
            models: from
                .models
                .iter()
                .map(|model| to.model_index(model.name.as_str()))
                .collect(),
            rows,
        }
    }

    pub(super) fn scopes(&self, scopes: &mut Scopes) -> bool {
        self.lease(
            &mut scopes.model,
            &mut scopes.candidate,
            &mut scopes.callers,
        )
    }

    pub(super) fn release(&self, release: &mut Release) -> bool {
        self.lease(
            &mut release.model,
            &mut release.candidate,
            &mut release.callers,
        )
    }

    pub(super) fn charge(&self, charge: &mut AssertedCharge) -> bool {
        self.lease(
            &mut charge.model,
            &mut charge.candidate,
            &mut charge.callers,
        )
    }

    pub(super) fn acquire(&self, acquire: &mut Acquire) -> bool {
        let was_choosy = !acquire.allow.is_empty();
        let allow = acquire
            .allow
            .iter()
            .filter_map(|index| self.candidate(*index));
        acquire.allow = allow.collect();
        let n_callers = acquire.callers.len();
        self.callers(&mut acquire.callers);
        // An empty list would allow all, and a caller without its rows would have no limits.
        let is_choosy = !acquire.allow.is_empty();
        let is_counted = acquire.callers.len() == n_callers;
        self.model(&mut acquire.model) && is_choosy == was_choosy && is_counted
    }

    pub(super) fn model(&self, model: &mut ModelIndex) -> bool {
        let Some(Some(known)) = self.models.get(model.position()) else {
            return false;
        };
        *model = *known;
        true
    }

    pub(super) fn assert(&self, assert: &Assert) -> Assert {
        let mut assert = assert.clone();
        assert.leases.retain_mut(|lease| {
            self.lease(&mut lease.model, &mut lease.candidate, &mut lease.callers)
        });
        assert.charges.retain_mut(|charge| self.charge(charge));
        assert
            .waiters
            .retain_mut(|waiter| self.acquire(&mut waiter.acquire));
        assert
    }

    fn lease(
        &self,
        model: &mut ModelIndex,
        candidate: &mut CandidateIndex,
        callers: &mut Vec<RowIndex>,
    ) -> bool {
        let Some(known) = self.candidate(*candidate) else {
            return false;
        };
        *candidate = known;
        self.callers(callers);
        self.model(model)
    }

    fn candidate(&self, candidate: CandidateIndex) -> Option<CandidateIndex> {
        *self.candidates.get(candidate.position())?
    }

    /// A caller that has no limits there has no row there.
    fn callers(&self, callers: &mut Vec<RowIndex>) {
        let known = callers
            .iter()
            .filter_map(|row| *self.rows.get(row.position())?);
        *callers = known.collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Candidate, Model, Row, Strategy};
    use crate::ids::Ticket;
    use crate::state::protocol::PurposeCode;

    /// One model over one provider's keys, each with a row.
    fn catalog(keys: &[&str]) -> Catalog {
        let row = |name: &&str| Row {
            kind: ScopeKind::Key,
            name: format!("p/{name}"),
            slots_max: 1,
            windows: Vec::new(),
            credential: String::new(),
            is_retired: false,
        };
        let candidate = |(index, name): (u32, &&str)| Candidate {
            name: format!("m/p/m/{name}"),
            key: RowIndex(index),
            scopes: Vec::new(),
            weight: 1.0,
        };
        Catalog {
            rows: keys.iter().map(row).collect(),
            candidates: (0..).zip(keys).map(candidate).collect(),
            models: vec![Model {
                name: "m".into(),
                strategy: Strategy::Weighted,
                exclusive: false,
                candidates: (0..)
                    .zip(keys)
                    .map(|(index, _)| CandidateIndex(index))
                    .collect(),
                retired: Vec::new(),
            }],
            ..Catalog::default()
        }
    }

    #[test]
    fn who_waits_is_let_go_where_its_limits_are_unknown() {
        let translator = Translator::new(&catalog(&["a", "b"]), &catalog(&["b"]));
        let is_kept = |callers| {
            let mut acquire = Acquire {
                ticket: Ticket(1),
                model: ModelIndex(0),
                priority: 5,
                tokens: 1,
                callers,
                allow: Vec::new(),
                no_queue: false,
                purpose: PurposeCode::REQUEST,
            };
            translator.acquire(&mut acquire)
        };

        assert!(is_kept(vec![RowIndex(1)]));
        assert!(!is_kept(vec![RowIndex(1), RowIndex(0)]));
    }

    #[test]
    fn what_has_a_name_in_both_is_found_by_it() {
        let translator = Translator::new(&catalog(&["a", "b"]), &catalog(&["c", "b"]));
        let scopes = |candidate| Scopes {
            model: ModelIndex(0),
            candidate: CandidateIndex(candidate),
            callers: vec![RowIndex(1), RowIndex(0)],
        };
        let (mut gone, mut kept) = (scopes(0), scopes(1));

        assert!(!translator.scopes(&mut gone));
        assert!(translator.scopes(&mut kept));
        assert_eq!(kept.candidate, CandidateIndex(1));
        assert_eq!(kept.callers, [RowIndex(1)]);
    }
}
