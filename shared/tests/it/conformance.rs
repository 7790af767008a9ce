//! The promises of [`SharedState`], as tests that know only the trait: each runs on memory and on Redis.

use std::sync::Arc;
use std::time::Duration;

use shared::catalog::{Catalog, LimitKind, Limits, ScopeKind, Strategy, WindowKind};
use shared::config::Config;
use shared::ids::{CandidateIndex, ModelIndex, ReplicaName, RowIndex, SessionId, Ticket};
use shared::state::SharedState;
use shared::state::memory::MemoryState;
use shared::state::protocol::{
    Acquire, Boot, Cancel, Grant, Operations, OutcomeCode, PurposeCode, RejectCode, Release,
    Status, TickReply,
};
use shared::state::redis::RedisState;
use shared::time::SystemClock;
use tokio::sync::mpsc;

use super::server::RedisServer;
use super::sessions::{config, slots};

/// A store with a session open, past learning.
pub(crate) struct Opened {
    pub(crate) state: Arc<dyn SharedState>,
    pub(crate) catalog: Catalog,
    pub(crate) session: SessionId,
    seq: u64,
}

impl Opened {
    async fn new(state: Arc<dyn SharedState>, config: &Config, replica: &str) -> Self {
        let boot = boot_of(replica);
        let (wake_ups, _) = mpsc::unbounded_channel();
        let (reply, catalog) = state
            .boot(&boot, &Catalog::declare(config), &wake_ups)
            .await
            .unwrap();
        assert_eq!(reply.status, Status::Done);
        let mut opened = Self {
            state,
            catalog,
            session: boot.session,
            seq: 0,
        };
        loop {
            let reply = opened.tick(Operations::default()).await;
            if reply.learning_until <= reply.now {
                return opened;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub(crate) async fn tick(&mut self, operations: Operations) -> TickReply {
        self.seq += 1;
        self.again(&operations).await
    }

    pub(crate) async fn again(&self, operations: &Operations) -> TickReply {
        self.state
            .tick(&self.session, self.seq, &self.catalog, operations)
            .await
            .unwrap()
    }

    pub(crate) async fn acquire(&mut self, acquire: Acquire) -> TickReply {
        self.tick(Operations {
            acquires: vec![acquire],
            ..Operations::default()
        })
        .await
    }

    pub(crate) async fn release(&mut self, release: Release) -> TickReply {
        self.tick(Operations {
            releases: vec![release],
            ..Operations::default()
        })
        .await
    }

    async fn held(&self) -> u64 {
        self.state.view().await.unwrap().scopes[0].held
    }
}

fn boot_of(replica: &str) -> Boot {
    let session = SessionId::from(format!("session-of-{replica}-{}", fastrand::u64(..)));
    Boot {
        session,
        replica: ReplicaName::from(replica),
    }
}

pub(crate) async fn on_both<F: Future<Output = ()>>(
    config: Config,
    promise: impl Fn(Opened, Opened) -> F,
) {
    let memory: Arc<dyn SharedState> = Arc::new(MemoryState::new(Arc::new(SystemClock::start())));
    promise(
        Opened::new(Arc::clone(&memory), &config, "a").await,
        Opened::new(memory, &config, "b").await,
    )
    .await;

    let server = RedisServer::start();
    let redis =
        || -> Arc<dyn SharedState> { Arc::new(RedisState::new(&server.url, &config).unwrap()) };
    promise(
        Opened::new(redis(), &config, "a").await,
        Opened::new(redis(), &config, "b").await,
    )
    .await;
}

pub(crate) fn ask(ticket: u64, priority: u8, tokens: u32) -> Acquire {
    Acquire {
        ticket: Ticket(ticket),
        model: ModelIndex(0),
        priority,
        tokens,
        callers: Vec::new(),
        allow: Vec::new(),
        no_queue: false,
        purpose: PurposeCode::REQUEST,
    }
}

pub(crate) fn end(grant: &Grant, reserved: u32, tokens: u32, outcome: u8) -> Release {
    Release {
        model: ModelIndex(0),
        candidate: grant.candidate,
        callers: Vec::new(),
        reserved,
        granted_at: grant.granted_at,
        tokens,
        outcome: OutcomeCode(outcome),
        first_byte_us: 1,
        token_us: 1,
        retry_ms: 0,
        reported: Vec::new(),
    }
}

pub(crate) const SERVED: u8 = 1;

#[tokio::test]
async fn a_batch_takes_effect_once_however_often_it_is_sent() {
    on_both(
        config(&[slots(2)], Strategy::Weighted),
        |mut a, _| async move {
            let operations = Operations {
                acquires: vec![ask(1, 5, 10)],
                ..Operations::default()
            };
            let reply = a.tick(operations.clone()).await;

            let again = a.again(&operations).await;

            assert_eq!(again, reply);
            assert_eq!(a.held().await, 1);
        },
    )
    .await;
}

#[tokio::test]
async fn a_batch_out_of_turn_changes_nothing() {
    on_both(
        config(&[slots(2)], Strategy::Weighted),
        |mut a, _| async move {
            a.tick(Operations::default()).await;
            a.seq += 5;
            let ahead = a
                .again(&Operations {
                    acquires: vec![ask(1, 5, 10)],
                    ..Operations::default()
                })
                .await;
            a.seq -= 6;
            let behind = a
                .again(&Operations {
                    acquires: vec![ask(2, 5, 10)],
                    ..Operations::default()
                })
                .await;
            a.session = SessionId::from("nobody");
            let unknown = a.again(&Operations::default()).await;

            assert_eq!(
                (ahead.status, behind.status, unknown.status),
                (Status::Rollback, Status::Old, Status::Gone)
            );
            assert_eq!(a.held().await, 0);
        },
    )
    .await;
}

#[tokio::test]
async fn a_name_that_is_alive_cannot_be_taken() {
    on_both(config(&[slots(2)], Strategy::Weighted), |a, _| async move {
        let (wake_ups, _) = mpsc::unbounded_channel();

        let (reply, _) = a
            .state
            .boot(&boot_of("a"), &a.catalog, &wake_ups)
            .await
            .unwrap();

        assert_eq!(reply.status, Status::Duplicate);
    })
    .await;
}

#[tokio::test]
async fn a_session_that_holds_leases_cannot_leave() {
    on_both(
        config(&[slots(2)], Strategy::Weighted),
        |mut a, _| async move {
            let grant = a.acquire(ask(1, 5, 10)).await.grants.remove(0);
            let busy = a.state.bye(&a.session, &a.catalog).await.unwrap();
            a.release(end(&grant, 10, 10, SERVED)).await;

            let left = a.state.bye(&a.session, &a.catalog).await.unwrap();

            assert_eq!((busy.status, left.status), (Status::Busy, Status::Done));
        },
    )
    .await;
}

#[tokio::test]
async fn a_stranger_cannot_release_a_lease_and_nobody_can_release_it_twice() {
    on_both(
        config(&[slots(2)], Strategy::Weighted),
        |mut a, mut b| async move {
            let grant = a.acquire(ask(1, 5, 10)).await.grants.remove(0);

            let stranger = b.release(end(&grant, 10, 10, SERVED)).await;
            let held = a.held().await;
            a.release(end(&grant, 10, 10, SERVED)).await;
            let twice = a.release(end(&grant, 10, 10, SERVED)).await;

            assert_eq!((held, stranger.anomalies, twice.anomalies), (1, 1, 2));
            assert_eq!(a.held().await, 0);
        },
    )
    .await;
}

#[tokio::test]
async fn a_freed_slot_goes_to_the_best_waiter_and_a_cancelled_one_is_passed_over() {
    on_both(
        config(&[slots(1)], Strategy::Weighted),
        |mut a, mut b| async move {
            let grant = a.acquire(ask(1, 5, 10)).await.grants.remove(0);
            for (ticket, priority) in [(2, 1), (3, 9), (4, 9), (5, 5)] {
                assert_eq!(b.acquire(ask(ticket, priority, 10)).await.queued.len(), 1);
            }
            let cancel = Cancel {
                model: ModelIndex(0),
                ticket: Ticket(3),
            };
            b.tick(Operations {
                cancels: vec![cancel],
                ..Operations::default()
            })
            .await;

            a.release(end(&grant, 10, 10, SERVED)).await;

            let mail = b.tick(Operations::default()).await.mail;
            assert_eq!(
                mail.grants
                    .iter()
                    .map(|grant| grant.ticket)
                    .collect::<Vec<_>>(),
                [Ticket(4)]
            );
        },
    )
    .await;
}

#[tokio::test]
async fn a_window_admits_its_limit_and_says_when_it_opens() {
    let limits = Limits {
        rpm: Some(3),
        ..Limits::default()
    };
    on_both(
        config(&[limits], Strategy::Weighted),
        |mut a, _| async move {
            let granted = a.tick(Operations {
                acquires: (1..=3).map(|t| ask(t, 5, 1)).collect(),
                ..Operations::default()
            });
            assert_eq!(granted.await.grants.len(), 3);

            let refused = a
                .acquire(Acquire {
                    no_queue: true,
                    ..ask(4, 5, 1)
                })
                .await
                .rejected
                .remove(0);

            assert_eq!(
                (refused.reason, refused.kind),
                (RejectCode::Limit, LimitKind::Window(WindowKind::Rpm))
            );
            assert!((60_000..=61_000).contains(&refused.retry_ms), "{refused:?}");
        },
    )
    .await;
}

#[tokio::test]
async fn unused_tokens_come_back_and_an_unsent_request_costs_nothing() {
    let limits = Limits {
        rpm: Some(2),
        tpm: Some(100),
        ..Limits::default()
    };
    on_both(
        config(&[limits], Strategy::Weighted),
        |mut a, _| async move {
            let grant = a.acquire(ask(1, 5, 90)).await.grants.remove(0);
            a.release(end(&grant, 90, 20, SERVED)).await;
            let grant = a.acquire(ask(2, 5, 80)).await.grants.remove(0);
            let unsent = 0;
            a.release(end(&grant, 80, 0, unsent)).await;

            let reply = a.acquire(ask(3, 5, 80)).await;

            assert_eq!(reply.grants.len(), 1);
            let windows = &a.state.view().await.unwrap().scopes[0].windows;
            assert_eq!(
                windows.iter().map(|window| window.used).collect::<Vec<_>>(),
                [2, 100]
            );
        },
    )
    .await;
}

#[tokio::test]
async fn what_can_never_fit_is_refused_at_once() {
    let limits = Limits {
        tpm: Some(100),
        ..Limits::default()
    };
    on_both(
        config(&[limits], Strategy::Weighted),
        |mut a, _| async move {
            let large = a.acquire(ask(1, 5, 101)).await.rejected.remove(0);
            let nowhere = a
                .acquire(Acquire {
                    allow: vec![CandidateIndex(7)],
                    ..ask(2, 5, 1)
                })
                .await
                .rejected
                .remove(0);

            assert_eq!(
                (large.reason, large.row),
                (RejectCode::TooLarge, RowIndex(0))
            );
            assert_eq!(nowhere.reason, RejectCode::Unavailable);
        },
    )
    .await;
}

#[tokio::test]
async fn a_full_queue_sheds_its_tail_for_a_better_claim_and_refuses_a_worse_one() {
    let mut config = config(&[slots(1)], Strategy::Weighted);
    config.queue.max_length = 2;
    on_both(config, |mut a, mut b| async move {
        a.acquire(ask(1, 5, 1)).await;
        for ticket in [2, 3] {
            b.acquire(ask(ticket, 5, 1)).await;
        }

        let refused = a.acquire(ask(4, 5, 1)).await.rejected.remove(0);
        let better = a.acquire(ask(5, 6, 1)).await;

        assert_eq!(
            (refused.reason, better.queued.len()),
            (RejectCode::QueueFull, 1)
        );
        let shed = b.tick(Operations::default()).await.mail.rejected.remove(0);
        assert_eq!((shed.ticket, shed.reason), (Ticket(3), RejectCode::Shed));
    })
    .await;
}

#[tokio::test]
async fn a_large_request_at_the_head_is_not_starved_by_small_ones() {
    let limits = Limits {
        tpm: Some(100),
        ..Limits::default()
    };
    on_both(
        config(&[limits], Strategy::Weighted),
        |mut a, _| async move {
            let running = a.acquire(ask(1, 5, 60)).await.grants.remove(0);
            assert_eq!(a.acquire(ask(2, 5, 80)).await.queued.len(), 1);
            // It would fit, but it came later.
            assert_eq!(a.acquire(ask(3, 5, 10)).await.queued.len(), 1);

            let reply = a.release(end(&running, 60, 20, SERVED)).await;

            assert_eq!(
                reply
                    .mail
                    .grants
                    .iter()
                    .map(|grant| grant.ticket)
                    .collect::<Vec<_>>(),
                [Ticket(2)]
            );
        },
    )
    .await;
}

#[tokio::test]
async fn strategies_hold_over_all_sessions() {
    for (strategy, expected) in [
        (Strategy::Balanced, vec![2, 2, 2]),
        (Strategy::FirstAvailable, vec![4, 2, 0]),
        // (in flight + 1) / capacity, evenly: 4, 8 and 12 slots.
        (Strategy::LeastBusy, vec![1, 2, 3]),
    ] {
        let expected = &expected;
        on_both(
            config(&[slots(4), slots(8), slots(12)], strategy),
            |mut a, mut b| async move {
                for ticket in 0..3 {
                    assert_eq!(a.acquire(ask(ticket, 5, 1)).await.grants.len(), 1);
                    assert_eq!(b.acquire(ask(ticket, 5, 1)).await.grants.len(), 1);
                }

                let scopes = a.state.view().await.unwrap().scopes;
                let keys = scopes.iter().filter(|scope| scope.kind == ScopeKind::Key);
                let held: Vec<u64> = keys.map(|scope| scope.held).collect();

                assert_eq!(&held, expected, "{strategy:?}");
            },
        )
        .await;
    }
}
