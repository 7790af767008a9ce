//! Claim → lease, or a refusal that says which limit had no room.

use std::sync::Arc;
use std::time::{Duration, Instant};

use shared::catalog::{LimitKind, WindowKind};
use shared::ids::{CandidateIndex, RowIndex};
use shared::lease::{Claim, Outcome, Purpose, Refusal, RefusalReason, Settlement};
use shared::state::session::Lease;
use shared::units::Priority;

use crate::dialect::Ask;
use crate::fleet::{Caller, Fleet, FleetModel};
use crate::metrics;
use crate::pipeline::Pipeline;
use crate::pipeline::problem::{Problem, RefusedLimit};
use crate::pipeline::rank;
use crate::pipeline::report::Report;
use crate::pipeline::retry::{Retry, Round};
use crate::pipeline::settle::HeldLease;

/// Longer than the session lets a store be silent: only what waits in the queue has a deadline of its own.
const STORE_PATIENCE: Duration = Duration::from_secs(5);

/// How often one request follows a catalog that moves while it waits.
const CATALOG_MOVES_MAX: usize = 4;

/// One request's admissions: the first may queue, those of fail-over attempts are granted at once or not at all.
pub(crate) struct Admission<'a> {
    pipeline: &'a Pipeline,
    fleet: Arc<Fleet>,
    model: Arc<FleetModel>,
    ask: &'a Arc<Ask>,
    claim: Claim,
    tried: Vec<CandidateIndex>,
}

impl<'a> Admission<'a> {
    pub(crate) fn new(
        pipeline: &'a Pipeline,
        fleet: &Arc<Fleet>,
        model: &Arc<FleetModel>,
        ask: &'a Arc<Ask>,
        caller: &Caller,
        priority: Priority,
    ) -> Self {
        let claim = Claim {
            model: model.index,
            priority,
            tokens: ask.estimate(&pipeline.counter, &model.overrides),
            callers: caller.rows.clone(),
            allow: rank::first_choice(model),
            no_queue: false,
            purpose: Purpose::Request,
        };
        Self {
            pipeline,
            fleet: Arc::clone(fleet),
            model: Arc::clone(model),
            ask,
            claim,
            tried: Vec::new(),
        }
    }

    /// Asks for the lease of a first attempt; may wait in the queue.
    pub(crate) async fn admit(&mut self, report: &mut Report) -> Result<HeldLease, Problem> {
        let started = Instant::now();
        let lease = self.first().await;
        report.set_queued(started.elapsed());
        match lease {
            Ok(lease) => self.hold(lease),
            Err(refusal) => Err(self.refused(refusal)),
        }
    }

    /// Asks in the queue, and again where the catalog moved under the claim.
    async fn first(&mut self) -> Result<Lease, Refusal> {
        self.follow_catalog();
        for _ in 0..CATALOG_MOVES_MAX {
            let answered = self.in_queue().await;
            let is_dated = match &answered {
                Ok(lease) => self.model.position(lease.candidate()).is_none(),
                // What was allowed may be gone, and others come in its place.
                Err(refusal) => refusal.reason == RefusalReason::Unavailable,
            };
            if !is_dated || !self.follow_catalog() {
                return answered;
            }
            if let Ok(lease) = answered {
                if self.model.position(lease.candidate()).is_some() {
                    return Ok(lease);
                }
                // This replica has no credential for it.
                lease.settle(Settlement::of(Outcome::Unsent));
            }
        }
        self.in_queue().await
    }

    /// Goes over to the snapshot of the catalog in force; `false` if it has it already, or the model is gone.
    fn follow_catalog(&mut self) -> bool {
        let current = self.pipeline.fleet();
        if Arc::ptr_eq(&current, &self.fleet) {
            return false;
        }
        let Some(model) = current.model(self.model.name.as_str()).map(Arc::clone) else {
            return false;
        };
        let (before, now) = (self.fleet.catalog(), current.catalog());
        if !now.succeeds(before) {
            let callers = self.claim.callers.iter().filter_map(|row| {
                let row = before.rows.get(row.position())?;
                now.row_index(row.kind, &row.name)
            });
            self.claim.callers = callers.collect();
        }
        self.claim.model = model.index;
        self.claim.allow = rank::first_choice(&model);
        (self.fleet, self.model) = (current, model);
        true
    }

    /// Asks for the lease of another attempt, where and when `retry` says; `None` if there is none to be had.
    ///
    /// No lease is held while the back-off is waited for.
    pub(crate) async fn again(&mut self, retry: &mut Retry) -> Option<HeldLease> {
        let failed = Instant::now();
        let rounds = retry.rounds(
            &self.model,
            &self.tried,
            failed,
            &mut self.pipeline.chance(),
        );
        for Round { wait, allow } in rounds {
            let wait = wait.saturating_sub(failed.elapsed());
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            let refusal = match self.at_once(Some(allow), Purpose::Retry).await {
                Ok(lease) => {
                    retry.reason().into_iter().for_each(metrics::retried);
                    return self.hold(lease).ok();
                }
                Err(refusal) => refusal,
            };
            match refusal.reason {
                RefusalReason::RetryBudget => {
                    metrics::retry_over_budget();
                    retry.refuse();
                    return None;
                }
                RefusalReason::StoreAway | RefusalReason::Draining => return None,
                // Others may have room.
                RefusalReason::Limit { .. }
                | RefusalReason::TooLarge { .. }
                | RefusalReason::QueueFull
                | RefusalReason::Shed
                | RefusalReason::Deadline
                | RefusalReason::Throttled
                | RefusalReason::Unavailable => {}
            }
        }
        None
    }

    async fn in_queue(&self) -> Result<Lease, Refusal> {
        let patience = self.pipeline.config.queue.timeout;
        if patience.is_zero() {
            return self
                .at_once(self.claim.allow.clone(), Purpose::Request)
                .await;
        }
        let session = &self.pipeline.session;
        let answered = session
            .acquire(self.claim.clone(), Instant::now() + patience)
            .await;
        let Err(Refusal {
            reason: RefusalReason::Deadline,
            ..
        }) = answered
        else {
            return answered;
        };
        // Whoever waits is not told for what; a claim that does not wait is.
        match self
            .at_once(self.claim.allow.clone(), Purpose::Request)
            .await
        {
            Err(refusal) if !matches!(refusal.reason, RefusalReason::Limit { .. }) => answered,
            answered => answered,
        }
    }

    /// Asks for a lease that is there now.
    async fn at_once(
        &self,
        allow: Option<Vec<CandidateIndex>>,
        purpose: Purpose,
    ) -> Result<Lease, Refusal> {
        let claim = Claim {
            allow,
            no_queue: true,
            purpose,
            ..self.claim.clone()
        };
        let session = &self.pipeline.session;
        session
            .acquire(claim, Instant::now() + STORE_PATIENCE)
            .await
    }

    fn hold(&mut self, lease: Lease) -> Result<HeldLease, Problem> {
        let index = lease.candidate();
        self.tried.push(index);
        let Some(position) = self.model.position(index) else {
            tracing::error!(
                candidate = %index,
                "The store granted candidate {index}, which model `{}` does not have here",
                self.model.name
            );
            lease.settle(Settlement::of(Outcome::Unsent));
            return Err(Problem::Internal);
        };
        Ok(HeldLease::new(
            lease,
            Arc::clone(&self.model),
            position,
            Arc::clone(self.ask),
            Arc::clone(&self.pipeline.counter),
        ))
    }

    fn refused(&self, refusal: Refusal) -> Problem {
        let limit = match refusal.reason {
            RefusalReason::Limit { row, kind } | RefusalReason::TooLarge { row, kind } => {
                self.limit(row, kind)
            }
            RefusalReason::QueueFull
            | RefusalReason::Shed
            | RefusalReason::Deadline
            | RefusalReason::Unavailable
            | RefusalReason::RetryBudget
            | RefusalReason::Throttled
            | RefusalReason::StoreAway
            | RefusalReason::Draining => None,
        };
        Problem::Refused {
            refusal,
            limit,
            model: self.model.name.to_string(),
            requested: self.claim.tokens,
        }
    }

    fn limit(&self, row: RowIndex, kind: LimitKind) -> Option<RefusedLimit> {
        let found = self.fleet.catalog().rows.get(row.position())?;
        Some(RefusedLimit {
            scope: found.kind,
            name: found.name.clone(),
            kind,
            limit: limit_of(&self.fleet, row, kind)?,
            is_callers: self.claim.callers.contains(&row),
        })
    }
}

/// What is left of one of the caller's limits, for the client to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quota {
    pub(crate) kind: WindowKind,
    pub(crate) limit: u64,
    pub(crate) remaining: u64,
}

/// The caller's windows after the grant.
pub(crate) fn quotas(fleet: &Fleet, lease: &HeldLease) -> Vec<Quota> {
    lease
        .remaining()
        .iter()
        .filter_map(|left| {
            let LimitKind::Window(kind) = left.kind else {
                return None;
            };
            Some(Quota {
                kind,
                limit: limit_of(fleet, left.row, left.kind)?,
                remaining: left.remaining,
            })
        })
        .collect()
}

fn limit_of(fleet: &Fleet, row: RowIndex, kind: LimitKind) -> Option<u64> {
    let row = fleet.catalog().rows.get(row.position())?;
    match kind {
        LimitKind::Concurrency => Some(u64::from(row.slots_max)),
        LimitKind::Window(kind) => row
            .windows
            .iter()
            .find(|window| window.kind == kind.code())
            .map(|window| window.limit),
    }
}
