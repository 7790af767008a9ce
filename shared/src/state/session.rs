//! A replica's side of the shared state: one task that batches, repeats, remembers and fences.
//!
//! Requests talk to [`Session`] and hold a [`Lease`]; everything that speaks to the store happens in the actor, so
//! that a request which is dropped at any moment can neither lose a slot nor keep one.

mod actor;
mod answers;
mod batch;
mod catalog;
mod lease;
mod memory;
mod recorder;
mod recovery;
mod stats;
mod translate;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::catalog::Catalog;
use crate::ids::{ReplicaName, SessionId, Ticket};
use crate::lease::{Claim, Refusal, RefusalReason};
use crate::state::protocol::{Boot, Status};
use crate::state::trouble::StoreStatus;
use crate::state::view::View;
use crate::state::{SharedState, StateError};
use crate::tasks::spawn_named;
use crate::time::boot_time_ms;
use actor::{Actor, Command};
pub use lease::Lease;
use recorder::Recorder;
pub use stats::{Stats, TICK_SECONDS};

/// After this long without a tick that surely succeeded, a lease may belong to somebody else.
///
/// The session's time to live, less one step of the bounded clock and half a second for the way.
const FENCE_MS: u64 = 3_500;
/// How long a request waits for a store that does not answer, before it is told to come back.
const AWAY_PATIENCE: Duration = Duration::from_millis(3_500);
/// How long another process of the same name may be on its way out.
const DUPLICATE_PATIENCE: Duration = Duration::from_secs(3);
/// The pause before a call is sent again, at first and at most; drawn anew each time between nothing and that, so that
/// the replicas that one fault has cut off do not come back in one moment.
const BACK_OFF_MIN: Duration = Duration::from_millis(40);
const BACK_OFF_MAX: Duration = Duration::from_millis(200);

/// What a replica needs to join.
pub struct JoinOptions {
    pub state: Arc<dyn SharedState>,
    pub replica: ReplicaName,
    /// What this replica's configuration declares.
    pub catalog: Catalog,
    /// Write every operation and its reply there, as JSON lines.
    pub record: Option<PathBuf>,
    /// Where this replica's standing with the store is told, from the first try on.
    pub status: StoreStatus,
    /// Counts the session's task: shutdown waits for it.
    pub tracker: TaskTracker,
}

#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    #[error(
        "`replica.name`: `{0}` is the name of another router that is alive; give each replica its own"
    )]
    Duplicate(ReplicaName),
    #[error("{0}")]
    Refused(String),
    #[error("the recording cannot be written: {0}")]
    Record(#[source] std::io::Error),
}

/// A replica's membership in the cluster; cheap to clone. All admissions of this process go through it.
#[derive(Clone)]
pub struct Session {
    commands: mpsc::UnboundedSender<Command>,
    common: Arc<Common>,
}

/// What the actor tells the handles.
struct Common {
    state: Arc<dyn SharedState>,
    catalog: Mutex<Arc<Catalog>>,
    /// The hash of what this replica's configuration declares.
    declared: Mutex<String>,
    tickets: AtomicU64,
    /// When the last tick that succeeded was sent, by [`boot_time_ms`].
    last_sent_ms: AtomicU64,
    is_ready: AtomicBool,
    /// How often a lease may have been lost: when the fence went up, or the store forgot the session.
    fences: watch::Sender<u64>,
    status: StoreStatus,
    // Held only between awaits, hence a std mutex.
    stats: Mutex<Stats>,
}

impl Common {
    fn is_within_fence(&self) -> bool {
        boot_time_ms().saturating_sub(self.last_sent_ms.load(Ordering::Acquire)) < FENCE_MS
    }
}

impl Session {
    /// Opens a session, and keeps trying while the store is away.
    ///
    /// # Errors
    ///
    /// When trying again cannot help: the name is taken, or the store refuses this replica.
    pub async fn join(options: JoinOptions) -> Result<Self, JoinError> {
        let JoinOptions {
            state,
            replica,
            catalog,
            record,
            status,
            tracker,
        } = options;
        let recorder = record
            .map(Recorder::create)
            .transpose()
            .map_err(JoinError::Record)?;
        let (wake_ups, woken) = mpsc::unbounded_channel();
        let began = Instant::now();
        let mut back_off = BACK_OFF_MIN;
        let boot = Boot {
            session: SessionId::from(Uuid::new_v4().to_string()),
            replica: replica.clone(),
        };
        let (sent_ms, reply, agreed) = loop {
            let sent_ms = boot_time_ms();
            match state.boot(&boot, &catalog, &wake_ups).await {
                Ok((reply, agreed)) if reply.status == Status::Done => {
                    break (sent_ms, reply, agreed);
                }
                Ok((reply, _))
                    if reply.status == Status::Duplicate
                        && began.elapsed() > DUPLICATE_PATIENCE =>
                {
                    return Err(JoinError::Duplicate(replica));
                }
                Ok(_) => status.came_back(),
                Err(StateError::Refused(trouble)) => {
                    return Err(JoinError::Refused(trouble.sentence));
                }
                Err(StateError::Away(trouble)) => status.failed(&trouble),
            }
            tokio::time::sleep(jittered(back_off)).await;
            back_off = (back_off * 2).min(BACK_OFF_MAX);
        };
        status.came_back();
        if agreed.hash != catalog.hash {
            tracing::warn!(
                "This configuration differs from the one in force in the state store, which stays in force until a \
                 coordinator publishes another one, or all routers have stopped"
            );
        }

        let agreed = Arc::new(agreed);
        let declared = catalog.hash;
        let common = Arc::new(Common {
            state,
            catalog: Mutex::new(Arc::clone(&agreed)),
            declared: Mutex::new(declared),
            tickets: AtomicU64::new(0),
            last_sent_ms: AtomicU64::new(sent_ms),
            is_ready: AtomicBool::new(false),
            fences: watch::Sender::new(0),
            status,
            stats: Mutex::default(),
        });
        let (commands, received) = mpsc::unbounded_channel();
        let session = Self { commands, common };
        let actor = Actor::new(&session, boot, &reply, agreed, recorder, wake_ups);
        spawn_named(&tracker, "session", actor.run(received, woken));
        Ok(session)
    }

    /// Asks for a lease; waits in the cluster-wide queue until `deadline` at most.
    ///
    /// Dropping the future leaves the queue, and gives back a grant that was already on its way.
    ///
    /// # Errors
    ///
    /// Why there is no lease, and when to try again.
    pub async fn acquire(&self, claim: Claim, deadline: Instant) -> Result<Lease, Refusal> {
        let ticket = Ticket(self.common.tickets.fetch_add(1, Ordering::Relaxed) + 1);
        let (answer, answered) = oneshot::channel();
        let draining = || Refusal {
            reason: RefusalReason::Draining,
            retry_after: Duration::from_secs(1),
        };
        if self
            .commands
            .send(Command::Acquire {
                ticket,
                claim,
                answer,
            })
            .is_err()
        {
            return Err(draining());
        }
        let place = Place {
            ticket,
            commands: Some(self.commands.clone()),
        };
        match tokio::time::timeout_at(deadline.into(), answered).await {
            Ok(answer) => {
                place.taken();
                answer.unwrap_or_else(|_| Err(draining()))
            }
            Err(_) => Err(Refusal {
                reason: RefusalReason::Deadline,
                retry_after: Duration::from_secs(1),
            }),
        }
    }

    /// A tick has succeeded, and learning was over: this replica can serve.
    pub fn is_ready(&self) -> bool {
        self.common.is_ready.load(Ordering::Acquire)
    }

    /// The catalog that the store and this replica agree on.
    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(
            &self
                .common
                .catalog
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Says what this replica's configuration declares from now on; what is in force is not changed by that.
    pub fn declare(&self, catalog: &Catalog) {
        let mut declared = self
            .common
            .declared
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        declared.clone_from(&catalog.hash);
    }

    /// The one quota view.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn view(&self) -> Result<View, StateError> {
        self.common.state.view().await
    }

    /// What this replica has done and seen, for metrics.
    pub fn stats(&self) -> Stats {
        let in_force = self.catalog();
        let declared = self
            .common
            .declared
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let stats = self
            .common
            .stats
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Stats {
            catalog_version: in_force.version,
            catalog_differs: in_force.hash != *declared,
            ..stats.clone()
        }
    }

    /// How this replica stands with the store.
    pub fn status(&self) -> &StoreStatus {
        &self.common.status
    }

    /// Leaves the cluster: whoever waits is refused with `Draining`. Leases that still run are left to their expiry.
    pub async fn leave(&self) {
        let (done, left) = oneshot::channel();
        if self.commands.send(Command::Leave(done)).is_ok() {
            // An error means that the actor has ended already.
            let _ = left.await;
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

/// A pause of up to `back_off`.
fn jittered(back_off: Duration) -> Duration {
    back_off.mul_f64(fastrand::f64())
}

/// A place in the queue, which whoever drops it leaves.
struct Place {
    ticket: Ticket,
    commands: Option<mpsc::UnboundedSender<Command>>,
}

impl Place {
    fn taken(mut self) {
        self.commands = None;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(commands) = self.commands.take() {
            // Without an actor there is no place to leave.
            let _ = commands.send(Command::Cancel(self.ticket));
        }
    }
}
