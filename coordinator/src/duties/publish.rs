//! Puts the leader's file in force, whenever it declares something else than what is.
//!
//! Only the leader's file counts. While coordinators have different files, as in a rollout, what is in force changes
//! when the leader's file does, or when another one leads; never back and forth in between.

use std::sync::Arc;
use std::time::Duration;

use shared::catalog::Catalog;
use shared::config::Config;
use shared::ids::Fence;
use shared::state::SharedState;
use shared::state::protocol::Status;
use tokio::sync::watch;

use super::{Duty, DutyError, Run, fence};
use crate::leadership::Term;
use crate::metrics;

const PERIOD: Duration = Duration::from_millis(500);
/// Other catalogs that may come in force while ours is being published, before the next period tries again.
const ATTEMPTS: usize = 5;

pub(crate) struct Publish {
    state: Arc<dyn SharedState>,
    config: watch::Receiver<Arc<Config>>,
    /// The hash of what the configuration declares.
    declared: Option<String>,
    /// The term in which the catalog in force was last seen to be whole.
    whole_in: Option<Fence>,
}

impl Publish {
    pub(crate) fn new(state: Arc<dyn SharedState>, config: watch::Receiver<Arc<Config>>) -> Self {
        Self {
            state,
            config,
            declared: None,
            whole_in: None,
        }
    }

    async fn publish(&mut self, term: &Term) -> Result<(), DutyError> {
        let has_changed = self.config.has_changed().unwrap_or_default();
        let config = Arc::clone(&self.config.borrow_and_update());
        if has_changed {
            self.declared = None;
        }
        let declared = self
            .declared
            .get_or_insert_with(|| Catalog::declare(&config).hash)
            .clone();
        let fence = fence(term)?;
        for _ in 0..ATTEMPTS {
            let in_force = self.state.catalog().await?;
            let is_ours = in_force.hash == declared;
            // An empty store gets its catalog by whoever joins first.
            if in_force.version == 0 || (is_ours && self.whole_in == Some(fence)) {
                return Ok(());
            }
            // A publish that broke off leaves rows ahead of their catalog: the same one again puts them back.
            let successor = match is_ours {
                true => in_force,
                false => Catalog::succeed(&config, &in_force),
            };
            self.whole_in = None;
            let reply = self.state.publish(fence, &successor).await?;
            match reply.status {
                Status::Done => {
                    self.whole_in = Some(fence);
                    if !is_ours {
                        metrics::published();
                        tracing::info!(
                            version = successor.version,
                            "Published catalog {}: the configuration has changed",
                            successor.version
                        );
                    }
                    return Ok(());
                }
                Status::Fenced => return Err(DutyError::Fenced),
                Status::NoEpoch => return Ok(()),
                // Another one came in force meanwhile: succeed that one.
                Status::Stale | Status::Catalog => {}
                status => return Err(DutyError::Unexpected(status)),
            }
        }
        Ok(())
    }
}

impl Duty for Publish {
    fn name(&self) -> &'static str {
        "publish"
    }

    fn period(&self) -> Duration {
        PERIOD
    }

    fn run_once<'a>(&'a mut self, term: &'a Term) -> Run<'a> {
        Box::pin(self.publish(term))
    }
}
