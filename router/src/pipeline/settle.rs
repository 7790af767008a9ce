//! How a lease ends: told to the store once, whatever happens to the request.
//!
//! Three nets hold a slot's return: [`HeldLease::end`]; else its drop, when the client hung up or a panic unwound; else,
//! when the process dies, the session's expiry in the store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, FutureExt as _};
use shared::lease::{Outcome, Remaining, Reported, Settlement};
use shared::state::session::Lease;
use shared::units::clamp_tokens;

use crate::fleet::{FleetCandidate, FleetModel};
use crate::metrics;
use crate::pipeline::failure::Failure;
use crate::pipeline::wording::Wording;
use dialect::{Ask, TokenCounter, Usage};

/// A lease on its way through the pipeline; only `admit` makes one.
pub(crate) struct HeldLease {
    /// `None` once it ended.
    lease: Option<Lease>,
    model: Arc<FleetModel>,
    /// Which of the model's candidates was granted.
    position: usize,
    wording: Arc<Wording>,
    counter: Arc<TokenCounter>,
    /// When the request was handed to the upstream client; from then on the provider may bill for it.
    sent_at: Option<Instant>,
    first_byte: Option<Duration>,
    /// Of a plain answer.
    last_byte: Option<Duration>,
    /// What the provider said of its limits for this key, and when.
    reported: Vec<Reported>,
    reported_at: Instant,
}

/// What an answer cost, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Charge {
    /// Keep the estimate that was reserved.
    Estimate,
    /// What the provider reported.
    Reported(Usage),
    /// The prompt's estimate, and this much output.
    Counted { completion_tokens: u32 },
}

impl Charge {
    pub(crate) fn usage(self) -> Option<Usage> {
        match self {
            Self::Reported(usage) => Some(usage),
            Self::Estimate | Self::Counted { .. } => None,
        }
    }
}

impl HeldLease {
    pub(crate) fn new(
        lease: Lease,
        model: Arc<FleetModel>,
        position: usize,
        wording: Arc<Wording>,
        counter: Arc<TokenCounter>,
    ) -> Self {
        Self {
            lease: Some(lease),
            model,
            position,
            wording,
            counter,
            sent_at: None,
            first_byte: None,
            last_byte: None,
            reported: Vec::new(),
            reported_at: Instant::now(),
        }
    }

    pub(crate) fn model(&self) -> &FleetModel {
        &self.model
    }

    pub(crate) fn candidate(&self) -> &FleetCandidate {
        &self.model.candidates[self.position]
    }

    pub(crate) fn ask(&self) -> &Ask {
        self.wording.ask()
    }

    pub(crate) fn wording(&self) -> &Wording {
        &self.wording
    }

    pub(crate) fn counter(&self) -> &TokenCounter {
        &self.counter
    }

    /// Whether the lease is surely still ours: asked right before the dispatch.
    pub(crate) fn is_dispatchable(&self) -> bool {
        self.lease.as_ref().is_some_and(Lease::is_dispatchable)
    }

    /// Completes when an `exclusive` model's key may have been given to somebody else; never for other models.
    pub(crate) fn lost(&self) -> BoxFuture<'static, ()> {
        match &self.lease {
            Some(lease) if self.model.is_exclusive => lease.lost().boxed(),
            _ => std::future::pending().boxed(),
        }
    }

    /// What is left of the caller's own limits.
    pub(crate) fn remaining(&self) -> &[Remaining] {
        self.lease.as_ref().map_or(&[], Lease::remaining)
    }

    pub(crate) fn mark_sent(&mut self) {
        self.sent_at = Some(Instant::now());
    }

    /// Notes the first content byte.
    pub(crate) fn mark_first_byte(&mut self) {
        if let (None, Some(sent_at)) = (self.first_byte, self.sent_at) {
            self.first_byte = Some(sent_at.elapsed());
        }
    }

    pub(crate) fn first_byte(&self) -> Option<Duration> {
        self.first_byte
    }

    /// Notes that a plain answer has come in whole.
    pub(crate) fn mark_last_byte(&mut self) {
        self.last_byte = self.sent_at.map(|sent_at| sent_at.elapsed());
    }

    pub(crate) fn since_sent(&self) -> Duration {
        self.sent_at.map(|at| at.elapsed()).unwrap_or_default()
    }

    /// Notes what the provider said of its limits, unless it may be about one of several models that the key serves.
    pub(crate) fn note_reported(&mut self, reported: Vec<Reported>) {
        if self.candidate().is_only_model {
            self.reported = reported;
            self.reported_at = Instant::now();
        }
    }

    /// What an answer costs that ends before its cost was reported. One in the background goes on without its client.
    pub(crate) fn charge_so_far(&self, completion_tokens: u32) -> Charge {
        match self.ask().is_background() {
            true => Charge::Estimate,
            false => Charge::Counted { completion_tokens },
        }
    }

    /// Ends the lease of an answer, whole or not.
    pub(crate) fn end(mut self, outcome: Outcome, charge: Charge) {
        self.settle(outcome, charge, None);
    }

    /// Ends the lease of an attempt that came to nothing, or whose answer broke off.
    pub(crate) fn fail(mut self, failure: &Failure, charge: Charge) {
        metrics::upstream_failed(failure.class);
        let is_overload = failure.class.is_overload();
        let retry_after = failure.retry_after.filter(|_| is_overload);
        self.settle(failure.outcome, charge, retry_after);
    }

    fn settle(&mut self, outcome: Outcome, charge: Charge, retry_after: Option<Duration>) {
        let Some(lease) = self.lease.take() else {
            return;
        };
        let candidate = self.candidate();
        metrics::attempt_ended(&candidate.provider.name, &candidate.key, outcome);
        let (tokens, completion_tokens) = match charge {
            Charge::Estimate => (None, 0),
            Charge::Reported(usage) => {
                let tokens = clamp_tokens(i64::from(usage.total()));
                (Some(tokens), usage.completion_tokens)
            }
            Charge::Counted { completion_tokens } => {
                let prompt_tokens = self.ask().prompt_tokens(&self.counter);
                let tokens = i64::from(prompt_tokens) + i64::from(completion_tokens);
                (Some(clamp_tokens(tokens)), completion_tokens)
            }
        };
        let is_stream = self.ask().is_stream();
        lease.settle(Settlement {
            outcome,
            tokens,
            first_byte: self.first_byte.filter(|_| is_stream),
            token_time: self
                .last_byte
                .and_then(|last_byte| last_byte.checked_div(completion_tokens))
                .filter(|_| !is_stream),
            retry_after,
            reported: aged(
                std::mem::take(&mut self.reported),
                self.reported_at.elapsed(),
            ),
        });
    }
}

/// Reports as they are worth after `age`: a long stream ends after the windows that it was told of have reset.
fn aged(reported: Vec<Reported>, age: Duration) -> Vec<Reported> {
    let age_ms = u32::try_from(age.as_millis()).unwrap_or(u32::MAX);
    reported
        .into_iter()
        .filter_map(|reported| {
            let resets_in_ms = reported.resets_in_ms.checked_sub(age_ms)?;
            Some(Reported {
                resets_in_ms,
                ..reported
            })
        })
        .collect()
}

impl Drop for HeldLease {
    fn drop(&mut self) {
        // The client has gone: before the dispatch nothing was spent, after it at least the prompt.
        match self.sent_at {
            None => self.settle(Outcome::Unsent, Charge::Estimate, None),
            Some(_) => {
                let charge = self.charge_so_far(0);
                self.settle(Outcome::ClientAbort, charge, None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_reported_grows_old_while_an_answer_flows() {
        let report = |resets_in_ms| Reported {
            kind: 1,
            limit: 60,
            remaining: 0,
            resets_in_ms,
        };

        let aged = aged(vec![report(1_000), report(30_000)], Duration::from_secs(10));

        assert_eq!(aged, [report(20_000)]);
    }
}
