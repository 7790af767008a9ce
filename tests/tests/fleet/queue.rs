//! The queue, as thousands of clients of all priorities see it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use shared::state::replay::replay;
use tests::client::Request;
use tests::figures::{alone, figure};
use tests::fleet::{Fleet, MODEL, Setup};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

const CLIENTS: usize = 3_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Served,
    /// 429: the queue was full, or the deadline passed.
    TooMany,
    /// 503: nothing could serve.
    Unavailable,
    /// The client left before.
    Cancelled,
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_three_thousand_waiters_ends_in_exactly_one_way() {
    let _machine = alone().await;
    let fleet = Fleet::start(Setup {
        simulator: vec!["--first-byte", "150ms", "--jitter", "50ms", "--tokens", "1"],
        keys: json!([{ "name": "only", "secret": "only", "limits": { "concurrency": 40 } }]),
        settings: json!({ "queue": { "max_length": 2_200, "timeout": "8s" } }),
        is_recorded: true,
        ..Setup::default()
    })
    .await;
    fleet.simulator.reset().await;
    let addresses = fleet.addresses();

    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        clients.spawn(wait_in_line(addresses[client % addresses.len()], client));
    }
    let ends = timeout(Duration::from_secs(60), clients.join_all())
        .await
        .expect("no client is left waiting");

    sleep(Duration::from_secs(1)).await;
    let view = fleet.replicas[0].view().await;
    let queued: u64 = view.models.iter().map(|model| model.queued).sum();
    let held: u64 = view.scopes.iter().map(|scope| scope.held).sum();
    let seen = fleet.simulator.key("only").await;
    let mut counts: BTreeMap<End, u64> = BTreeMap::new();
    for (end, _) in &ends {
        *counts.entry(*end).or_default() += 1;
    }
    let count = |end| counts.get(&end).copied().unwrap_or_default();
    let mean_wait = |level: u8| {
        let waits: Vec<f64> = ends
            .iter()
            .filter(|(end, sample)| *end == End::Served && sample.priority == level)
            .map(|(_, sample)| sample.took.as_secs_f64())
            .collect();
        waits.iter().sum::<f64>() / waits.len().max(1) as f64
    };

    let replayed = replay(fleet.records());

    figure("3,000 clients", format!("{counts:?}"), "each once");
    figure(
        "queued and held afterwards",
        format!("{queued}, {held}"),
        "0, 0",
    );
    figure("most in flight", seen.in_flight_max, "<= 40");
    figure(
        "mean wait at priority 10 and 5",
        format!("{:.2} s, {:.2} s", mean_wait(10), mean_wait(5)),
        "10 before 5",
    );
    figure(
        "store operations that the machine replays alike",
        format!("{replayed:?}"),
        "all",
    );
    assert_eq!(ends.len(), CLIENTS);
    assert_eq!((queued, held, view.anomalies), (0, 0, 0));
    assert!(seen.in_flight_max <= 40);
    assert!(count(End::Served) > 500, "{counts:?}");
    assert!(count(End::TooMany) > 0, "{counts:?}");
    assert_eq!(count(End::Unavailable), 0, "{counts:?}");
    // Whoever was served reached the provider; besides them, only those who left after their grant did.
    assert!(seen.requests >= count(End::Served));
    assert!(seen.requests <= count(End::Served) + count(End::Cancelled));
    assert!(mean_wait(10) < mean_wait(5));
    assert!(replayed.is_ok(), "{replayed:?}");
}

#[derive(Clone, Copy, Debug)]
struct Wait {
    priority: u8,
    took: Duration,
}

async fn wait_in_line(address: SocketAddr, client: usize) -> (End, Wait) {
    let mut random = fastrand::Rng::with_seed(client as u64);
    let priority = random.u8(0..=10);
    let request = Request::chat(MODEL).header("x-sluice-priority", &priority.to_string());
    let patience = if random.u8(..10) == 0 {
        Duration::from_millis(random.u64(0..6_000))
    } else {
        Duration::from_secs(50)
    };
    sleep(Duration::from_millis(random.u64(0..1_000))).await;

    let began = Instant::now();
    let end = match timeout(patience, request.send(address)).await {
        Err(_) => End::Cancelled,
        Ok(answer) => {
            let answer = answer.expect("a connection that is accepted is answered");
            assert!(answer.is_complete(), "{answer:?}");
            match answer.status {
                200 => End::Served,
                429 | 503 => {
                    assert!(answer.header("retry-after").is_some(), "{answer:?}");
                    if answer.status == 429 {
                        End::TooMany
                    } else {
                        End::Unavailable
                    }
                }
                status => panic!("status {status}: {}", answer.text()),
            }
        }
    };
    let took = began.elapsed();
    (end, Wait { priority, took })
}
