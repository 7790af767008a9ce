//! The actor: one tick on its way at a time, the same batch again until it is answered, and everything that this
//! replica holds or waits for in two maps.

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::batch::Pending;
use super::lease::Lease;
use super::memory::{Memory, Scopes};
use super::recorder::Recorder;
use super::{BACK_OFF_MIN, Common, Session};
use crate::catalog::Catalog;
use crate::ids::{ReplicaName, SessionId, Ticket};
use crate::lease::{Claim, Outcome, Refusal, RefusalReason, Reported, Settlement};
use crate::state::protocol::{
    Acquire, Assert, AssertedCharge, Boot, Cancel, JoinReply, Operations, OutcomeCode, Release,
    TickReply,
};
use crate::state::replay::Recorded;
use crate::state::{SharedState, StateError, WakeUp};
use crate::time::boot_time_ms;
use tokio::sync::{mpsc, oneshot};

/// An idle session renews itself this often.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long a session that leaves tries to tell the store; then its expiry says the same.
const LEAVE_PATIENCE: Duration = Duration::from_secs(2);
/// How closely the fence is watched while the store is away.
const WATCH_AWAY: Duration = Duration::from_millis(100);
/// How long a request that was broken off keeps its slot: its connection closes beside the next one's opening, and the
/// provider must not see both.
const CLOSE_GRACE: Duration = Duration::from_millis(25);

pub(super) enum Command {
    Acquire {
        ticket: Ticket,
        claim: Claim,
        answer: oneshot::Sender<Result<Lease, Refusal>>,
    },
    Cancel(Ticket),
    End {
        ticket: Ticket,
        settlement: Option<Settlement>,
        was_dispatched: bool,
    },
    Leave(oneshot::Sender<()>),
}

pub(super) struct Waiter {
    pub(super) acquire: Acquire,
    pub(super) answer: oneshot::Sender<Result<Lease, Refusal>>,
    pub(super) since: Instant,
    /// Its place in the store's queue, once it has one.
    pub(super) sequence: Option<i64>,
}

pub(super) struct Held {
    pub(super) scopes: Scopes,
    pub(super) reserved: u32,
    pub(super) granted_at: i64,
    pub(super) at_ms: u64,
    pub(super) is_probe: bool,
}

/// One call to the store that has not been answered.
pub(super) struct Flight {
    pub(super) call: Call,
    pub(super) first_sent: Instant,
    pub(super) first_sent_ms: u64,
}

#[derive(Clone)]
pub(super) enum Call {
    Tick {
        seq: u64,
        operations: Arc<Operations>,
    },
    Assert(Arc<Assert>),
}

pub(super) enum Answer {
    Tick(TickReply),
    Assert(JoinReply, Catalog),
    /// What a tick was refused for, with the start of the store that refused it.
    Catalog {
        agreed: Catalog,
        generation: i64,
        base: u64,
    },
}

pub(super) type Answering = Pin<Box<dyn Future<Output = Result<Answer, StateError>> + Send>>;

pub(super) struct Actor {
    pub(super) state: Arc<dyn SharedState>,
    pub(super) common: Arc<Common>,
    pub(super) commands: mpsc::WeakUnboundedSender<Command>,
    pub(super) wake_ups: mpsc::UnboundedSender<WakeUp>,
    pub(super) recorder: Option<Recorder>,

    pub(super) session: SessionId,
    pub(super) replica: ReplicaName,
    pub(super) catalog: Arc<Catalog>,
    pub(super) seq: u64,
    pub(super) generation: i64,
    /// The generation that the assert under way was made for; 0: an empty store.
    pub(super) asserting_to: i64,
    pub(super) is_fenced: bool,

    pub(super) pending: Pending,
    pub(super) waiters: HashMap<Ticket, Waiter>,
    pub(super) leases: HashMap<Ticket, Held>,
    /// Broken off, and due to end when their upstream connections have closed.
    pub(super) closing: VecDeque<(Instant, Ticket, Outcome, Option<Settlement>)>,
    /// Granted by a wake-up, and still in the mailbox.
    pub(super) handed_over: HashSet<Ticket>,
    /// Claims that were dropped after they had been sent: a grant may cross their cancel on the way.
    pub(super) cancelled: HashMap<Ticket, Acquire>,
    pub(super) memory: Memory,
    /// Window charges to tell with the next assert, whatever the store remembers.
    pub(super) unsettled: Vec<AssertedCharge>,

    pub(super) flight: Option<Flight>,
    pub(super) answering: Option<Answering>,
    /// When the flight may be sent again.
    pub(super) again_at: Option<Instant>,
    pub(super) back_off: Duration,
    pub(super) away_since: Option<Instant>,
    pub(super) heartbeat_at: Instant,
    pub(super) opening_at: Option<Instant>,
    /// Whom to tell, and when to stop trying.
    pub(super) leaving: Option<(oneshot::Sender<()>, Instant)>,
}

impl Actor {
    pub(super) fn new(
        session: &Session,
        boot: Boot,
        reply: &JoinReply,
        catalog: Arc<Catalog>,
        mut recorder: Option<Recorder>,
        wake_ups: mpsc::UnboundedSender<WakeUp>,
    ) -> Self {
        if let Some(recorder) = &mut recorder {
            let catalog = (*catalog).clone();
            recorder.write(&Recorded::Boot {
                boot: boot.clone(),
                catalog,
                reply: reply.clone(),
            });
        }
        Self {
            state: Arc::clone(&session.common.state),
            common: Arc::clone(&session.common),
            commands: session.commands.downgrade(),
            wake_ups,
            recorder,
            session: boot.session,
            replica: boot.replica,
            memory: Memory::new(&catalog),
            catalog,
            seq: 0,
            generation: reply.generation,
            asserting_to: 0,
            is_fenced: false,
            pending: Pending::default(),
            waiters: HashMap::new(),
            leases: HashMap::new(),
            closing: VecDeque::new(),
            handed_over: HashSet::new(),
            cancelled: HashMap::new(),
            unsettled: Vec::new(),
            flight: None,
            answering: None,
            again_at: None,
            back_off: BACK_OFF_MIN,
            away_since: None,
            // The first tick goes out at once: readiness waits for it.
            heartbeat_at: Instant::now(),
            opening_at: None,
            leaving: None,
        }
    }

    /// Runs until the session has left, or until nobody is left who could ask it anything.
    pub(super) async fn run(
        mut self,
        mut commands: mpsc::UnboundedReceiver<Command>,
        mut woken: mpsc::UnboundedReceiver<WakeUp>,
    ) {
        loop {
            self.send_what_is_due();
            let timer = tokio::time::Instant::from_std(self.next_timer());
            tokio::select! {
                biased;
                answer = answer_of(&mut self.answering) => {
                    self.answering = None;
                    self.answered(answer);
                }
                Some(wake_up) = woken.recv() => self.woken(wake_up),
                command = commands.recv() => match command {
                    Some(command) => {
                        self.obey(command);
                        // What has gathered meanwhile goes into the same batch.
                        while let Ok(command) = commands.try_recv() {
                            self.obey(command);
                        }
                    }
                    None => return,
                },
                () = tokio::time::sleep_until(timer) => {}
            }
            self.watch_the_fence();
            let is_told =
                self.flight.is_none() && self.pending.is_empty() && self.closing.is_empty();
            if let Some((done, _)) = self
                .leaving
                .take_if(|(_, until)| is_told || *until <= Instant::now())
            {
                if is_told {
                    self.say_bye().await;
                }
                // Whoever wanted to know may have stopped waiting.
                let _ = done.send(());
                return;
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Acquire {
                ticket,
                claim,
                answer,
            } => {
                if self.leaving.is_some() {
                    self.refuse(answer, RefusalReason::Draining, Duration::from_secs(1));
                    return;
                }
                if self.is_given_up() {
                    self.refuse(answer, RefusalReason::StoreAway, Duration::from_secs(1));
                    return;
                }
                let Claim {
                    model,
                    priority,
                    tokens,
                    callers,
                    allow,
                    no_queue,
                    purpose,
                } = claim;
                let allow = allow.unwrap_or_default();
                let acquire = Acquire {
                    ticket,
                    model,
                    priority: priority.level(),
                    tokens,
                    callers,
                    allow,
                    no_queue,
                    purpose: purpose.into(),
                };
                self.pending.acquire(acquire.clone());
                self.waiters.insert(
                    ticket,
                    Waiter {
                        acquire,
                        answer,
                        since: Instant::now(),
                        sequence: None,
                    },
                );
            }
            Command::Cancel(ticket) => self.cancel(ticket),
            Command::End {
                ticket,
                settlement,
                was_dispatched,
            } => {
                let outcome = match &settlement {
                    Some(settlement) => settlement.outcome,
                    None if was_dispatched => Outcome::ClientAbort,
                    None => Outcome::Unsent,
                };
                let is_broken_off = matches!(outcome, Outcome::ClientAbort | Outcome::Failed);
                if is_broken_off && was_dispatched {
                    self.closing.push_back((
                        Instant::now() + CLOSE_GRACE,
                        ticket,
                        outcome,
                        settlement,
                    ));
                } else {
                    self.end(ticket, outcome, settlement);
                }
            }
            Command::Leave(done) => {
                self.leaving = Some((done, Instant::now() + LEAVE_PATIENCE));
                for (_, waiter) in std::mem::take(&mut self.waiters) {
                    self.leave_queue(waiter.acquire);
                    self.refuse(
                        waiter.answer,
                        RefusalReason::Draining,
                        Duration::from_secs(1),
                    );
                }
            }
        }
    }

    fn cancel(&mut self, ticket: Ticket) {
        // Not waiting: it was granted, and the lease's own end tells the rest.
        if let Some(waiter) = self.waiters.remove(&ticket) {
            self.leave_queue(waiter.acquire);
        }
    }

    pub(super) fn leave_queue(&mut self, acquire: Acquire) {
        if !self.pending.withdraw(acquire.ticket) {
            self.pending.cancel(Cancel {
                model: acquire.model,
                ticket: acquire.ticket,
            });
            self.cancelled.insert(acquire.ticket, acquire);
        }
    }

    /// Ends the leases whose upstream connection has had its time to close.
    fn end_closed(&mut self, now: Instant) {
        while let Some((_, ticket, outcome, settlement)) =
            self.closing.pop_front_if(|(due, ..)| *due <= now)
        {
            self.end(ticket, outcome, settlement);
        }
    }

    fn end(&mut self, ticket: Ticket, outcome: Outcome, settlement: Option<Settlement>) {
        let Some(held) = self.leases.remove(&ticket) else {
            return;
        };
        // A probe was not charged like a request, so none of its ends may refund it like one.
        let outcome = if held.is_probe {
            OutcomeCode::PROBED
        } else {
            OutcomeCode::from(outcome)
        };
        let settlement = settlement.unwrap_or_else(|| Settlement::of(Outcome::ClientAbort));
        let tokens = settlement.tokens.unwrap_or(held.reserved);
        let micros = |duration: Duration| u32::try_from(duration.as_micros()).unwrap_or(u32::MAX);
        let millis = |duration: Duration| u32::try_from(duration.as_millis()).unwrap_or(u32::MAX);
        self.memory
            .settled(ticket, &held, tokens, outcome.refunds());
        self.pending.release(Release {
            model: held.scopes.model,
            candidate: held.scopes.candidate,
            callers: held.scopes.callers,
            reserved: held.reserved,
            granted_at: held.granted_at,
            tokens,
            outcome,
            first_byte_us: settlement.first_byte.map_or(0, micros),
            token_us: settlement.token_time.map_or(0, micros),
            retry_ms: settlement.retry_after.map_or(0, millis),
            reported: settlement.reported.into_iter().map(bounded).collect(),
        });
    }

    pub(super) fn refuse(
        &self,
        answer: oneshot::Sender<Result<Lease, Refusal>>,
        reason: RefusalReason,
        retry_after: Duration,
    ) {
        self.common
            .stats
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .refused(&reason);
        // Whoever asked may have gone.
        let _ = answer.send(Err(Refusal {
            reason,
            retry_after,
        }));
    }

    fn send_what_is_due(&mut self) {
        let now = Instant::now();
        self.end_closed(now);
        if self.answering.is_some() {
            return;
        }
        if self.flight.is_some() {
            if self.again_at.is_none_or(|at| at <= now) {
                self.launch();
            }
            return;
        }
        let is_opening = self.opening_at.is_some_and(|at| at <= now);
        if self.pending.is_empty() && self.heartbeat_at > now && !is_opening {
            return;
        }
        self.opening_at = None;
        self.seq += 1;
        let operations = Arc::new(self.pending.take(&self.catalog));
        self.take_off(Call::Tick {
            seq: self.seq,
            operations,
        });
    }

    pub(super) fn take_off(&mut self, call: Call) {
        let first_sent = Instant::now();
        self.heartbeat_at = first_sent + HEARTBEAT;
        self.flight = Some(Flight {
            call,
            first_sent,
            first_sent_ms: boot_time_ms(),
        });
        self.launch();
    }

    /// Sends the flight, for the first time or again: the store executes it once.
    pub(super) fn launch(&mut self) {
        let Some(flight) = &self.flight else { return };
        self.again_at = None;
        let state = Arc::clone(&self.state);
        let catalog = Arc::clone(&self.catalog);
        self.answering = Some(match flight.call.clone() {
            Call::Tick { seq, operations } => {
                let session = self.session.clone();
                Box::pin(async move {
                    state
                        .tick(&session, seq, &catalog, &operations)
                        .await
                        .map(Answer::Tick)
                })
            }
            Call::Assert(assert) => {
                let wake_ups = self.wake_ups.clone();
                Box::pin(async move {
                    let (reply, agreed) = state.assert(&assert, &catalog, &wake_ups).await?;
                    Ok(Answer::Assert(reply, agreed))
                })
            }
        });
    }

    fn next_timer(&self) -> Instant {
        let now = Instant::now();
        let mut timer = if self.flight.is_some() {
            now + HEARTBEAT
        } else {
            self.heartbeat_at
        };
        if self.answering.is_none() {
            let due = if self.flight.is_some() {
                self.again_at
            } else {
                self.opening_at
            };
            timer = due.map_or(timer, |due| due.min(timer));
        }
        if let Some((due, ..)) = self.closing.front() {
            timer = timer.min(*due);
        }
        if self.away_since.is_some() || self.leaving.is_some() {
            timer = timer.min(now + WATCH_AWAY);
        }
        timer.max(now)
    }
}

async fn answer_of(answering: &mut Option<Answering>) -> Result<Answer, StateError> {
    match answering {
        Some(answering) => answering.await,
        None => std::future::pending().await,
    }
}

/// A provider's figures in the range that the scripts' numbers are exact in.
fn bounded(reported: Reported) -> Reported {
    const MAX: u64 = 1 << 53;
    Reported {
        limit: reported.limit.min(MAX),
        remaining: reported.remaining.min(MAX),
        ..reported
    }
}
