//! What the ports know of this replica: they answer before it has joined the store, and while it drains.

use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

use crate::pipeline::Pipeline;

pub(crate) struct Readiness {
    /// Once this replica has joined the store.
    pipeline: OnceLock<Arc<Pipeline>>,
    draining: CancellationToken,
}

impl Readiness {
    pub(crate) fn new(draining: CancellationToken) -> Arc<Self> {
        Arc::new(Self {
            pipeline: OnceLock::new(),
            draining,
        })
    }

    /// Lets requests in, once.
    pub(crate) fn join(&self, pipeline: Arc<Pipeline>) {
        self.pipeline.get_or_init(|| pipeline);
    }

    pub(crate) fn pipeline(&self) -> Option<&Arc<Pipeline>> {
        self.pipeline.get()
    }

    /// Whether new requests should be sent here.
    ///
    /// # Errors
    ///
    /// Why not, for an operator.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if self.draining.is_cancelled() {
            return Err("shutting down\n");
        }
        match self.pipeline() {
            None => Err("the state store has not been joined yet\n"),
            Some(pipeline) if !pipeline.session.is_ready() => {
                Err("the state store is away, or still learns who holds what\n")
            }
            Some(_) => Ok(()),
        }
    }
}
