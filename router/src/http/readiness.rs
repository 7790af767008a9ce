//! What the ports know of this replica: they answer before it has joined the store, and while it drains.

use std::sync::{Arc, OnceLock};

use shared::state::trouble::StoreStatus;
use tokio_util::sync::CancellationToken;

use crate::pipeline::Pipeline;

pub(crate) struct Readiness {
    /// Once this replica has joined the store.
    pipeline: OnceLock<Arc<Pipeline>>,
    /// No new requests should be sent here.
    leaving: CancellationToken,
    store: StoreStatus,
}

impl Readiness {
    pub(crate) fn new(leaving: CancellationToken) -> Arc<Self> {
        Arc::new(Self {
            pipeline: OnceLock::new(),
            leaving,
            store: StoreStatus::default(),
        })
    }

    /// Lets requests in, once.
    pub(crate) fn join(&self, pipeline: Arc<Pipeline>) {
        self.pipeline.get_or_init(|| pipeline);
    }

    pub(crate) fn pipeline(&self) -> Option<&Arc<Pipeline>> {
        self.pipeline.get()
    }

    /// How this replica stands with the store, before it has joined too.
    pub(crate) fn store(&self) -> &StoreStatus {
        &self.store
    }

    /// Whether new requests should be sent here; a word about the store in any case.
    ///
    /// The store being away is told and is no reason by itself: it is away for all replicas, so taking one out of
    /// service helps nobody. Only the bounded name of the cause is told, for clients may read this.
    ///
    /// # Errors
    ///
    /// Why not, for an operator.
    pub(crate) fn check(&self) -> Result<String, String> {
        if self.leaving.is_cancelled() {
            return Err("shutting down\n".to_owned());
        }
        let away = self.store.away();
        let why = away.map_or_else(String::new, |cause| {
            format!(": the state store is away ({})", cause.name())
        });
        match self.pipeline() {
            None => Err(format!("the state store has not been joined yet{why}\n")),
            Some(pipeline) if !pipeline.session.is_ready() => Err(match away {
                Some(_) => format!("not ready{why}\n"),
                None => "the state store still learns who holds what\n".to_owned(),
            }),
            Some(_) => Ok(format!("ok{why}\n")),
        }
    }
}
