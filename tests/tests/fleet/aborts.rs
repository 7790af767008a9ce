//! Clients that hang up, at any moment and in any manner: nothing leaks, and the provider is told at once.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tests::client::{Connection, Request};
use tests::figures::{alone, figure, quantile, unix_us};
use tests::fleet::{Fleet, MODEL, Setup};
use tests::oracle::{Arrival, in_flight_max};
use tests::streams::{Stage, Streams};
use tokio::task::JoinSet;
use tokio::time::sleep;

const ABORTS: usize = 10_000;
const CLIENTS: usize = 100;
const SLOTS: u32 = 60;
/// Tokens of an answer that nobody waits for the end of: four seconds.
const LONG: u64 = 2_000;
/// Tokens of an answer that is read to its end.
const SHORT: u64 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// After the request, whatever state it is in by then.
    AtRandom,
    /// The same, with two bytes behind the body that belong to no request.
    AfterStrayBytes,
    /// After some pieces of a stream.
    MidStream,
    /// At the very end of a stream, when the lease is being settled.
    AtTheEnd,
}

/// One abort: when the client began, and when it hung up; microseconds since 1970.
#[derive(Clone, Copy, Debug)]
struct Abort {
    began: i64,
    hung_up: i64,
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_hang_ups_leak_nothing() {
    let _machine = alone().await;
    let fleet = Fleet::start(Setup {
        simulator: vec![
            "--first-byte",
            "20ms",
            "--jitter",
            "10ms",
            "--tokens-per-second",
            "500",
            "--tokens",
            "2000",
        ],
        keys: json!([{ "name": "only", "secret": "only", "limits": { "concurrency": SLOTS } }]),
        ..Setup::default()
    })
    .await;
    fleet.simulator.reset().await;

    let aborts = hang_up_often(&fleet.addresses()).await;
    sleep(Duration::from_secs(1)).await;
    let view = fleet.replicas[0].view().await;
    let held: u64 = view.scopes.iter().map(|scope| scope.held).sum();
    let queued: u64 = view.models.iter().map(|model| model.queued).sum();
    let seen = fleet.simulator.key("only").await;
    let arrivals = fleet.simulator.arrivals("only").await;
    let mut latencies = latencies_ms(&aborts, &arrivals);
    let swept = in_flight_max(&until_hang_up(&aborts, &arrivals));

    // All slots are there: more streams than slots, and exactly the slots run.
    let mut streams = Streams::new();
    for address in fleet.addresses() {
        streams.open(address, SLOTS as usize, &Request::stream(MODEL));
    }
    streams
        .wait(Stage::Running, SLOTS as usize, Duration::from_secs(5))
        .await;
    // Long enough for one too many to show.
    sleep(Duration::from_millis(300)).await;
    let fresh = fleet.simulator.key("only").await.in_flight;

    let n_aborts: usize = aborts.iter().map(Vec::len).sum();
    let n_reached = latencies.len();
    let p99 = quantile(&mut latencies, 0.99);
    let worst = quantile(&mut latencies, 1.0);
    figure("aborts", n_aborts, ABORTS);
    figure("of them seen by the provider", n_reached, "many");
    figure(
        "leases held and requests queued after 1 s",
        format!("{held}, {queued}"),
        "0, 0",
    );
    figure("anomalies", view.anomalies, 0);
    figure(
        "most in flight that somebody waited for",
        swept,
        format!("<= {SLOTS}"),
    );
    figure("provider aborted, p99", format!("{p99:.0} ms"), "<= 250 ms");
    figure(
        "provider aborted, worst",
        format!("{worst:.0} ms"),
        "<= 1000 ms",
    );
    figure("fresh streams at once", fresh, SLOTS);
    assert_eq!(n_aborts, ABORTS);
    assert_eq!((held, queued, view.anomalies, seen.in_flight), (0, 0, 0, 0));
    assert!(swept <= i64::from(SLOTS), "{swept}");
    assert!(n_reached > ABORTS / 10, "{n_reached}");
    assert!(p99 <= 250.0 && worst <= 1_000.0, "{p99} {worst}");
    assert_eq!(fresh, u64::from(SLOTS));
}

/// Returns each client's aborts in their order.
async fn hang_up_often(addresses: &[SocketAddr]) -> Vec<Vec<Abort>> {
    let left = Arc::new(AtomicUsize::new(ABORTS));
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let address = addresses[client % addresses.len()];
        let left = Arc::clone(&left);
        clients.spawn(async move {
            let mut random = fastrand::Rng::with_seed(client as u64);
            let mut aborts = Vec::new();
            let take_one = |left: usize| left.checked_sub(1);
            while left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take_one)
                .is_ok()
            {
                let began = unix_us();
                let hung_up = hang_up_once(address, client, &mut random)
                    .await
                    .expect("a replica under aborts still accepts and answers");
                aborts.push(Abort { began, hung_up });
            }
            (client, aborts)
        });
    }
    let mut aborts = clients.join_all().await;
    aborts.sort_by_key(|(client, _)| *client);
    aborts.into_iter().map(|(_, aborts)| aborts).collect()
}

/// One request and its end; returns when the client hung up.
async fn hang_up_once(
    address: SocketAddr,
    client: usize,
    random: &mut fastrand::Rng,
) -> io::Result<i64> {
    let moments = [
        Moment::AtRandom,
        Moment::AfterStrayBytes,
        Moment::MidStream,
        Moment::AtTheEnd,
    ];
    let moment = moments[random.usize(..moments.len())];
    let mut connection = Connection::open(address).await?;
    connection
        .write(&request(client, moment, random.bool()))
        .await?;
    match moment {
        Moment::AtRandom => {
            sleep(Duration::from_micros(random.u64(0..80_000))).await;
        }
        Moment::AfterStrayBytes => {
            connection.write_bytes(b"\r\n").await?;
            sleep(Duration::from_micros(random.u64(0..80_000))).await;
        }
        Moment::MidStream => {
            let mut answer = connection.head().await?;
            for _ in 0..random.usize(1..10) {
                connection.piece(&mut answer).await?;
            }
        }
        Moment::AtTheEnd => {
            let mut answer = connection.head().await?;
            while connection.piece(&mut answer).await? && !answer.text().contains("[DONE]") {}
        }
    }
    let hung_up = unix_us();
    if random.bool() {
        connection.reset()?;
    }
    Ok(hung_up)
}

/// A prompt whose length in tokens names the client, so that the oracle's arrivals tell whose they are.
fn request(client: usize, moment: Moment, is_plain: bool) -> Request {
    let is_streamed = match moment {
        Moment::AtRandom | Moment::AfterStrayBytes => !is_plain,
        Moment::MidStream | Moment::AtTheEnd => true,
    };
    let tokens = if moment == Moment::AtTheEnd {
        SHORT
    } else {
        LONG
    };
    let prompt = "word".repeat(client + 1);
    Request::chat_with(
        MODEL,
        &json!({
            "messages": [{ "role": "user", "content": prompt }],
            "stream": is_streamed,
            "max_tokens": tokens,
        }),
    )
}

/// How long after its client each aborted request ended at the provider.
fn latencies_ms(aborts: &[Vec<Abort>], arrivals: &[Arrival]) -> Vec<f64> {
    let latency = |arrival: &Arrival| {
        let ended = arrival.aborted_at?;
        Some((ended - hung_up_at(aborts, arrival, ended)) as f64 / 1_000.0)
    };
    arrivals.iter().filter_map(latency).collect()
}

/// The arrivals, each aborted one ending when its client hung up: the slot is given on while the provider is told.
fn until_hang_up(aborts: &[Vec<Abort>], arrivals: &[Arrival]) -> Vec<Arrival> {
    let mut wanted = arrivals.to_vec();
    for arrival in &mut wanted {
        if let Some(ended) = arrival.aborted_at {
            let hung_up = hung_up_at(aborts, arrival, ended);
            arrival.ended = Some(hung_up.max(arrival.at));
        }
    }
    wanted
}

/// When the client of an aborted request hung up: it has one request at a time, and hangs up before it is noticed.
fn hung_up_at(aborts: &[Vec<Abort>], arrival: &Arrival, ended: i64) -> i64 {
    let answered = if arrival.tokens > LONG { LONG } else { SHORT };
    let client = usize::try_from(arrival.tokens - answered).unwrap() - 1;
    let abort = aborts[client]
        .iter()
        .rfind(|abort| abort.began <= arrival.at && abort.hung_up <= ended);
    abort.expect("a request before its arrival").hung_up
}
