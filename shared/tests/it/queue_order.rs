//! Ten thousand waiters of all priorities at three replicas: who is served when, by the recordings.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use shared::catalog::{Catalog, Strategy};
use shared::config::Config;
use shared::ids::{ReplicaName, SessionId, Ticket};
use shared::state::record::Recorder;
use shared::state::redis::RedisState;
use shared::state::replay::{Recorded, replay};
use shared::state::session::{JoinOptions, Session};
use shared::state::trouble::StoreStatus;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

use super::server::RedisServer;
use super::sessions::{claim, config, slots};

const WAITERS: u64 = 10_000;

#[tokio::test]
async fn ten_thousand_waiters_are_served_by_priority_then_arrival() {
    let server = RedisServer::start();
    let folder = tempfile::tempdir().unwrap();
    let config = config(&[slots(3), slots(5), slots(8)], Strategy::LeastBusy);
    let paths: Vec<PathBuf> = (0..3)
        .map(|index| folder.path().join(format!("{index}.jsonl")))
        .collect();
    let mut sessions = Vec::new();
    for path in &paths {
        sessions.push(join(&server.url, &config, path).await);
    }

    let until = Instant::now() + Duration::from_secs(120);
    let mut tasks = JoinSet::new();
    for index in 0..WAITERS {
        let session = sessions[usize::try_from(index % 3).unwrap()].clone();
        tasks.spawn(async move {
            let lease = session
                .acquire(claim(fastrand::u8(..11)), until)
                .await
                .unwrap();
            tokio::time::sleep(Duration::from_micros(fastrand::u64(..2_000))).await;
            drop(lease);
        });
    }
    let served = tasks.join_all().await.len() as u64;
    for session in &sessions {
        session.leave().await;
    }

    let recorded: Vec<Recorded> = paths.iter().flat_map(|path| read(path)).collect();
    let (n_waited, misplaced) = misplaced(&recorded);
    eprintln!("served {served} of {WAITERS}, {n_waited} of them waited, {misplaced} out of order");
    assert_eq!((served, misplaced), (WAITERS, 0));
    assert!(n_waited > WAITERS * 9 / 10, "only {n_waited} waited");
    let replayed = replay(recorded);
    assert!(replayed.is_ok(), "{replayed:?}");
}

pub(crate) async fn join(url: &str, config: &Config, path: &Path) -> Session {
    let options = JoinOptions {
        state: Arc::new(RedisState::new(url, config).unwrap()),
        replica: ReplicaName::from(path.to_string_lossy().as_ref()),
        catalog: Catalog::declare(config),
        recorder: Some(Recorder::create(path).unwrap()),
        status: StoreStatus::default(),
        tracker: TaskTracker::new(),
    };
    Session::join(options).await.unwrap()
}

pub(crate) fn read(path: &Path) -> Vec<Recorded> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// How many claims waited, and how many grants passed over somebody better who was waiting.
fn misplaced(recorded: &[Recorded]) -> (u64, u64) {
    // By store tick: who arrived, in order, and who was granted.
    type Waiter = (SessionId, Ticket);
    let mut arrivals: BTreeMap<u64, Vec<(u8, Waiter)>> = BTreeMap::new();
    let mut grants: BTreeMap<u64, Vec<Waiter>> = BTreeMap::new();
    let mut n_waited = 0;
    for recorded in recorded {
        let Recorded::Tick {
            session,
            operations,
            reply,
            ..
        } = recorded
        else {
            continue;
        };
        n_waited += reply.queued.len() as u64;
        let acquires = operations
            .acquires
            .iter()
            .map(|it| (it.priority, (session.clone(), it.ticket)));
        arrivals.entry(reply.tick).or_default().extend(acquires);
        for grant in reply.grants.iter().chain(&reply.mail.grants) {
            grants
                .entry(grant.tick)
                .or_default()
                .push((session.clone(), grant.ticket));
        }
    }

    // (10 - priority, tick, position in the batch): the least is the best.
    let mut waiting: BTreeSet<(u8, u64, usize)> = BTreeSet::new();
    let mut places = BTreeMap::new();
    let ticks: BTreeSet<u64> = arrivals.keys().chain(grants.keys()).copied().collect();
    let mut misplaced = 0;
    for tick in ticks {
        for (position, (priority, waiter)) in
            arrivals.remove(&tick).into_iter().flatten().enumerate()
        {
            let place = (10 - priority, tick, position);
            waiting.insert(place);
            places.insert(waiter, place);
        }
        let granted: Vec<_> = grants
            .remove(&tick)
            .into_iter()
            .flatten()
            .map(|waiter| places[&waiter])
            .collect();
        for place in &granted {
            waiting.remove(place);
        }
        // Whoever still waits after the tick must be behind everybody it served.
        let best_left = waiting.first().copied();
        misplaced += granted
            .iter()
            .filter(|place| best_left.is_some_and(|left| left < **place))
            .count() as u64;
    }
    (n_waited, misplaced)
}
