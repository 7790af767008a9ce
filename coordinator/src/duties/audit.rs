//! Recounts what the store derives. Nothing differs, unless somebody wrote to the store by hand.

use std::sync::Arc;
use std::time::Duration;

use shared::state::SharedState;
use shared::state::protocol::Status;

use super::{Duty, DutyError, Run, fence};
use crate::leadership::Term;
use crate::metrics;

const PERIOD: Duration = Duration::from_secs(30);

pub(crate) struct Audit {
    pub(crate) state: Arc<dyn SharedState>,
}

impl Duty for Audit {
    fn name(&self) -> &'static str {
        "audit"
    }

    fn period(&self) -> Duration {
        PERIOD
    }

    fn run_once<'a>(&'a mut self, term: &'a Term) -> Run<'a> {
        Box::pin(async move {
            let (reply, differences) = self.state.audit(fence(term)?).await?;
            match reply.status {
                Status::Done => {}
                Status::Fenced => return Err(DutyError::Fenced),
                // Nothing is there yet, and so nothing can be wrong.
                Status::NoEpoch => return Ok(()),
                status => return Err(DutyError::Unexpected(status)),
            }
            metrics::audit_differed(differences.len());
            for difference in &differences {
                tracing::error!(
                    row = difference.row.0,
                    what = difference.what,
                    counted = difference.counted,
                    found = difference.found,
                    "The audit found `{}` of row {} at {} and repaired it to {}: somebody else writes to the store",
                    difference.what,
                    difference.row,
                    difference.found,
                    difference.counted
                );
            }
            Ok(())
        })
    }
}
