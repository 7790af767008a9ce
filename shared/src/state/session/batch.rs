//! Group commit: what arrives while a tick is on its way makes up the next one.

use super::translate::Translator;
use crate::catalog::Catalog;
use crate::ids::Ticket;
use crate::state::protocol::{
    Acquire, BATCH_MAX, BATCH_MAX_LARGE, CANDIDATES_LARGE, Cancel, Operations, Release,
};

/// Operations that wait for the next tick.
#[derive(Debug, Default)]
pub(super) struct Pending(Operations);

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn release(&mut self, release: Release) {
        self.0.releases.push(release);
    }

    pub(super) fn cancel(&mut self, cancel: Cancel) {
        self.0.cancels.push(cancel);
    }

    pub(super) fn acquire(&mut self, acquire: Acquire) {
        self.0.acquires.push(acquire);
    }

    /// Takes back a claim that has not been sent; `false` if it has.
    pub(super) fn withdraw(&mut self, ticket: Ticket) -> bool {
        let before = self.0.acquires.len();
        self.0.acquires.retain(|acquire| acquire.ticket != ticket);
        self.0.acquires.len() < before
    }

    /// Drops what only made sense to a session that is gone; claims stay.
    pub(super) fn forget_session(&mut self) -> Vec<Release> {
        self.0.cancels.clear();
        std::mem::take(&mut self.0.releases)
    }

    /// Goes over to the indexes of another catalog; what has no name there is dropped.
    pub(super) fn translate(&mut self, translator: &Translator) {
        let Operations {
            releases,
            cancels,
            acquires,
        } = &mut self.0;
        releases.retain_mut(|release| translator.release(release));
        cancels.retain_mut(|cancel| translator.model(&mut cancel.model));
        acquires.retain_mut(|acquire| translator.acquire(acquire));
    }

    /// The next batch: what frees comes before what takes.
    pub(super) fn take(&mut self, catalog: &Catalog) -> Operations {
        let max = if catalog.candidates_max() > CANDIDATES_LARGE {
            BATCH_MAX_LARGE
        } else {
            BATCH_MAX
        };
        if self.0.len() <= max {
            return std::mem::take(&mut self.0);
        }
        let mut left = max;
        Operations {
            releases: take_up_to(&mut self.0.releases, &mut left),
            cancels: take_up_to(&mut self.0.cancels, &mut left),
            acquires: take_up_to(&mut self.0.acquires, &mut left),
        }
    }
}

fn take_up_to<T>(from: &mut Vec<T>, left: &mut usize) -> Vec<T> {
    let n = from.len().min(*left);
    *left -= n;
    let rest = from.split_off(n);
    std::mem::replace(from, rest)
}
