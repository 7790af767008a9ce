//! Claim → lease, or a refusal that says which limit had no room.

use std::sync::Arc;
use std::time::{Duration, Instant};

use shared::catalog::{Catalog, LimitKind, WindowKind};
use shared::ids::{CandidateIndex, RowIndex};
use shared::lease::{Claim, Outcome, Purpose, Refusal, RefusalReason, Settlement};
use shared::state::session::Lease;
use shared::units::Priority;

use crate::fleet::{Caller, Fleet, FleetModel};
use crate::metrics;
use crate::pipeline::Pipeline;
use crate::pipeline::problem::{Problem, RefusedLimit};
use crate::pipeline::rank;
use crate::pipeline::report::Report;
use crate::pipeline::retry::{Retry, Round};
use crate::pipeline::settle::HeldLease;
use crate::pipeline::wording::Wording;

/// Longer than the session lets a store be silent: only what waits in the queue has a deadline of its own.
const STORE_PATIENCE: Duration = Duration::from_secs(5);

/// How often one request follows a catalog that moves while it waits.
const CATALOG_MOVES_MAX: usize = 4;

/// How long a request waits where file and catalog have nothing in common: files are read once a second.
const FILE_PATIENCE: Duration = Duration::from_millis(2_500);
const FILE_POLL: Duration = Duration::from_millis(50);

/// How often the one account that a request can go on in is asked while it is full.
const HOME_POLL: Duration = Duration::from_millis(200);

/// One request's admissions: the first may queue, those of fail-over attempts are granted at once or not at all.
pub(crate) struct Admission<'a> {
    pipeline: &'a Pipeline,
    fleet: Arc<Fleet>,
    model: Arc<FleetModel>,
    wording: &'a Arc<Wording>,
    caller: &'a Caller,
    claim: Claim,
    /// Whether the claim names all that counts the caller.
    is_counted: bool,
    /// The account that has what the request goes on from, until it was asked.
    home: Option<Arc<str>>,
    tried: Vec<CandidateIndex>,
}

impl<'a> Admission<'a> {
    /// # Errors
    ///
    /// No candidate of `model` can serve the request.
    pub(crate) fn new(
        pipeline: &'a Pipeline,
        fleet: &Arc<Fleet>,
        model: &Arc<FleetModel>,
        wording: &'a Arc<Wording>,
        caller: &'a Caller,
        priority: Priority,
    ) -> Result<Self, Problem> {
        let tokens = wording
            .ask()
            .estimate(&pipeline.counter, model.overrides.fields());
        let model = rank::able(model, wording, &pipeline.counter)?;
        let home = wording.ask().previous_response();
        let home = home.and_then(|id| pipeline.responses.account_of(&id));
        let claim = Claim {
            model: model.index,
            priority,
            tokens,
            callers: caller.rows.clone().unwrap_or_default(),
            allow: rank::first_choice(&model),
            no_queue: false,
            purpose: Purpose::Request,
        };
        Ok(Self {
            pipeline,
            fleet: Arc::clone(fleet),
            model,
            wording,
            caller,
            claim,
            is_counted: caller.rows.is_some(),
            home,
            tried: Vec::new(),
        })
    }

    /// The snapshot that its leases speak of.
    pub(crate) fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// Asks for the lease of a first attempt; may wait in the queue.
    pub(crate) async fn admit(&mut self, report: &mut Report) -> Result<HeldLease, Problem> {
        let started = Instant::now();
        let lease = self.first().await;
        report.set_queued(started.elapsed());
        match lease {
            Ok(lease) => self.hold(lease).ok_or(Problem::Internal),
            Err(refusal) => Err(self.refused(refusal)),
        }
    }

    /// Asks in the queue, and again where the catalog moved under the claim.
    async fn first(&mut self) -> Result<Lease, Refusal> {
        let deadline = Instant::now() + self.pipeline.config.queue.timeout;
        let mut file_deadline = None;
        self.follow_catalog();
        if let Some(answered) = self.at_home(deadline).await {
            return answered;
        }
        for _ in 0..=CATALOG_MOVES_MAX {
            while !self.can_claim() {
                if Instant::now() >= *file_deadline.get_or_insert(Instant::now() + FILE_PATIENCE) {
                    return Err(unavailable());
                }
                tokio::time::sleep(FILE_POLL).await;
                self.follow_catalog();
            }
            let lease = match self.in_queue(deadline).await {
                Ok(lease) => lease,
                // What was allowed may be gone, and others come in its place.
                Err(refusal)
                    if refusal.reason == RefusalReason::Unavailable && self.follow_catalog() =>
                {
                    continue;
                }
                Err(refusal) => return Err(refusal),
            };
            if self.position(&lease).is_none() {
                self.follow_catalog();
            }
            if self.position(&lease).is_some() {
                return Ok(lease);
            }
            // This replica has no credential for it, or it was asked for in other indexes.
            lease.settle(Settlement::of(Outcome::Unsent));
        }
        Err(unavailable())
    }

    /// Whether this replica can call what the catalog in force has of the model, and count the caller.
    fn can_claim(&self) -> bool {
        !self.model.candidates.is_empty() && self.is_counted
    }

    /// Goes over to the snapshot of the catalog in force; `false` if it has it already, or the model is gone.
    fn follow_catalog(&mut self) -> bool {
        let current = self.pipeline.fleet();
        if Arc::ptr_eq(&current, &self.fleet) {
            return false;
        }
        let Ok(model) = rank::rank(&current, self.caller, self.wording.ask().model()) else {
            return false;
        };
        let Ok(model) = rank::able(model, self.wording, &self.pipeline.counter) else {
            return false;
        };
        match current.caller_named(self.caller.name.as_ref()) {
            Some(caller) => {
                self.is_counted = caller.rows.is_some();
                self.claim.callers = caller.rows.clone().unwrap_or_default();
            }
            // The file has the client key no more: what was begun goes on as long as it can be counted.
            None => self.is_counted &= current.catalog().succeeds(self.fleet.catalog()),
        }
        self.claim.model = model.index;
        self.claim.allow = rank::first_choice(&model);
        (self.fleet, self.model) = (current, model);
        true
    }

    /// Asks the account that has what the request goes on from; `None` if there is none, or it is out, and the others are
    /// asked: one of them may belong to the same customer.
    ///
    /// Where it is full, its turn is waited for beside the queue: in it, claims for one account hold up those for all.
    async fn at_home(&mut self, deadline: Instant) -> Option<Result<Lease, Refusal>> {
        let home = self.home.take()?;
        let allow = rank::at_home(&self.model, &home);
        if allow.is_empty() {
            return None;
        }
        loop {
            let claimed = self.at_once(Some(allow.clone()), Purpose::Request).await;
            let refusal = match claimed {
                Ok(lease) if self.position(&lease).is_some() => return Some(Ok(lease)),
                Ok(lease) => {
                    lease.settle(Settlement::of(Outcome::Unsent));
                    return None;
                }
                Err(refusal) => refusal,
            };
            match refusal.reason {
                RefusalReason::Limit { .. } | RefusalReason::Throttled
                    if Instant::now() + HOME_POLL < deadline =>
                {
                    tokio::time::sleep(HOME_POLL).await;
                }
                RefusalReason::Unavailable | RefusalReason::TooLarge { .. } => return None,
                _ => return Some(Err(refusal)),
            }
        }
    }

    /// Where among the model's candidates the granted one is.
    fn position(&self, lease: &Lease) -> Option<usize> {
        self.means_the_same(lease.catalog())
            .then(|| self.model.position(lease.candidate()))
            .flatten()
    }

    /// Whether `catalog` says the same with the indexes of this snapshot; not so after a loss of the store's data.
    fn means_the_same(&self, catalog: &Arc<Catalog>) -> bool {
        let ours = self.fleet.catalog();
        Arc::ptr_eq(ours, catalog) || catalog.succeeds(ours) || ours.succeeds(catalog)
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
            if !self.means_the_same(&self.pipeline.session.catalog()) {
                return None;
            }
            let refusal = match self.at_once(Some(allow), Purpose::Retry).await {
                Ok(lease) => {
                    retry.reason().into_iter().for_each(metrics::retried);
                    return self.hold(lease);
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

    async fn in_queue(&self, deadline: Instant) -> Result<Lease, Refusal> {
        if self.pipeline.config.queue.timeout.is_zero() {
            return self
                .at_once(self.claim.allow.clone(), Purpose::Request)
                .await;
        }
        let session = &self.pipeline.session;
        let answered = session.acquire(self.claim.clone(), deadline).await;
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

    /// `None` if the lease is of a candidate that the model does not have here, or not any more: it is given back.
    fn hold(&mut self, lease: Lease) -> Option<HeldLease> {
        let index = lease.candidate();
        let Some(position) = self.position(&lease) else {
            tracing::warn!(
                candidate = %index,
                "The store granted candidate {index}, which model `{}` does not have here",
                self.model.name
            );
            lease.settle(Settlement::of(Outcome::Unsent));
            return None;
        };
        self.tried.push(index);
        Some(HeldLease::new(
            lease,
            Arc::clone(&self.model),
            position,
            Arc::clone(self.wording),
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

fn unavailable() -> Refusal {
    Refusal {
        reason: RefusalReason::Unavailable,
        retry_after: Duration::from_secs(1),
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
