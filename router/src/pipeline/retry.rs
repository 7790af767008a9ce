//! Whether, where and when a request is tried again. Pure: time and chance come in.
//!
//! Nothing has reached the client so far. How many retries the whole cluster makes is the store's to say: each asks it
//! for one of the budget with its claim.

use std::time::{Duration, Instant};

use dialect::Usage;
use fastrand::Rng;
use shared::config::Config;
use shared::ids::{CandidateIndex, ProviderName};

use crate::fleet::FleetModel;
use crate::pipeline::failure::Failure;
use crate::pipeline::problem::Problem;
use crate::pipeline::rank::{self, Untried};
use crate::pipeline::settle::{Charge, HeldLease};
use crate::upstream::FailureClass;

/// The back-off before the first retry is up to this, and doubles.
const BACK_OFF: Duration = Duration::from_millis(50);
const BACK_OFF_MAX: Duration = Duration::from_secs(1);

/// Whoever asks to be left alone for longer is not waited for: the client can wait as well, and holds nothing here.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(2);

/// Until a slot whose connection broke off is free again, which may be the only one.
const STALE_WAIT: Duration = Duration::from_millis(50);

/// One request's failed attempts, and what follows from them.
#[derive(Debug)]
pub(crate) struct Retry {
    n_attempts_max: u32,
    deadline: Instant,
    is_stream: bool,
    /// Whether the body is small enough to be sent again.
    can_replay: bool,
    n_failed: u32,
    was_sent: bool,
    last: Option<FailureClass>,
    /// A plain answer did not come in time. It comes only with its last word: it would take as long elsewhere, and be
    /// billed again.
    is_too_slow: bool,
    /// What to tell the client if nothing helps.
    failure: Option<Failure>,
    /// Providers that were too busy for whichever key, and until when.
    quiet: Vec<(ProviderName, Instant)>,
    /// The first whose connection was being closed when it was used.
    stale: Option<CandidateIndex>,
    is_out_of_budget: bool,
}

/// Candidates to ask for, and how long after the failure.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Round {
    pub(crate) wait: Duration,
    pub(crate) allow: Vec<CandidateIndex>,
}

impl Retry {
    /// `first_sent` is the moment of the first dispatch.
    pub(crate) fn new(
        config: &Config,
        body_len: usize,
        is_stream: bool,
        first_sent: Instant,
    ) -> Self {
        Self {
            n_attempts_max: config.retries.max_attempts.get(),
            deadline: first_sent + config.timeouts.total,
            is_stream,
            can_replay: body_len <= config.retries.replay_max,
            n_failed: 0,
            was_sent: false,
            last: None,
            is_too_slow: false,
            failure: None,
            quiet: Vec::new(),
            stale: None,
            is_out_of_budget: false,
        }
    }

    /// Ends the lease of a failed attempt and notes why it failed.
    pub(crate) fn end(&mut self, lease: HeldLease, failure: Failure, now: Instant) {
        let (candidate, provider) = (lease.candidate().index, lease.candidate().provider.clone());
        let charge = match failure.class {
            // It only looked something up.
            FailureClass::UnknownHere => Charge::Reported(Usage::default()),
            _ => Charge::Estimate,
        };
        lease.fail(&failure, charge);
        self.note(failure, candidate, &provider.name, now);
    }

    fn note(
        &mut self,
        failure: Failure,
        candidate: CandidateIndex,
        provider: &ProviderName,
        now: Instant,
    ) {
        self.n_failed += 1;
        self.was_sent |= !failure.is_unsent();
        self.last = Some(failure.class);
        self.is_too_slow |= !self.is_stream && failure.is_out_of_patience();
        if failure.is_stale_connection {
            self.stale.get_or_insert(candidate);
        }
        // A 429 is about its key, which the store closes for everybody; another key may have room.
        if failure.class == FailureClass::Overloaded
            && let Some(retry_after) = failure.retry_after
        {
            self.quiet.push((provider.clone(), now + retry_after));
        }
        self.failure = Some(failure.or_more_telling(self.failure.take()));
    }

    /// The cluster has no retry left for this request.
    pub(crate) fn refuse(&mut self) {
        self.is_out_of_budget = true;
    }

    /// When the last byte of the last attempt has to be there.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Why the last attempt failed.
    pub(crate) fn reason(&self) -> Option<FailureClass> {
        self.last
    }

    /// Whom to ask next, in this order, each no earlier than its wait after `now`; nobody if the request has to end.
    ///
    /// Other providers come first, at once unless there was an overload; then other keys of providers that failed; then,
    /// once, the candidate whose connection was stale.
    pub(crate) fn rounds(
        &self,
        model: &FleetModel,
        tried: &[CandidateIndex],
        now: Instant,
        chance: &mut Rng,
    ) -> Vec<Round> {
        let Some(last) = self.last else {
            return Vec::new();
        };
        let may_be_sent = (self.can_replay || !self.was_sent) && !self.is_too_slow;
        if !last.is_retryable() || !may_be_sent || self.n_failed >= self.n_attempts_max {
            return Vec::new();
        }
        let back_off = self.back_off(chance);
        let Untried { elsewhere, same } = rank::untried(model, tried);

        let mut rounds = vec![Round {
            wait: if last.is_overload() {
                back_off
            } else {
                Duration::ZERO
            },
            allow: elsewhere,
        }];
        let mut same: Vec<_> = same
            .into_iter()
            .map(|(provider, allow)| Round {
                wait: self.quiet_for(provider, now).max(back_off),
                allow,
            })
            .filter(|round| round.wait <= RETRY_AFTER_MAX)
            .collect();
        same.sort_by_key(|round| round.wait);
        rounds.extend(same.into_iter().fold(Vec::new(), join_equal));
        if let Some(stale) = self.stale {
            let n_times = tried.iter().filter(|index| **index == stale).count();
            rounds.push(Round {
                wait: STALE_WAIT,
                allow: if n_times == 1 {
                    vec![stale]
                } else {
                    Vec::new()
                },
            });
        }
        rounds.retain(|round| !round.allow.is_empty() && now + round.wait < self.deadline);
        rounds
    }

    /// What the client is told.
    pub(crate) fn into_problem(self) -> Problem {
        let is_asked_enough = self.n_failed > 1 || self.is_out_of_budget;
        match self.failure {
            Some(failure) => failure.into_problem(is_asked_enough),
            None => Problem::Internal,
        }
    }

    /// Full jitter: anything up to the bound, so that those who failed together do not come back together.
    fn back_off(&self, chance: &mut Rng) -> Duration {
        let n_doublings = self.n_failed.saturating_sub(1).min(10);
        let bound = (BACK_OFF * 2_u32.pow(n_doublings)).min(BACK_OFF_MAX);
        bound.mul_f64(chance.f64())
    }

    fn quiet_for(&self, provider: &ProviderName, now: Instant) -> Duration {
        let asked = self.quiet.iter().filter(|(asked, _)| asked == provider);
        let latest = asked.map(|(_, until)| *until).max();
        latest.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }
}

/// Whoever is asked at the same moment is asked together: the model's strategy chooses among them.
fn join_equal(mut rounds: Vec<Round>, next: Round) -> Vec<Round> {
    match rounds.last_mut() {
        Some(last) if last.wait == next.wait => last.allow.extend(next.allow),
        _ => rounds.push(next),
    }
    rounds
}

#[cfg(test)]
mod tests;
