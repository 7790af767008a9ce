//! A lease as a value: it ends when the value ends.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;

use super::Common;
use super::actor::Command;
use crate::catalog::Catalog;
use crate::ids::{CandidateIndex, Ticket};
use crate::lease::{Remaining, Settlement};
use crate::state::protocol::Grant;

/// A granted admission. Three nets hold it: [`Lease::settle`]; the drop, which tells the actor; and, should the whole
/// process die, the session's expiry in the store.
///
/// Dropped unsettled it is charged at its estimate, or refunded if it was never dispatched.
pub struct Lease {
    ticket: Ticket,
    candidate: CandidateIndex,
    /// In whose indexes it was granted.
    catalog: Arc<Catalog>,
    number: u64,
    remaining: Vec<Remaining>,
    was_dispatched: AtomicBool,
    /// How often the fence had gone up before.
    fences_at_grant: u64,
    common: Arc<Common>,
    // `None` once settled.
    commands: Option<mpsc::UnboundedSender<Command>>,
}

impl Lease {
    pub(super) fn new(
        grant: Grant,
        catalog: Arc<Catalog>,
        common: Arc<Common>,
        commands: mpsc::UnboundedSender<Command>,
    ) -> Self {
        let Grant {
            ticket,
            candidate,
            number,
            granted_at: _,
            tick: _,
            remaining,
        } = grant;
        let was_dispatched = AtomicBool::new(false);
        let fences_at_grant = *common.fences.borrow();
        Self {
            ticket,
            candidate,
            catalog,
            number,
            remaining,
            was_dispatched,
            fences_at_grant,
            common,
            commands: Some(commands),
        }
    }

    /// Which key of which upstream was granted.
    pub fn candidate(&self) -> CandidateIndex {
        self.candidate
    }

    /// The catalog that [`Self::candidate`] and [`Self::remaining`] speak of: it may not be that of the claim.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// The key's grant number: the lock token of `exclusive`, for logs.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether the lease is surely still ours: to be asked right before each dispatch (the self-fence).
    pub fn is_dispatchable(&self) -> bool {
        let is_ours = self.common.is_within_fence();
        if is_ours {
            self.was_dispatched.store(true, Ordering::Relaxed);
        }
        is_ours
    }

    /// Completes when the lease may have been given to somebody else (`exclusive` models abort then).
    pub fn lost(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let mut fences = self.common.fences.subscribe();
        let at_grant = self.fences_at_grant;
        async move {
            if fences.wait_for(|fences| *fences != at_grant).await.is_err() {
                // The session has left in good order: nothing of it can be lost any more.
                std::future::pending::<()>().await;
            }
        }
    }

    /// What is left of the caller's own limits.
    pub fn remaining(&self) -> &[Remaining] {
        &self.remaining
    }

    /// Ends the lease with what really happened. Never blocks, never fails: the actor tells the store.
    pub fn settle(mut self, settlement: Settlement) {
        self.end(Some(settlement));
    }

    fn end(&mut self, settlement: Option<Settlement>) {
        if let Some(commands) = self.commands.take() {
            let was_dispatched = self.was_dispatched.load(Ordering::Relaxed);
            // Only when the session has left: then its leases are left to their expiry.
            let _ = commands.send(Command::End {
                ticket: self.ticket,
                settlement,
                was_dispatched,
            });
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.end(None);
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease")
            .field("candidate", &self.candidate)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}
