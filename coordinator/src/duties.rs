//! What the leader does, one duty per file; each has its own pace and its own task.

mod audit;
mod probe;
mod publish;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use shared::ids::Fence;
use shared::state::StateError;
use shared::state::protocol::Status;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::leadership::{Standing, Term};
use crate::metrics;

pub(crate) use audit::Audit;
pub(crate) use probe::{Probe, ProbeClient};
pub(crate) use publish::Publish;

/// What a run comes to.
pub(crate) type Run<'a> = Pin<Box<dyn Future<Output = Result<(), DutyError>> + Send + 'a>>;

/// Something that the leader does again and again.
pub(crate) trait Duty: Send + 'static {
    fn name(&self) -> &'static str;

    /// Between two runs.
    fn period(&self) -> Duration;

    /// Called when this process begins to lead: what was remembered of an earlier term is out of date.
    fn begin_term(&mut self) {}

    fn run_once<'a>(&'a mut self, term: &'a Term) -> Run<'a>;
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum DutyError {
    /// Not known surely enough to lead any more: nothing was written.
    #[error("this coordinator's term is over")]
    TermOver,
    /// The store refused the write: a newer leader acts.
    #[error("another coordinator leads")]
    Fenced,
    #[error("{0}")]
    State(#[from] StateError),
    #[error("the state store answers `{0:?}`, which a coordinator cannot use")]
    Unexpected(Status),
}

/// The fence for the next write.
fn fence(term: &Term) -> Result<Fence, DutyError> {
    term.fence().ok_or(DutyError::TermOver)
}

/// Runs `duty` at its pace while this process leads; at once when it begins to.
pub(crate) async fn attend(
    mut duty: Box<dyn Duty>,
    standing: Standing,
    shutdown: CancellationToken,
) {
    let mut last_term: Option<Term> = None;
    let mut last_complaint = String::new();
    loop {
        let term = tokio::select! {
            term = standing.next_term() => term,
            () = shutdown.cancelled() => return,
        };
        if !last_term.is_some_and(|last| last.is_same(&term)) {
            duty.begin_term();
        }
        let began = Instant::now();
        let result = tokio::select! {
            result = duty.run_once(&term) => result,
            () = shutdown.cancelled() => return,
        };
        metrics::duty_ran(duty.name(), began.elapsed(), result.is_ok());
        match result {
            Ok(()) => last_complaint.clear(),
            Err(DutyError::Fenced) => term.end(),
            Err(DutyError::TermOver) => {}
            Err(error) => {
                let complaint = error.to_string();
                // Once, not every period.
                if complaint != last_complaint {
                    tracing::warn!(duty = duty.name(), "Duty `{}`: {complaint}", duty.name());
                    last_complaint = complaint;
                }
            }
        }
        last_term = Some(term);
        tokio::select! {
            () = sleep(duty.period()) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

#[cfg(test)]
mod tests;
