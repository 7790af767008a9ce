//! Publishing: another catalog under live sessions. Nothing is lost, and nothing is given twice.
//!
//! Rows change first, at most [`CHANGES_MAX`] in one call; the last call installs models and candidates, and with it
//! the version moves. Limits of rows are in force as soon as their call has run, so a publish that is broken off leaves
//! rows that differ from the catalog: the next one puts them back before it begins.

use super::{Pool, RowState, ServerClock, waiting};
use crate::catalog::{Catalog, Row, ScopeKind};
use crate::ids::{Fence, RowIndex, SessionId};
use crate::state::protocol::{JoinReply, PublishStep, RowChange, Status};

/// The most rows that one call changes, so that ticks do not wait for it.
pub const CHANGES_MAX: usize = 128;

impl Pool {
    /// The calls that put `catalog` in force, each with `changes_max` rows at most; none if it does not succeed the
    /// present one.
    pub fn publish_steps(
        &self,
        fence: Fence,
        catalog: &Catalog,
        changes_max: usize,
    ) -> Vec<PublishStep> {
        let stored = &self.catalog;
        let is_successor =
            catalog.version == stored.version + 1 && catalog.succeeds(stored) || catalog == stored;
        if !is_successor {
            return Vec::new();
        }
        let step = |rows: &[RowChange]| PublishStep {
            fence,
            generation: self.meta.generation,
            base: stored.version,
            buckets: catalog.buckets,
            rows: rows.to_vec(),
            catalog: None,
        };
        let mut steps: Vec<PublishStep> = self.restored().chunks(changes_max).map(step).collect();
        let changes = changes(stored, catalog);
        steps.extend(changes.chunks(changes_max).map(step));
        if changes.is_empty() {
            steps.push(step(&[]));
        }
        if let Some(last) = steps.last_mut() {
            last.catalog = Some(catalog.clone());
        }
        steps
    }

    /// Executes one call of a publish; `leader` is the fence of who leads now.
    ///
    /// `Stale` if the catalog in force, or the start of the server, is not the one that the call was made for.
    pub fn publish(&mut self, clock: &ServerClock, leader: Fence, step: &PublishStep) -> JoinReply {
        let Some(meta) = self.advanced(clock) else {
            return JoinReply {
                status: Status::NoEpoch,
                ..JoinReply::default()
            };
        };
        let is_fenced = step.fence.is_older_than(leader);
        // The same call again: it has run, and its reply was lost.
        let is_again = step.catalog.as_ref() == Some(&self.catalog);
        let is_stale = (meta.generation, self.catalog.version) != (step.generation, step.base);
        if is_fenced || is_again || is_stale {
            self.keep_restart(&meta);
            let status = match (is_fenced, is_again) {
                (true, _) => Status::Fenced,
                (false, true) => Status::Done,
                (false, false) => Status::Stale,
            };
            return JoinReply::of(status, &meta);
        }
        self.meta = meta;
        self.meta.tick += 1;
        self.rotate();
        for change in &step.rows {
            let since = self.meta.now;
            self.change_row(
                change.index.position(),
                &change.row,
                change.is_other_key,
                since,
            );
        }
        if let Some(catalog) = &step.catalog {
            let before = std::mem::take(&mut self.catalog);
            let lost_candidates: Vec<usize> = (0..before.models.len())
                .filter(|&model| lost_any(&before, catalog, model))
                .collect();
            self.catalog = before;
            self.install_models(catalog);
            for model in lost_candidates {
                self.reject_hopeless(model);
            }
            // Capacity may have appeared.
            let nobody = SessionId::from("");
            self.admit(&nobody, &[]);
        }
        JoinReply::of(Status::Done, &self.meta)
    }

    /// The changes that undo what a publish that was broken off has left.
    fn restored(&self) -> Vec<RowChange> {
        let differs = |(index, row): &(usize, &RowState)| match self.catalog.rows.get(*index) {
            Some(declared) => !row.has_limits_of(declared),
            None => true,
        };
        let changes = self.rows.iter().enumerate().filter(differs);
        let changes = changes.filter_map(|(index, _)| {
            let declared = self.catalog.rows.get(index).cloned();
            Some(RowChange {
                index: RowIndex(u32::try_from(index).ok()?),
                row: declared.unwrap_or_else(unlimited),
                is_other_key: false,
            })
        });
        changes.collect()
    }

    /// Sends those away who wait for what is gone.
    fn reject_hopeless(&mut self, model: usize) {
        for entry in self.models[model].queue.clone() {
            let reason = self
                .waiters
                .get(&entry.1)
                .and_then(|waiter| self.never_fits(model, waiter));
            let (Some(code), Some((owner, ticket))) = (reason, waiting::parse_member(&entry.1))
            else {
                continue;
            };
            self.forget(model, &entry);
            self.post(&owner, |mail| {
                mail.rejected.push(waiting::rejected(ticket, code));
            });
        }
    }
}

impl RowState {
    fn has_limits_of(&self, declared: &Row) -> bool {
        let windows = self
            .windows
            .iter()
            .map(|window| (window.kind.code(), window.limit, window.offset));
        let declared_windows = declared.windows.iter().map(|window| {
            let limit = i64::try_from(window.limit).unwrap_or(i64::MAX);
            (window.kind, limit, window.offset)
        });
        self.slots_max == declared.slots_max && windows.eq(declared_windows)
    }
}

/// The rows whose limits or credentials `next` changes, and those that it adds.
fn changes(stored: &Catalog, next: &Catalog) -> Vec<RowChange> {
    let changes = next.rows.iter().enumerate().filter_map(|(index, row)| {
        let before = stored.rows.get(index);
        let is_other_key = before.is_some_and(|before| before.credential != row.credential);
        let is_same = before.is_some_and(|before| {
            (before.slots_max, &before.windows) == (row.slots_max, &row.windows)
        });
        if is_same && !is_other_key {
            return None;
        }
        Some(RowChange {
            index: RowIndex(u32::try_from(index).ok()?),
            row: row.clone(),
            is_other_key,
        })
    });
    changes.collect()
}

fn lost_any(before: &Catalog, next: &Catalog, model: usize) -> bool {
    let kept = next
        .models
        .get(model)
        .map(|model| model.candidates.as_slice())
        .unwrap_or_default();
    before.models[model]
        .candidates
        .iter()
        .any(|candidate| !kept.contains(candidate))
}

/// What stands where a broken-off publish added a row: nobody can have taken anything of it.
fn unlimited() -> Row {
    Row {
        kind: ScopeKind::Key,
        name: String::new(),
        slots_max: 0,
        windows: Vec::new(),
        credential: String::new(),
        is_retired: true,
    }
}
