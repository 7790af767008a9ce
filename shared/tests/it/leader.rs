//! Leadership: the promises on both stores, the script against the machine, and the script broken on purpose.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use fastrand::Rng;
use shared::catalog::{Catalog, Strategy};
use shared::ids::{Fence, ReplicaName, RowIndex, SessionId};
use shared::state::SharedState;
use shared::state::memory::MemoryState;
use shared::state::pool::Leader;
use shared::state::protocol::{Boot, Candidacy, Judgement, Leadership, Status, Verdict};
use shared::state::redis::{RedisState, Scripts, TestClock};
use shared::state::view::AdminState;
use shared::time::Clock;
use tokio::sync::mpsc;

use super::server::RedisServer;
use super::sessions::{config, slots};

const WALL: i64 = 1_700_000_000_000;

/// Rules of `lead.lua` broken on purpose: (what, what stands there, what is put instead).
const MUTANTS: &[(&str, &str, &str)] = &[
    (
        "leaps of the clock are not bounded",
        "math.min(math.max(server - wall, 0), STEP_MAX_MS)",
        "math.max(server - wall, 0)",
    ),
    (
        "the clock runs backwards",
        "math.max(server - wall, 0)",
        "server - wall",
    ),
    (
        "a clock that stepped back stands still until it has caught up",
        "wall = server\n",
        "wall = math.max(wall, server)\n",
    ),
    (
        "a leadership never falls free",
        "local is_held = owner ~= '' and now < free_at",
        "local is_held = owner ~= ''",
    ),
    (
        "a living leader is ousted",
        "(owner == candidate or not is_held)",
        "true",
    ),
    (
        "a renewal changes the fence",
        "if owner ~= candidate then fence",
        "if true then fence",
    ),
    (
        "the fence does not grow when the clock stands",
        "math.max(fence + 1, wall)",
        "math.max(fence, wall)",
    ),
    (
        "a store without data begins with small fences",
        "math.max(fence + 1, wall)",
        "fence + 1",
    ),
    (
        "anybody resigns for the leader",
        "if action == 'resign' and owner == candidate then",
        "if action == 'resign' then",
    ),
    (
        "a resignation forgets the fence",
        "owner, address, free_at = '', '', 0\n",
        "owner, address, free_at, fence = '', '', 0, 0\n",
    ),
    (
        "a renewal does not last",
        "candidate, its_address, now + LEADER_TTL_MS",
        "candidate, its_address, math.max(free_at, wall + 1)",
    ),
    ("a look writes", "if action ~= 'look' then", "if true then"),
];

/// A clock that the tests move.
#[derive(Clone)]
struct Moved(Arc<AtomicI64>);

impl Moved {
    fn by(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Clock for Moved {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

fn on_redis(url: &str, clock: &TestClock, edit: impl Fn(&str, &str) -> String) -> RedisState {
    let scripts = Scripts::for_tests(Arc::clone(clock), edit);
    RedisState::with_scripts(url, scripts, Catalog::clone).unwrap()
}

fn candidate(owner: &str) -> Candidacy {
    Candidacy {
        owner: owner.to_owned(),
        address: format!("{owner}:9090"),
        resigns: false,
    }
}

fn resignation(owner: &str) -> Candidacy {
    Candidacy {
        resigns: true,
        ..candidate(owner)
    }
}

/// Runs `promise` on both stores; it gets the store, and what moves its clock.
async fn on_both<F: Future<Output = ()>>(
    promise: impl Fn(Arc<dyn SharedState>, Box<dyn Fn(i64)>) -> F,
) {
    let clock = Moved(Arc::new(AtomicI64::new(WALL)));
    let memory = Arc::new(MemoryState::new(Arc::new(clock.clone())));
    promise(memory, Box::new(move |ms| clock.by(ms))).await;

    let server = RedisServer::start();
    let clock: TestClock = Arc::new(Mutex::new((WALL, "aa".to_owned())));
    let redis = Arc::new(on_redis(&server.url, &clock, |_, source| source.to_owned()));
    promise(redis, Box::new(move |ms| clock.lock().unwrap().0 += ms)).await;
}

#[tokio::test]
async fn one_coordinator_leads_until_it_stops_renewing() {
    on_both(|state, pass| async move {
        let first = state.lead(&candidate("a")).await.unwrap();
        for _ in 0..10 {
            pass(1_500);
            let other = state.lead(&candidate("b")).await.unwrap();
            assert_eq!(
                (other.owner.as_str(), other.address.as_str()),
                ("a", "a:9090")
            );
            let renewed = state.lead(&candidate("a")).await.unwrap();
            assert_eq!((renewed.fence, renewed.remaining_ms), (first.fence, 6_000));
        }
        for _ in 0..3 {
            pass(1_999);
            assert_eq!(state.lead(&candidate("b")).await.unwrap().owner, "a");
        }

        pass(3);
        let second = state.lead(&candidate("b")).await.unwrap();

        assert_eq!(second.owner, "b");
        assert!(second.fence > first.fence, "{second:?}");
        assert_eq!(state.lead(&candidate("a")).await.unwrap(), second);
    })
    .await;
}

#[tokio::test]
async fn who_resigns_is_followed_at_once_by_a_greater_fence() {
    on_both(|state, pass| async move {
        let first = state.lead(&candidate("a")).await.unwrap();
        let not_asked = state.lead(&resignation("b")).await.unwrap();
        let resigned = state.lead(&resignation("a")).await.unwrap();
        let seen = state.leader().await.unwrap();
        // Also behind a clock that stepped back.
        pass(-3_600_000);

        let second = state.lead(&candidate("b")).await.unwrap();

        assert_eq!(not_asked, first);
        assert_eq!(
            resigned,
            Leadership {
                fence: first.fence,
                ..Leadership::default()
            }
        );
        assert_eq!(seen, resigned);
        assert_eq!(second.fence, Fence(first.fence.0 + 1));
    })
    .await;
}

#[tokio::test]
async fn a_leader_that_was_paused_changes_nothing_when_it_comes_back() {
    on_both(|state, pass| async move {
        let declared = config(&[slots(5)], Strategy::Weighted);
        let boot = Boot {
            session: SessionId::from("session"),
            replica: ReplicaName::from("replica"),
        };
        let (wake_ups, _) = mpsc::unbounded_channel();
        let offered = Catalog::declare(&declared);
        let (_, in_force) = state.boot(&boot, &offered, &wake_ups).await.unwrap();
        let old = state.lead(&candidate("old")).await.unwrap().fence;
        let new = loop {
            pass(2_000);
            let leadership = state.lead(&candidate("new")).await.unwrap();
            if leadership.owner == "new" {
                break leadership.fence;
            }
        };
        let narrower = config(&[slots(1)], Strategy::Weighted);
        let successor = Catalog::succeed(&narrower, &in_force);
        let judgement = |fence| Judgement {
            fence,
            row: RowIndex(0),
            version: None,
            verdict: Verdict::Drain,
        };

        let published = state.publish(old, &successor).await.unwrap();
        let judged = state.judge(&judgement(old)).await.unwrap();
        let (audited, _) = state.audit(old).await.unwrap();

        for reply in [published, judged, audited] {
            assert_eq!(reply.status, Status::Fenced);
        }
        assert_eq!(state.catalog().await.unwrap(), in_force);
        let admin = || async {
            let view = state.view().await.unwrap();
            view.scopes[0].health.as_ref().map(|health| health.admin)
        };
        assert_eq!(admin().await, Some(AdminState::Enabled));
        // The same words from who leads now, and from an operator.
        assert_eq!(
            state.judge(&judgement(new)).await.unwrap().status,
            Status::Done
        );
        assert_eq!(
            state.judge(&judgement(Fence::NONE)).await.unwrap().status,
            Status::Done
        );
        assert_eq!(admin().await, Some(AdminState::Drained));
        assert_eq!(
            state.publish(new, &successor).await.unwrap().status,
            Status::Done
        );
        assert_eq!(state.catalog().await.unwrap(), successor);
    })
    .await;
}

#[tokio::test]
async fn looking_at_the_leader_renews_nothing() {
    on_both(|state, pass| async move {
        state.lead(&candidate("a")).await.unwrap();
        pass(1_000);

        let looks = [state.leader().await.unwrap(), state.leader().await.unwrap()];

        assert_eq!(looks[0].remaining_ms, 5_000);
        assert_eq!(looks[0], looks[1]);
    })
    .await;
}

#[tokio::test]
async fn a_store_that_lost_its_data_gives_greater_fences_still() {
    let server = RedisServer::start();
    let clock: TestClock = Arc::new(Mutex::new((WALL, "aa".to_owned())));
    let state = on_redis(&server.url, &clock, |_, source| source.to_owned());
    let first = state.lead(&candidate("a")).await.unwrap();
    flush(&server.url).await;
    clock.lock().unwrap().0 += 50;

    let nobody = state.leader().await.unwrap();
    let second = state.lead(&candidate("a")).await.unwrap();

    assert_eq!(nobody, Leadership::default());
    assert!(second.fence > first.fence, "{first:?} {second:?}");
}

/// How many calls of one seed were made before the first difference; `Err` tells it.
async fn compare(url: &str, seed: u64, edit: impl Fn(&str, &str) -> String) -> Result<(), String> {
    let clock: TestClock = Arc::new(Mutex::new((WALL, "aa".to_owned())));
    let redis = on_redis(url, &clock, edit);
    let mut machine = Leader::default();
    let mut rng = Rng::with_seed(seed);
    for call in 0..400 {
        let step = match rng.f32() {
            x if x < 0.95 => [0, 1, 200, 1_500, 1_999, 2_500][rng.usize(..6)],
            _ => [-50_000, 3_600_000, -1, 20_000][rng.usize(..4)],
        };
        let wall = {
            let mut clock = clock.lock().unwrap();
            clock.0 += step;
            clock.0
        };
        let candidacy = Candidacy {
            resigns: rng.f32() < 0.05,
            ..candidate(["a", "b", "c"][rng.usize(..3)])
        };
        let (found, expected) = if rng.f32() < 0.2 {
            (redis.leader().await, machine.look(wall))
        } else {
            (
                redis.lead(&candidacy).await,
                machine.apply(wall, &candidacy),
            )
        };
        let found = found.map_err(|error| error.to_string())?;
        if found != expected {
            return Err(format!(
                "seed {seed}, call {call}, {candidacy:?}: the script says {found:?}, the machine {expected:?}"
            ));
        }
    }
    Ok(())
}

#[tokio::test]
async fn script_and_machine_agree_on_who_leads() {
    let server = RedisServer::start();
    for seed in 0..50 {
        flush(&server.url).await;
        compare(&server.url, seed, |_, source| source.to_owned())
            .await
            .unwrap();
    }
    eprintln!("20,000 calls, 0 differences");
}

#[tokio::test]
async fn every_broken_rule_of_leadership_is_noticed() {
    let server = RedisServer::start();
    let mut survivors = Vec::new();
    for (what, from, to) in MUTANTS {
        let is_there = std::cell::Cell::new(false);
        let edit = |name: &str, source: &str| {
            if name != "lead" {
                return source.to_owned();
            }
            is_there.set(source.contains(from));
            source.replacen(from, to, 1)
        };
        let mut is_noticed = false;
        for seed in 0..20 {
            flush(&server.url).await;
            if compare(&server.url, seed, edit).await.is_err() {
                is_noticed = true;
                break;
            }
        }
        assert!(is_there.get(), "lead: `{from}` is not there any more");
        if !is_noticed {
            survivors.push(*what);
        }
    }
    eprintln!("{} mutants, {} survivors", MUTANTS.len(), survivors.len());
    assert!(survivors.is_empty(), "not noticed: {survivors:#?}");
}

async fn flush(url: &str) {
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd("FLUSHALL")
        .exec_async(&mut connection)
        .await
        .unwrap();
}
