//! All that can happen to Redis, one after the other under one load, with every store operation on record.

use std::time::Duration;

use serde_json::json;
use shared::state::replay::replay;
use tests::client::Request;
use tests::figures::{alone, figure, is_long, say};
use tests::fleet::{Fleet, MODEL, Setup};
use tests::ingress::Ingress;
use tests::load::{Sample, by_status};
use tests::oracle::{in_flight_max, worst_window};
use tests::proxy::Fault;
use tokio::time::{Instant, sleep};

const SLOTS: u64 = 20;
const PER_SECOND: u64 = 100;
const CLIENTS: usize = 40;
/// `queue.timeout` of this fleet: the deadline of every request, but for the 250 ms that an answer takes.
const DEADLINE: Duration = Duration::from_secs(12);
const FULL_AFTER_TROUBLE: Duration = Duration::from_secs(2);
const FULL_AFTER_LOSS: Duration = Duration::from_secs(8);

#[derive(Clone, Copy, Debug)]
enum Chaos {
    FlushScripts,
    KillClients,
    Freeze(Duration),
    Link(Fault),
    OutOfMemory,
    ReadOnly,
    ForeignScript,
    OldDump,
    FlushAll,
    RestartEmpty,
}

impl Chaos {
    fn all() -> Vec<Self> {
        let once = [
            Self::FlushScripts,
            Self::KillClients,
            Self::Freeze(Duration::from_secs(5)),
            Self::Link(Fault::Reset),
            Self::Link(Fault::Garbage),
            Self::OutOfMemory,
            Self::ReadOnly,
            Self::ForeignScript,
            Self::OldDump,
            Self::FlushAll,
            Self::RestartEmpty,
        ];
        if !is_long() {
            return once.to_vec();
        }
        let frozen = Self::Freeze(Duration::from_secs(10));
        let round = once.into_iter().chain([frozen]);
        std::iter::repeat_n(round, 5).flatten().collect()
    }

    fn loses_data(self) -> bool {
        matches!(self, Self::OldDump | Self::FlushAll | Self::RestartEmpty)
    }

    fn full_within(self) -> Duration {
        if self.loses_data() {
            FULL_AFTER_LOSS
        } else {
            FULL_AFTER_TROUBLE
        }
    }

    /// Does it; Redis answers again when this returns.
    async fn happen(self, fleet: &mut Fleet) {
        const WHILE: Duration = Duration::from_millis(1_500);
        let redis = &mut fleet.redis;
        match self {
            Self::FlushScripts => {
                for _ in 0..20 {
                    redis.must(&["SCRIPT", "FLUSH"]).await;
                    sleep(Duration::from_millis(100)).await;
                }
            }
            Self::KillClients => {
                for _ in 0..20 {
                    for kind in ["normal", "pubsub"] {
                        redis.must(&["CLIENT", "KILL", "TYPE", kind]).await;
                    }
                    sleep(Duration::from_millis(100)).await;
                }
            }
            Self::Freeze(long) => {
                redis.freeze();
                sleep(long).await;
                redis.thaw();
            }
            Self::Link(fault) => {
                let link = fleet.link.as_ref().unwrap();
                link.set(fault);
                sleep(WHILE).await;
                link.set(Fault::None);
            }
            Self::OutOfMemory => {
                redis.must(&["CONFIG", "SET", "maxmemory", "1"]).await;
                sleep(WHILE).await;
                redis.must(&["CONFIG", "SET", "maxmemory", "0"]).await;
            }
            Self::ReadOnly => {
                redis.must(&["REPLICAOF", "127.0.0.1", "1"]).await;
                sleep(WHILE).await;
                redis.must(&["REPLICAOF", "NO", "ONE"]).await;
            }
            Self::ForeignScript => {
                let script = "local t = redis.call('TIME')[1] + 3; while redis.call('TIME')[1] + 0 < t do end";
                redis.must(&["EVAL", script, "0"]).await;
            }
            Self::OldDump => {
                redis.must(&["SAVE"]).await;
                sleep(Duration::from_secs(2)).await;
                redis.restart_saved().await;
            }
            Self::FlushAll => {
                redis.must(&["FLUSHALL"]).await;
            }
            Self::RestartEmpty => redis.restart_empty().await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_to_redis_limits_hold_requests_end_and_capacity_returns() {
    let _machine = alone().await;
    let mut fleet = Fleet::start(setup()).await;
    let ingress = Ingress::over(&fleet.addresses());
    let load = ingress.load(CLIENTS, Request::chat(MODEL));
    fleet
        .simulator
        .wait_in_flight(&["only"], SLOTS, Duration::from_secs(10))
        .await;

    let mut late = Vec::new();
    let mut spans = Vec::new();
    for chaos in Chaos::all() {
        let began = Instant::now();
        chaos.happen(&mut fleet).await;
        let healed = Instant::now();
        let was_full = is_full(&fleet, healed).await;
        say(&format!(
            "    {chaos:?}: full again {was_full:.2?} after Redis answers (target {:?})",
            chaos.full_within()
        ));
        if was_full > chaos.full_within() {
            late.push((chaos, was_full));
        }
        sleep(Duration::from_secs(1)).await;
        spans.push((chaos, began, Instant::now()));
    }
    let samples = load.stop().await;
    sleep(Duration::from_secs(1)).await;

    for (chaos, began, ended) in spans {
        let of: Vec<Sample> = samples
            .iter()
            .filter(|sample| began <= sample.began && sample.began < ended)
            .cloned()
            .collect();
        figure(
            &format!("answers during {chaos:?}"),
            format!("{:?}", by_status(&of)),
            "200, 503",
        );
    }
    let seen = fleet.simulator.key("only").await;
    let arrivals = fleet.simulator.arrivals("only").await;
    let swept = in_flight_max(&arrivals);
    let second = worst_window(&arrivals, 1_000_000, |_| 1);
    let slowest = samples.iter().map(|sample| sample.took).max().unwrap();
    let refused = samples.iter().filter(|sample| sample.status == 503);
    let slowest_refusal = refused.map(|sample| sample.took).max().unwrap_or_default();
    figure(
        "most in flight, oracle and sweep line",
        format!("{}, {swept}", seen.in_flight_max),
        format!("<= {SLOTS}"),
    );
    figure("worst second", second, format!("<= {PER_SECOND}"));
    figure(
        "slowest answer",
        format!("{slowest:.2?}"),
        format!("<= {DEADLINE:?} + 0.5 s"),
    );
    figure(
        "slowest refusal",
        format!("{slowest_refusal:.2?}"),
        "<= 4.5 s",
    );
    let view = fleet.replicas[0].view().await;
    let held: u64 = view.scopes.iter().map(|scope| scope.held).sum();
    figure(
        "leases held afterwards, and anomalies",
        format!("{held}, {}", view.anomalies),
        "0, 0",
    );
    let replayed = replay(fleet.records());
    figure(
        "store operations that the machine replays alike",
        format!("{replayed:?}"),
        "all",
    );

    assert!(seen.in_flight_max <= SLOTS && swept <= i64::try_from(SLOTS).unwrap());
    assert!(second <= PER_SECOND, "{second}");
    assert!(
        slowest <= DEADLINE + Duration::from_millis(500),
        "{slowest:?}"
    );
    assert!(
        slowest_refusal <= Duration::from_millis(4_500),
        "{slowest_refusal:?}"
    );
    let wrong = samples
        .iter()
        .find(|sample| !matches!(sample.status, 200 | 503));
    assert!(wrong.is_none(), "{wrong:?}");
    assert!(late.is_empty(), "{late:?}");
    assert_eq!((held, view.anomalies), (0, 0));
    assert!(replayed.is_ok(), "{replayed:?}");
}

/// How long after `healed` the provider had as many requests as it may.
async fn is_full(fleet: &Fleet, healed: Instant) -> Duration {
    // What had been granted before is still in flight: only what is granted now counts.
    sleep(Duration::from_millis(300)).await;
    fleet
        .simulator
        .wait_in_flight(&["only"], SLOTS, Duration::from_secs(30))
        .await;
    healed.elapsed()
}

fn setup() -> Setup {
    Setup {
        simulator: vec![
            "--first-byte",
            "250ms",
            "--jitter",
            "20ms",
            "--tokens",
            "1",
            "--tokens-per-second",
            "100000",
        ],
        keys: json!([{
            "name": "only",
            "secret": "only",
            "limits": { "concurrency": SLOTS, "qps": PER_SECOND },
        }]),
        settings: json!({ "queue": { "max_length": 1_000, "timeout": format!("{}s", DEADLINE.as_secs()) } }),
        coordinators: 2,
        is_recorded: true,
        is_linked: true,
        ..Setup::default()
    }
}
