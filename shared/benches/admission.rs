//! What an admission costs: embedded, and as CPU of the Redis main thread.
//!
//! Redis is measured as ratio to a no-op EVALSHA in the same run, because machines differ and are noisy; the bounds
//! are multiples of the design's table (batch of acquire + release, weighted, microseconds where a no-op takes 0.97).

#![expect(
    clippy::print_stdout,
    reason = "a benchmark reports to whoever runs it"
)]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark fails by panicking"
)]

#[path = "../tests/it/server.rs"]
mod server;
#[path = "../tests/it/world.rs"]
#[expect(dead_code, reason = "only its configuration is of use here")]
mod world;

use std::sync::Arc;
use std::time::Instant;

use shared::catalog::{Catalog, Limits, Strategy};
use shared::config::Config;
use shared::ids::{ModelIndex, ReplicaName, SessionId, Ticket};
use shared::state::SharedState;
use shared::state::keys::{self, PoolKeys};
use shared::state::memory::MemoryState;
use shared::state::pool::{Pool, ServerClock};
use shared::state::protocol::{
    Acquire, Boot, Grant, Operations, OutcomeCode, PurposeCode, Release,
};
use shared::state::redis::{RedisState, Scripts};
use shared::time::SystemClock;
use tokio::sync::mpsc;

const NO_OP_US: f64 = 0.97;
/// (keys, [(batch, microseconds)])
const TABLE: [(usize, &[(usize, f64)]); 3] = [
    (3, &[(1, 43.0), (8, 78.0), (32, 177.0), (128, 536.0)]),
    (10, &[(1, 56.0), (8, 124.0), (32, 283.0), (128, 812.0)]),
    (100, &[(1, 202.0), (8, 464.0), (32, 1296.0)]),
];
/// Operations measured per figure, and how often: the least is taken.
const PAIRS: usize = 12_000;
const RUNS: usize = 5;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        embedded().await;
        redis_ticks().await;
    });
}

#[derive(Clone, Copy, PartialEq)]
enum Scenario {
    KeysRpmTpm,
    KeysAllWindows,
    AllScopes,
}

fn limits(scenario: Scenario) -> Limits {
    let (many, tokens) = (1_000_000_000, 1_000_000_000);
    let minute = Limits {
        concurrency: Some(100_000),
        rpm: Some(many),
        tpm: Some(tokens),
        ..Limits::default()
    };
    match scenario {
        Scenario::KeysRpmTpm => minute,
        Scenario::KeysAllWindows | Scenario::AllScopes => Limits {
            qps: Some(many),
            rpd: Some(many),
            tpd: Some(1_000_000_000_000),
            ..minute
        },
    }
}

fn config(n_keys: usize, scenario: Scenario) -> Config {
    let mut config = world::config(&mut fastrand::Rng::with_seed(1));
    let mut provider = config.providers.swap_remove(1);
    let key = provider.keys[0].clone();
    provider.keys = (0..n_keys)
        .map(|index| {
            let mut key = key.clone();
            (key.name, key.weight) = (
                format!("key-{index}").as_str().into(),
                [1.0, 2.0, 5.0][index % 3],
            );
            key.limits = limits(scenario);
            key
        })
        .collect();
    let mut model = config.models.swap_remove(0);
    model.upstreams.truncate(1);
    (model.upstreams[0].limits, model.upstreams[0].weight) = (Limits::default(), 1.0);
    model.strategy = Strategy::Weighted;
    if scenario == Scenario::AllScopes {
        provider.limits = limits(scenario);
        model.limits = limits(scenario);
        model.upstreams[0].limits = limits(scenario);
    }
    config.providers = vec![provider];
    config.models = vec![model];
    config.client_keys.clear();
    config
}

fn acquires(first: u64, n: usize) -> Vec<Acquire> {
    let acquire = |ticket| Acquire {
        ticket: Ticket(ticket),
        model: ModelIndex(0),
        priority: 5,
        tokens: 500,
        callers: Vec::new(),
        allow: Vec::new(),
        no_queue: false,
        purpose: PurposeCode::REQUEST,
    };
    (first..first + n as u64).map(acquire).collect()
}

fn release(grant: &Grant) -> Release {
    Release {
        model: ModelIndex(0),
        candidate: grant.candidate,
        callers: Vec::new(),
        reserved: 500,
        granted_at: grant.granted_at,
        tokens: 420,
        outcome: OutcomeCode(1),
        first_byte_us: 90,
        token_us: 800,
        retry_ms: 0,
        reported: Vec::new(),
    }
}

async fn embedded() {
    let config = config(3, Scenario::KeysRpmTpm);
    let catalog = Catalog::declare(&config);
    let state = MemoryState::new(Arc::new(SystemClock::start()));
    let session = SessionId::from("bench");
    let (wake_ups, _woken) = mpsc::unbounded_channel();
    let boot = Boot {
        session: session.clone(),
        replica: ReplicaName::from("bench"),
    };
    state.boot(&boot, &catalog, &wake_ups).await.unwrap();
    let n = 300_000_u64;
    let mut least = f64::MAX;
    let mut seq = 0;
    for _ in 0..RUNS {
        let began = Instant::now();
        for _ in 0..n {
            seq += 1;
            let acquire = Operations {
                acquires: acquires(seq, 1),
                ..Operations::default()
            };
            let reply = state.tick_now(&session, seq, catalog.version, &acquire);
            seq += 1;
            let release = Operations {
                releases: vec![release(&reply.grants[0])],
                ..Operations::default()
            };
            state.tick_now(&session, seq, catalog.version, &release);
        }
        least = least.min(began.elapsed().as_secs_f64() * 1e6 / n as f64);
    }
    let verdict = if least < 2.0 { "ok" } else { "MISSED" };
    println!(
        "embedded acquire + release, 3 keys, rpm + tpm: {least:.2} us (bound 2 us) {verdict}\n"
    );
}

async fn redis_ticks() {
    // `cargo bench -p shared -- 3` measures models of three keys only.
    let only: Option<usize> = std::env::args().find_map(|argument| argument.parse().ok());
    println!("Redis tick, CPU of the main thread; batch of acquire + release, weighted");
    println!(
        "{:<22} {:>5} {:>6} {:>10} {:>9} {:>9}",
        "limits", "keys", "batch", "us/tick", "x no-op", "bound"
    );
    let scenarios = [
        ("keys: rpm + tpm", Scenario::KeysRpmTpm, Some(1.5)),
        (
            "keys: all five windows",
            Scenario::KeysAllWindows,
            Some(2.2),
        ),
        ("all scopes limited", Scenario::AllScopes, None),
    ];
    for (name, scenario, factor) in scenarios {
        for (n_keys, cells) in TABLE
            .iter()
            .filter(|(n_keys, _)| only.is_none_or(|only| only == *n_keys))
        {
            for &(batch, table_us) in *cells {
                let (tick_us, no_op_us) = measure(*n_keys, batch, scenario).await;
                let ratio = tick_us / no_op_us;
                let bound = factor.map(|factor| factor * table_us / NO_OP_US);
                let verdict = match bound {
                    Some(bound) if ratio <= bound => format!("{bound:>9.0} ok"),
                    Some(bound) => format!("{bound:>9.0} MISSED"),
                    None => format!("{:>9}", "-"),
                };
                println!(
                    "{name:<22} {n_keys:>5} {batch:>6} {tick_us:>10.1} {ratio:>9.1} {verdict}"
                );
            }
        }
    }
}

/// CPU microseconds of one tick, and of one no-op EVALSHA in the same run.
async fn measure(n_keys: usize, batch: usize, scenario: Scenario) -> (f64, f64) {
    let server = server::RedisServer::start();
    let config = config(n_keys, scenario);
    let declared = Catalog::declare(&config);
    let state = RedisState::new(&server.url, &config).unwrap();
    let boot = Boot {
        session: SessionId::from("bench"),
        replica: ReplicaName::from("bench"),
    };
    let (wake_ups, _woken) = mpsc::unbounded_channel();
    let (joined, catalog) = state.boot(&boot, &declared, &wake_ups).await.unwrap();
    // Past learning: nothing is granted before.
    tokio::time::sleep(std::time::Duration::from_millis(2_100)).await;

    let client = redis::Client::open(server.url.as_str()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    connection.set_response_timeout(std::time::Duration::from_secs(60));
    let scripts = Scripts::production();
    let pool_keys = PoolKeys::new(catalog.models.len());
    let load = async |source: &str| -> String {
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        redis::cmd("SCRIPT")
            .arg("LOAD")
            .arg(source)
            .query_async(&mut connection)
            .await
            .unwrap()
    };
    let (tick, no_op) = (load(scripts.tick.source()).await, load("return 1").await);

    // The machine says which candidates the store will grant, so that ticks can be sent ahead in pipelines.
    let mut machine = Pool::default();
    let clock = |wall| ServerClock {
        wall,
        run: String::from("bench"),
    };
    machine.boot(&clock(joined.wall), false, &boot, &catalog);
    machine.end_learning();
    let mut running: Vec<Grant> = Vec::new();
    let mut seq = 0;
    let (mut least, mut least_no_op) = (f64::MAX, f64::MAX);
    for run in 0..=RUNS {
        let n_ticks = (PAIRS / batch).clamp(40, 2_000);
        let mut ticks = Vec::new();
        for _ in 0..n_ticks {
            seq += 1;
            let operations = Operations {
                releases: running.iter().map(release).collect(),
                acquires: acquires(seq * 1_000, batch),
                ..Operations::default()
            };
            let reply = machine.tick(
                &clock(joined.wall),
                &boot.session,
                seq,
                catalog.version,
                &operations,
            );
            running = reply.grants;
            let mut command = redis::cmd("EVALSHA");
            command
                .arg(&tick)
                .arg(pool_keys.all().len())
                .arg(pool_keys.all());
            command.arg("bench").arg(seq).arg(catalog.version);
            command
                .arg(rmp_serde::to_vec(&operations).unwrap())
                .arg(keys::channel_prefix());
            ticks.push(command);
        }
        let spent = cpu_of(&mut connection, ticks).await;
        let mut nothing = redis::cmd("EVALSHA");
        nothing.arg(&no_op).arg(0);
        let spent_no_op = cpu_of(&mut connection, vec![nothing; 20_000]).await;
        if run > 0 {
            // The first run warms up.
            least = least.min(spent);
            least_no_op = least_no_op.min(spent_no_op);
        }
    }
    let (pool, _) = state.snapshot().await.unwrap();
    let view = pool.view(&clock(joined.wall));
    assert_eq!(
        view.anomalies, 0,
        "the machine and the store disagreed about a candidate"
    );
    (least, least_no_op)
}

/// Microseconds of the server's main thread per command.
async fn cpu_of(
    connection: &mut redis::aio::MultiplexedConnection,
    commands: Vec<redis::Cmd>,
) -> f64 {
    let n = commands.len();
    let before = cpu_seconds(connection).await;
    for chunk in commands.chunks(100) {
        let mut pipe = redis::pipe();
        for command in chunk {
            pipe.add_command(command.clone());
        }
        let replies: Vec<redis::Value> = pipe.query_async(connection).await.unwrap();
        assert_eq!(replies.len(), chunk.len());
    }
    (cpu_seconds(connection).await - before) * 1e6 / n as f64
}

async fn cpu_seconds(connection: &mut redis::aio::MultiplexedConnection) -> f64 {
    let info: String = redis::cmd("INFO")
        .arg("cpu")
        .query_async(connection)
        .await
        .unwrap();
    let field = |name: &str| -> f64 {
        let line = info
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.expect("Redis tells its main thread's CPU")
            .trim()
            .parse()
            .unwrap()
    };
    field("used_cpu_user_main_thread") + field("used_cpu_sys_main_thread")
}
