//! A replica's side of the shared state (in progress: the signatures are the contract).

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use crate::catalog::Catalog;
use crate::ids::CandidateIndex;
use crate::lease::{Claim, Refusal, Remaining, Settlement};
use crate::state::view::View;

/// A replica's membership in the cluster; cheap to clone. All admissions of this process go through it.
#[derive(Clone, Debug)]
pub struct Session;

impl Session {
    /// Asks for a lease; waits in the cluster-wide queue until `deadline` at most.
    ///
    /// Dropping the future leaves the queue, and gives back a grant that was already on its way.
    pub async fn acquire(&self, _claim: Claim, _deadline: Instant) -> Result<Lease, Refusal> {
        unimplemented!()
    }

    /// A tick succeeded lately, and learning is over.
    pub fn is_ready(&self) -> bool {
        unimplemented!()
    }

    /// The catalog that the store and this replica agree on.
    pub fn catalog(&self) -> Arc<Catalog> {
        unimplemented!()
    }

    /// The one quota view.
    pub async fn view(&self) -> Result<View, StateError> {
        unimplemented!()
    }

    /// Leaves the cluster: queued claims are refused with `Draining`; to be called when no lease is held.
    pub async fn leave(&self) {
        unimplemented!()
    }
}

/// A granted admission. Ends by [`Lease::settle`]; dropped unsettled it is charged at its estimate.
#[derive(Debug)]
pub struct Lease;

impl Lease {
    /// Which key of which upstream was granted.
    pub fn candidate(&self) -> CandidateIndex {
        unimplemented!()
    }

    /// The key's grant number: the lock token of `exclusive`, for logs.
    pub fn number(&self) -> u64 {
        unimplemented!()
    }

    /// Whether the lease is surely still ours: to be asked right before each dispatch (the self-fence).
    pub fn is_dispatchable(&self) -> bool {
        unimplemented!()
    }

    /// Completes when the lease may have been given to somebody else (`exclusive` models abort then).
    pub fn lost(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        std::future::pending()
    }

    /// What is left of the caller's own limits.
    pub fn remaining(&self) -> &[Remaining] {
        unimplemented!()
    }

    /// Ends the lease with what really happened. Never blocks, never fails: a task tells the store.
    pub fn settle(self, _settlement: Settlement) {
        unimplemented!()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("the state store does not answer: {0}")]
    Away(String),
}
