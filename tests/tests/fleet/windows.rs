//! Rate windows, as the provider counts them: never more than the limit in any sliding interval, and hardly less.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use tests::client::Request;
use tests::figures::{alone, figure};
use tests::fleet::{Fleet, MODEL, Setup};
use tests::oracle::{Arrival, worst_window};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// Tokens of each answer; the requests allow some more, so the estimate is never below the usage.
const TOKENS: u32 = 30;
const TOKENS_MAX: u32 = 36;

/// One run of one kind of window.
#[derive(Clone, Copy)]
struct Run {
    kind: &'static str,
    limit: u32,
    /// The provider's interval.
    interval: Duration,
    /// The shortest time for which the store's ring holds a charge: the interval and the guard bucket.
    cycle: Duration,
    cycles: u32,
    /// Requests that use up the limit once.
    requests: u32,
    cost: fn(&Arrival) -> u64,
}

#[tokio::test(flavor = "multi_thread")]
async fn rate_windows_hold_at_the_provider_and_are_used_up() {
    let _machine = alone().await;
    let qps = Run {
        kind: "qps",
        limit: 5,
        interval: Duration::from_secs(1),
        cycle: Duration::from_millis(1_025),
        // Two cycles of so short a window would say little.
        cycles: 57,
        requests: 5,
        cost: |_| 1,
    };
    let rpm = Run {
        kind: "rpm",
        limit: 60,
        interval: Duration::from_secs(60),
        cycle: Duration::from_millis(60_500),
        cycles: 2,
        requests: 60,
        cost: |_| 1,
    };
    let tpm = Run {
        kind: "tpm",
        limit: 6_000,
        requests: 6_000 / TOKENS,
        cost: |arrival| arrival.tokens,
        ..rpm
    };

    // They are light; the heavy tests do not run meanwhile.
    let outcomes = tokio::join!(measure(qps), measure(rpm), measure(tpm));

    for (run, worst, used) in [outcomes.0, outcomes.1, outcomes.2] {
        let Run { kind, limit, .. } = run;
        figure(
            &format!("{kind} {limit}: worst interval at the provider"),
            worst,
            format!("<= {limit}"),
        );
        figure(
            &format!("{kind} {limit}: used over {} cycles", run.cycles),
            format!("{:.1} %", used * 100.0),
            ">= 93 %",
        );
    }
    for (run, worst, used) in [outcomes.0, outcomes.1, outcomes.2] {
        assert!(worst <= u64::from(run.limit), "{}: {worst}", run.kind);
        assert!(used >= 0.93, "{}: {used}", run.kind);
    }
}

/// Returns the worst interval, and the share of the limit that was used.
async fn measure(run: Run) -> (Run, u64, f64) {
    let tokens = TOKENS.to_string().leak();
    let fleet = Fleet::start(Setup {
        simulator: vec![
            "--first-byte",
            "20ms",
            "--jitter",
            "15ms",
            "--tokens-per-second",
            "0",
            "--tokens",
            tokens,
        ],
        keys: json!([{ "name": "only", "secret": "only", "limits": { run.kind: run.limit } }]),
        settings: json!({ "queue": { "max_length": 10_000, "timeout": "10m" } }),
        ..Setup::default()
    })
    .await;
    fleet.simulator.reset().await;

    let length = run.cycle * run.cycles;
    // A cycle more, so that nothing runs dry before the end.
    let mut clients = demand(run, length + run.cycle, &fleet.addresses());
    sleep_until(Instant::now() + length + Duration::from_secs(1)).await;

    let arrivals = fleet.simulator.arrivals("only").await;
    let worst = worst_window(&arrivals, micros(run.interval), run.cost);
    let end = arrivals[0].at + micros(length);
    let used: u64 = arrivals
        .iter()
        .filter(|arrival| arrival.at < end)
        .map(run.cost)
        .sum();
    let allowed = f64::from(run.limit) * length.as_secs_f64() / run.interval.as_secs_f64();
    while let Some(status) = clients.try_join_next() {
        assert_eq!(status.unwrap(), Some(200), "a {} client", run.kind);
    }
    (run, worst, used as f64 / allowed)
}

/// Sends twice what the limit allows in each interval: half of it evenly, half right before and after its end.
///
/// Each client tells its status once it is answered; most still wait at the end.
fn demand(run: Run, length: Duration, addresses: &[SocketAddr]) -> JoinSet<Option<u16>> {
    let began = Instant::now();
    let mut moments = Vec::new();
    let mut boundary = Duration::ZERO;
    while boundary < length {
        for index in 0..run.requests {
            moments.push(boundary + run.interval * index / run.requests);
        }
        for index in 0..run.requests {
            let is_before = index % 2 == 0 && !boundary.is_zero();
            let off = run.interval / 200;
            moments.push(if is_before {
                boundary.saturating_sub(off)
            } else {
                boundary + off
            });
        }
        boundary += run.interval;
    }

    let mut clients = JoinSet::new();
    for (index, moment) in moments.into_iter().enumerate() {
        let address = addresses[index % addresses.len()];
        clients.spawn(async move {
            sleep_until(began + moment).await;
            let request = Request::chat_with(MODEL, &json!({ "max_tokens": TOKENS_MAX }));
            Some(request.send(address).await.ok()?.status)
        });
    }
    clients
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap()
}
