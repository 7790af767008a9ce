//! What stands before the replicas in a cluster: it sends requests only to those that say they are ready.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::client::{Answer, Connection, Request};
use crate::load::Sample;

/// How often each replica's readiness is asked.
const PERIOD: Duration = Duration::from_millis(100);
/// Clients that were refused do not come back at once.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub struct Ingress {
    routes: Arc<Routes>,
    _probes: JoinSet<()>,
}

#[derive(Debug)]
struct Routes {
    addresses: Vec<SocketAddr>,
    is_ready: Vec<AtomicBool>,
    turn: AtomicUsize,
}

/// Clients that send one request after the other until they are stopped.
#[derive(Debug)]
pub struct Load {
    is_over: Arc<AtomicBool>,
    clients: JoinSet<Vec<Sample>>,
}

impl Ingress {
    /// Takes all replicas for ready until they say otherwise.
    pub fn over(addresses: &[SocketAddr]) -> Self {
        let routes = Arc::new(Routes {
            addresses: addresses.to_vec(),
            is_ready: addresses.iter().map(|_| AtomicBool::new(true)).collect(),
            turn: AtomicUsize::new(0),
        });
        let mut probes = JoinSet::new();
        for index in 0..addresses.len() {
            let routes = Arc::clone(&routes);
            probes.spawn(async move {
                loop {
                    let answer = Request::get("/readyz").send(routes.addresses[index]).await;
                    let is_ready = answer.is_ok_and(|answer| answer.status == 200);
                    routes.is_ready[index].store(is_ready, Ordering::Relaxed);
                    sleep(PERIOD).await;
                }
            });
        }
        Self {
            routes,
            _probes: probes,
        }
    }

    /// Starts `clients` that each send `request` again and again.
    pub fn load(&self, clients: usize, request: Request) -> Load {
        let is_over = Arc::new(AtomicBool::new(false));
        let request = Arc::new(request);
        let mut running = JoinSet::new();
        for _ in 0..clients {
            let (routes, is_over, request) = (
                Arc::clone(&self.routes),
                Arc::clone(&is_over),
                Arc::clone(&request),
            );
            running.spawn(async move {
                let mut samples = Vec::new();
                while !is_over.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    let sample = Sample::of(routes.send(&request).await, began);
                    let was_refused = sample.status != 200;
                    samples.push(sample);
                    if was_refused {
                        sleep(REFUSED_PAUSE).await;
                    }
                }
                samples
            });
        }
        Load {
            is_over,
            clients: running,
        }
    }
}

impl Load {
    /// Lets every client finish its request, and returns all of them.
    pub async fn stop(self) -> Vec<Sample> {
        self.is_over.store(true, Ordering::Relaxed);
        self.clients
            .join_all()
            .await
            .into_iter()
            .flatten()
            .collect()
    }
}

impl Routes {
    /// Sends by a new connection; a refused one lets it go to the next replica, nothing else does.
    async fn send(&self, request: &Request) -> io::Result<Answer> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        for step in 0..self.addresses.len() * 2 {
            let index = (first + step) % self.addresses.len();
            // The second time round, one that is not ready is better than none.
            let is_ready = self.is_ready[index].load(Ordering::Relaxed);
            if !is_ready && step < self.addresses.len() {
                continue;
            }
            match Connection::open(self.addresses[index]).await {
                Ok(mut connection) => {
                    connection
                        .write(&request.clone().header("connection", "close"))
                        .await?;
                    return connection.answer().await;
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("no replica took the connection"))
    }
}
