//! What the state of a key promises, on the machine and on Redis, with a clock that the tests move.

use std::sync::{Arc, Mutex};

use shared::catalog::{Catalog, Limits, Strategy, WindowKind};
use shared::config::Config;
use shared::ids::{CandidateIndex, Fence, ModelIndex, ReplicaName, RowIndex, SessionId, Ticket};
use shared::lease::Reported;
use shared::state::SharedState;
use shared::state::memory::MemoryState;
use shared::state::protocol::{
    Acquire, Boot, Grant, Judgement, Operations, OutcomeCode, PurposeCode, RejectCode, Release,
    Status, TickReply, Verdict,
};
use shared::state::redis::{RedisState, Scripts, TestClock};
use shared::state::view::{AdminState, HealthView, KeyState};
use shared::time::Clock;
use tokio::sync::mpsc;

use super::server::RedisServer;
use super::sessions::{config, slots};

struct MovedClock(TestClock);

impl Clock for MovedClock {
    fn now_ms(&self) -> i64 {
        self.0.lock().unwrap().0
    }
}

/// Two sessions of one store, past learning.
struct World {
    state: Arc<dyn SharedState>,
    clock: TestClock,
    catalog: Catalog,
    sessions: Vec<(SessionId, u64)>,
    tickets: u64,
}

const A: usize = 0;
const B: usize = 1;

impl World {
    async fn open(state: Arc<dyn SharedState>, clock: TestClock, config: &Config) -> Self {
        let mut world = Self {
            state,
            clock,
            catalog: Catalog::declare(config),
            sessions: Vec::new(),
            tickets: 0,
        };
        for name in ["a", "b"] {
            let boot = Boot {
                session: SessionId::from(name),
                replica: ReplicaName::from(name),
            };
            let (wake_ups, _) = mpsc::unbounded_channel();
            let (reply, catalog) = world
                .state
                .boot(&boot, &world.catalog, &wake_ups)
                .await
                .unwrap();
            assert_eq!(reply.status, Status::Done);
            world.catalog = catalog;
            world.sessions.push((boot.session, 0));
        }
        world.pass(3_000).await;
        world
    }

    async fn tick(&mut self, who: usize, operations: Operations) -> TickReply {
        let (session, seq) = &mut self.sessions[who];
        *seq += 1;
        let reply = self
            .state
            .tick(session, *seq, &self.catalog, &operations)
            .await;
        reply.unwrap()
    }

    /// Lets time pass in steps that the bounded clock follows, with heartbeats of all sessions.
    async fn pass(&mut self, millis: i64) {
        let mut left = millis;
        while left > 0 {
            let step = left.min(1_000);
            self.clock.lock().unwrap().0 += step;
            left -= step;
            for who in 0..self.sessions.len() {
                self.tick(who, Operations::default()).await;
            }
        }
    }

    async fn claim(&mut self, who: usize, acquire: Acquire) -> Result<Grant, RejectCode> {
        self.tickets += 1;
        let acquire = Acquire {
            ticket: Ticket(self.tickets),
            no_queue: true,
            ..acquire
        };
        let operations = Operations {
            acquires: vec![acquire],
            ..Operations::default()
        };
        let mut reply = self.tick(who, operations).await;
        match reply.grants.pop() {
            Some(grant) => Ok(grant),
            None => Err(reply.rejected[0].reason),
        }
    }

    async fn acquire(&mut self, who: usize) -> Result<Grant, RejectCode> {
        self.claim(who, ask()).await
    }

    async fn end(&mut self, who: usize, grant: &Grant, release: impl Fn(&mut Release)) {
        let mut ended = Release {
            model: ModelIndex(0),
            candidate: grant.candidate,
            callers: Vec::new(),
            reserved: 10,
            granted_at: grant.granted_at,
            tokens: 10,
            outcome: OutcomeCode::SERVED,
            first_byte_us: 0,
            token_us: 0,
            retry_ms: 0,
            reported: Vec::new(),
        };
        release(&mut ended);
        let operations = Operations {
            releases: vec![ended],
            ..Operations::default()
        };
        self.tick(who, operations).await;
    }

    /// Requests at one key that all end alike.
    async fn outcomes(&mut self, who: usize, key: u32, n: usize, outcome: OutcomeCode) {
        for _ in 0..n {
            let acquire = Acquire {
                allow: vec![CandidateIndex(key)],
                ..ask()
            };
            let grant = self.claim(who, acquire).await.unwrap();
            self.end(who, &grant, |release| release.outcome = outcome)
                .await;
        }
    }

    async fn health(&self, key: usize) -> HealthView {
        let view = self.state.view().await.unwrap();
        view.scopes[key].health.clone().unwrap()
    }

    async fn judge(&self, key: u32, version: Option<u64>, verdict: Verdict) -> Status {
        let judgement = Judgement {
            fence: Fence::NONE,
            row: RowIndex(key),
            version,
            verdict,
        };
        self.state.judge(&judgement).await.unwrap().status
    }
}

fn ask() -> Acquire {
    Acquire {
        ticket: Ticket(0),
        model: ModelIndex(0),
        priority: 5,
        tokens: 10,
        callers: Vec::new(),
        allow: Vec::new(),
        no_queue: true,
        purpose: PurposeCode::REQUEST,
    }
}

async fn on_both<F: Future<Output = ()>>(config: Config, promise: impl Fn(World) -> F) {
    let clock = || -> TestClock { Arc::new(Mutex::new((1_700_000_000_000, "run".into()))) };
    let at = clock();
    let memory = Arc::new(MemoryState::new(Arc::new(MovedClock(Arc::clone(&at)))));
    promise(World::open(memory, at, &config).await).await;

    let server = RedisServer::start();
    let at = clock();
    let scripts = Scripts::for_tests(Arc::clone(&at), |_, source| source.to_owned());
    let redis = RedisState::with_scripts(&server.url, scripts, {
        let config = config.clone();
        move |previous| Catalog::succeed(&config, previous)
    });
    promise(World::open(Arc::new(redis.unwrap()), at, &config).await).await;
}

fn two_keys() -> Config {
    config(&[slots(50), slots(50)], Strategy::FirstAvailable)
}

#[tokio::test]
async fn five_failures_in_a_row_eject_a_key_and_one_request_in_the_cluster_tries_it_again() {
    on_both(two_keys(), |mut world| async move {
        world.outcomes(A, 0, 4, OutcomeCode::FAILED).await;
        world.outcomes(B, 0, 1, OutcomeCode::SERVED).await;
        world.outcomes(A, 0, 4, OutcomeCode::FAILED).await;
        assert_eq!(world.health(0).await.state, KeyState::Ok);

        world.outcomes(B, 0, 1, OutcomeCode::UNREACHABLE).await;

        let health = world.health(0).await;
        assert_eq!(health.state, KeyState::Ejected);
        let length = health.opens_in_ms.unwrap();
        assert!((27_000..=33_000).contains(&length), "{length}");
        assert_eq!(world.acquire(A).await.unwrap().candidate.0, 1);

        world.pass(length).await;
        let trial = world.acquire(B).await.unwrap();
        assert_eq!(trial.candidate.0, 0);
        for who in [A, B, A] {
            assert_eq!(world.acquire(who).await.unwrap().candidate.0, 1);
        }
        world
            .end(B, &trial, |release| release.outcome = OutcomeCode::SERVED)
            .await;
        assert_eq!(world.health(0).await.state, KeyState::Ok);
        assert_eq!(world.acquire(A).await.unwrap().candidate.0, 0);
    })
    .await;
}

#[tokio::test]
async fn a_failed_trial_ejects_for_longer() {
    on_both(two_keys(), |mut world| async move {
        world.outcomes(A, 0, 5, OutcomeCode::FAILED).await;
        let first = world.health(0).await.opens_in_ms.unwrap();
        world.pass(first).await;

        world.outcomes(A, 0, 1, OutcomeCode::FAILED).await;

        let health = world.health(0).await;
        assert_eq!((health.state, health.ejections), (KeyState::Ejected, 2));
        let second = health.opens_in_ms.unwrap();
        assert!((54_000..=66_000).contains(&second), "{second}");
    })
    .await;
}

#[tokio::test]
async fn a_dead_replica_leaves_the_trial_to_others() {
    on_both(two_keys(), |mut world| async move {
        world.outcomes(A, 0, 5, OutcomeCode::FAILED).await;
        let length = world.health(0).await.opens_in_ms.unwrap();
        world.pass(length).await;
        assert_eq!(world.acquire(B).await.unwrap().candidate.0, 0);
        assert_eq!(world.health(0).await.state, KeyState::Trial);

        world.sessions.truncate(1);
        world.pass(7_000).await;

        assert_eq!(world.acquire(A).await.unwrap().candidate.0, 0);
    })
    .await;
}

#[tokio::test]
async fn what_was_granted_before_a_key_came_back_says_nothing_of_it_now() {
    on_both(two_keys(), |mut world| async move {
        let mut old = Vec::new();
        for _ in 0..10 {
            old.push(world.acquire(A).await.unwrap());
        }
        world.outcomes(A, 0, 5, OutcomeCode::FAILED).await;
        world.pass(100).await;
        world.judge(0, None, Verdict::Up).await;

        for grant in &old {
            world
                .end(A, grant, |release| {
                    release.outcome = OutcomeCode::FAILED;
                })
                .await;
        }

        let health = world.health(0).await;
        assert_eq!((health.state, health.failures), (KeyState::Ok, 0));
    })
    .await;
}

#[tokio::test]
async fn an_ejected_key_is_tried_at_once_where_no_other_is_left() {
    on_both(two_keys(), |mut world| async move {
        world.outcomes(A, 0, 5, OutcomeCode::FAILED).await;
        assert_eq!(world.acquire(A).await.unwrap().candidate.0, 1);

        world.outcomes(A, 1, 1, OutcomeCode::AUTH_FAILED).await;

        assert_eq!(world.acquire(B).await.unwrap().candidate.0, 0);
        assert_eq!(world.health(0).await.state, KeyState::Trial);
    })
    .await;
}

#[tokio::test]
async fn half_of_twenty_failures_eject_and_one_percent_never_does() {
    on_both(two_keys(), |mut world| async move {
        for _ in 0..10 {
            world.outcomes(A, 0, 99, OutcomeCode::SERVED).await;
            world.outcomes(A, 0, 1, OutcomeCode::FAILED).await;
        }
        assert_eq!(world.health(0).await.state, KeyState::Ok);
        world.pass(31_000).await;

        for _ in 0..10 {
            world.outcomes(B, 0, 1, OutcomeCode::SERVED).await;
            world.outcomes(B, 0, 1, OutcomeCode::FAILED).await;
        }

        assert_eq!(world.health(0).await.state, KeyState::Ejected);
    })
    .await;
}

#[tokio::test]
async fn the_last_usable_key_of_a_model_is_never_ejected() {
    on_both(two_keys(), |mut world| async move {
        world.outcomes(A, 0, 5, OutcomeCode::FAILED).await;

        world.outcomes(A, 1, 40, OutcomeCode::FAILED).await;

        assert_eq!(world.health(0).await.state, KeyState::Ejected);
        assert_eq!(world.health(1).await.state, KeyState::Ok);
    })
    .await;
}

#[tokio::test]
async fn bad_requests_and_hang_ups_say_nothing_about_a_key() {
    on_both(two_keys(), |mut world| async move {
        for outcome in [
            OutcomeCode::BAD_REQUEST,
            OutcomeCode::CLIENT_ABORT,
            OutcomeCode::UNSENT,
            OutcomeCode::PROBED,
        ] {
            world.outcomes(A, 0, 25, outcome).await;
        }

        assert_eq!(world.health(0).await, HealthView::default());
    })
    .await;
}

#[tokio::test]
async fn a_429_closes_the_key_for_every_replica_until_its_time() {
    on_both(two_keys(), |mut world| async move {
        let grant = world.acquire(A).await.unwrap();
        let limited = |release: &mut Release| {
            release.outcome = OutcomeCode::RATE_LIMITED;
            release.retry_ms = 3_000;
        };
        world.end(A, &grant, limited).await;

        assert_eq!(world.health(0).await.state, KeyState::Throttled);
        let only = || Acquire {
            allow: vec![CandidateIndex(0)],
            ..ask()
        };
        assert_eq!(world.claim(B, only()).await, Err(RejectCode::Throttled));
        world.pass(2_999).await;
        assert_eq!(world.claim(B, only()).await, Err(RejectCode::Throttled));
        world.pass(1).await;
        assert!(world.claim(B, only()).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_429_without_words_halves_the_slots_and_successes_give_them_back() {
    on_both(two_keys(), |mut world| async move {
        let mut grants = Vec::new();
        for _ in 0..10 {
            grants.push(world.acquire(A).await.unwrap());
        }
        let first = grants.pop().unwrap();
        let limited = |release: &mut Release| release.outcome = OutcomeCode::RATE_LIMITED;

        world.end(A, &first, limited).await;

        assert_eq!(world.health(0).await.slots_learned, Some(7.0));
        world.pass(250).await;
        assert_eq!(world.acquire(B).await.unwrap().candidate.0, 1);
        for grant in &grants {
            world.end(A, grant, |_| {}).await;
        }
        assert!(world.health(0).await.slots_learned.unwrap() > 8.0);
    })
    .await;
}

#[tokio::test]
async fn a_refused_credential_stays_out_until_somebody_brings_it_back() {
    on_both(two_keys(), |mut world| async move {
        world.outcomes(A, 0, 1, OutcomeCode::AUTH_FAILED).await;
        world.outcomes(A, 1, 1, OutcomeCode::EXHAUSTED).await;
        world.pass(400_000).await;
        assert_eq!(world.acquire(B).await, Err(RejectCode::Unavailable));

        for key in [0, 1] {
            assert_eq!(
                world.judge(key, None, Verdict::Reachable).await,
                Status::Done
            );
        }

        assert_eq!(world.health(0).await.state, KeyState::Ok);
        // A list of models costs nothing, so it proves nothing of an account without money.
        assert_eq!(world.health(1).await.state, KeyState::Exhausted);
        world.judge(1, None, Verdict::Up).await;
        assert_eq!(world.health(1).await.state, KeyState::Ok);
    })
    .await;
}

#[tokio::test]
async fn whoever_waits_for_keys_that_an_operator_takes_away_is_told_at_once() {
    on_both(
        config(&[slots(1)], Strategy::Weighted),
        |mut world| async move {
            world.acquire(A).await.unwrap();
            let waits = Acquire {
                ticket: Ticket(77),
                no_queue: false,
                ..ask()
            };
            let operations = Operations {
                acquires: vec![waits],
                ..Operations::default()
            };
            assert_eq!(world.tick(B, operations).await.queued.len(), 1);

            world.judge(0, None, Verdict::Drain).await;

            let mail = world.tick(B, Operations::default()).await.mail;
            assert_eq!(mail.rejected[0].reason, RejectCode::Unavailable);
            assert_eq!(world.health(0).await.admin, AdminState::Drained);
            world.judge(0, None, Verdict::Enable).await;
            assert_eq!(world.health(0).await.admin, AdminState::Enabled);
        },
    )
    .await;
}

#[tokio::test]
async fn a_probe_that_began_before_a_change_cannot_undo_it() {
    on_both(two_keys(), |mut world| async move {
        let seen = world.health(0).await.version;
        world.outcomes(A, 0, 5, OutcomeCode::FAILED).await;

        let status = world.judge(0, Some(seen), Verdict::Up).await;

        assert_eq!(status, Status::Stale);
        assert_eq!(world.health(0).await.state, KeyState::Ejected);
        let seen = world.health(0).await.version;
        assert_eq!(world.judge(0, Some(seen), Verdict::Up).await, Status::Done);
        assert_eq!(world.health(0).await.state, KeyState::Ok);
    })
    .await;
}

#[tokio::test]
async fn a_probe_reaches_an_ejected_key_and_keeps_the_trial_away() {
    on_both(two_keys(), |mut world| async move {
        world.outcomes(A, 0, 5, OutcomeCode::FAILED).await;
        let probe = || Acquire {
            allow: vec![CandidateIndex(0)],
            purpose: PurposeCode::LIGHT_PROBE,
            ..ask()
        };

        let probing = world.claim(A, probe()).await.unwrap();

        assert_eq!(world.claim(B, probe()).await, Err(RejectCode::Limit));
        world.pass(40_000).await;
        assert_eq!(world.acquire(B).await.unwrap().candidate.0, 1);
        world
            .end(A, &probing, |release| release.outcome = OutcomeCode::PROBED)
            .await;
        assert_eq!(world.acquire(B).await.unwrap().candidate.0, 0);
    })
    .await;
}

#[tokio::test]
async fn a_light_probe_is_charged_to_slots_and_seconds_alone() {
    let limits = Limits {
        concurrency: Some(5),
        qps: Some(5),
        rpm: Some(5),
        tpm: Some(5),
        ..Limits::default()
    };
    on_both(
        config(&[limits], Strategy::Weighted),
        |mut world| async move {
            let probe = Acquire {
                tokens: 0,
                allow: vec![CandidateIndex(0)],
                purpose: PurposeCode::LIGHT_PROBE,
                ..ask()
            };
            world.claim(A, probe).await.unwrap();

            let view = world.state.view().await.unwrap();
            let used: Vec<_> = view.scopes[0].windows.iter().map(|it| it.used).collect();
            assert_eq!((view.scopes[0].held, used), (1, vec![1, 0, 0]));
        },
    )
    .await;
}

#[tokio::test]
async fn the_cluster_makes_no_more_retries_than_its_requests_have_earned() {
    on_both(two_keys(), |mut world| async move {
        let retry = || Acquire {
            purpose: PurposeCode::RETRY,
            ..ask()
        };
        // What every epoch begins with, and what 3 seconds of learning trickled in.
        let mut n_retries = 0;
        while let Ok(grant) = world.claim(A, retry()).await {
            world.end(A, &grant, |_| {}).await;
            n_retries += 1;
        }
        assert_eq!(n_retries, 19);
        assert_eq!(world.claim(B, retry()).await, Err(RejectCode::RetryBudget));

        world.outcomes(B, 0, 5, OutcomeCode::SERVED).await;

        assert!(world.claim(B, retry()).await.is_ok());
        assert_eq!(world.claim(A, retry()).await, Err(RejectCode::RetryBudget));
    })
    .await;
}

#[tokio::test]
async fn what_a_provider_reports_closes_the_window_for_all_until_it_resets() {
    let limits = Limits {
        rpm: Some(100),
        ..Limits::default()
    };
    on_both(
        config(&[limits], Strategy::Weighted),
        |mut world| async move {
            let grant = world.acquire(A).await.unwrap();
            let report = Reported {
                kind: WindowKind::Rpm.code(),
                limit: 60,
                remaining: 1,
                resets_in_ms: 10_000,
            };
            world
                .end(A, &grant, |release| release.reported = vec![report])
                .await;

            assert!(world.acquire(B).await.is_ok());
            assert_eq!(world.acquire(B).await, Err(RejectCode::Limit));
            let view = world.state.view().await.unwrap();
            assert_eq!(view.scopes[0].windows[0].limit_learned, Some(60));
            world.pass(11_000).await;
            assert!(world.acquire(A).await.is_ok());
        },
    )
    .await;
}

#[tokio::test]
async fn the_fastest_key_is_taken_until_its_load_makes_up_for_it() {
    on_both(
        config(&[Limits::default(), Limits::default()], Strategy::Fastest),
        |mut world| async move {
            for (key, micros) in [(0, 30_000), (1, 10_000)] {
                let acquire = Acquire {
                    allow: vec![CandidateIndex(key)],
                    ..ask()
                };
                let grant = world.claim(A, acquire).await.unwrap();
                world
                    .end(A, &grant, |release| release.first_byte_us = micros)
                    .await;
            }

            let mut picked = Vec::new();
            for _ in 0..8 {
                picked.push(world.acquire(B).await.unwrap().candidate.0);
            }

            let n_slow = picked.iter().filter(|key| **key == 0).count();
            assert_eq!((picked[0], n_slow), (1, 2), "{picked:?}");
        },
    )
    .await;
}
