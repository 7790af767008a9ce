//! Many clients at once.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::{Answer, Connection, Request};

/// One finished request.
#[derive(Clone, Debug)]
pub struct Sample {
    pub began: Instant,
    /// 0 where no whole answer came.
    pub status: u16,
    pub took: Duration,
    /// The name of the key that served, by `x-sluice-key`.
    pub key: Option<String>,
    pub error: Option<String>,
}

impl Sample {
    pub fn of(answer: io::Result<Answer>, began: Instant) -> Self {
        let took = began.elapsed();
        match answer {
            Ok(answer) => Self {
                began,
                status: if answer.is_complete() {
                    answer.status
                } else {
                    0
                },
                took,
                key: answer.header("x-sluice-key").map(str::to_owned),
                error: (answer.status != 200).then(|| answer.text()),
            },
            Err(error) => Self {
                began,
                status: 0,
                took,
                key: None,
                error: Some(error.to_string()),
            },
        }
    }
}

/// How requests find their way to the replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connections {
    /// A new connection for each request.
    Fresh,
    /// Each client keeps its connection.
    Kept,
}

/// Sends `total` requests by `clients` at once, each client to the replicas in turn.
pub async fn run(
    addresses: &[SocketAddr],
    clients: usize,
    total: usize,
    connections: Connections,
    request: Request,
) -> Vec<Sample> {
    let sent = Arc::new(AtomicUsize::new(0));
    let request = Arc::new(request);
    let addresses: Arc<[SocketAddr]> = addresses.into();

    let mut running = JoinSet::new();
    for client in 0..clients {
        let (sent, request, addresses) = (
            Arc::clone(&sent),
            Arc::clone(&request),
            Arc::clone(&addresses),
        );
        running.spawn(async move {
            let mut samples = Vec::new();
            let mut kept = None;
            while sent.fetch_add(1, Ordering::Relaxed) < total {
                let turn = match connections {
                    Connections::Fresh => client + samples.len(),
                    Connections::Kept => client,
                };
                let address = addresses[turn % addresses.len()];
                let began = Instant::now();
                let answer = match connections {
                    Connections::Fresh => request.send(address).await,
                    Connections::Kept => send_kept(&mut kept, address, &request).await,
                };
                samples.push(Sample::of(answer, began));
            }
            samples
        });
    }
    running.join_all().await.into_iter().flatten().collect()
}

/// Sends `per_second` requests a second for `duration`, whatever becomes of them, to the replicas in turn.
pub async fn run_at_rate(
    addresses: &[SocketAddr],
    per_second: u32,
    duration: Duration,
    request: Request,
) -> Vec<Sample> {
    let request = Arc::new(request);
    let began = Instant::now();
    let interval = Duration::from_secs(1) / per_second;
    let mut running = JoinSet::new();
    for turn in 0.. {
        let due = interval * turn;
        if due >= duration {
            break;
        }
        tokio::time::sleep_until(began + due).await;
        let request = Arc::clone(&request);
        let address = addresses[turn as usize % addresses.len()];
        running.spawn(async move {
            let began = Instant::now();
            Sample::of(request.send(address).await, began)
        });
    }
    running.join_all().await
}

/// How many samples ended with each status.
pub fn by_status(samples: &[Sample]) -> BTreeMap<u16, usize> {
    count(samples.iter().map(|sample| sample.status))
}

/// How many served samples each key has; keys go by the last part of their name.
pub fn by_key(samples: &[Sample]) -> BTreeMap<String, usize> {
    count(samples.iter().filter_map(|sample| {
        let key = sample.key.as_deref()?;
        Some(key.rsplit('/').next().unwrap_or(key).to_owned())
    }))
}

/// Fails unless every sample was served, and then shows one that was not.
#[track_caller]
pub fn assert_all_served(samples: &[Sample]) {
    if let Some(failed) = samples.iter().find(|sample| sample.status != 200) {
        panic!(
            "not all were served: {:?}; one of them: {failed:?}",
            by_status(samples)
        );
    }
}

async fn send_kept(
    kept: &mut Option<Connection>,
    address: SocketAddr,
    request: &Request,
) -> io::Result<Answer> {
    let mut connection = match kept.take() {
        Some(connection) => connection,
        None => Connection::open(address).await?,
    };
    connection.write(request).await?;
    let answer = connection.answer().await?;
    if answer.is_complete() && answer.header("connection") != Some("close") {
        *kept = Some(connection);
    }
    Ok(answer)
}

fn count<T: Ord>(values: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    counts
}
