//! Streams that are held open: who waits, who runs, and how each ended.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::client::{Answer, Connection, Request};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// No headers yet.
    Waiting,
    /// Status 200, and at least one piece of the body.
    Running,
    /// All of it, with `[DONE]` at its end.
    Finished,
    /// Answered with this status instead.
    Refused(u16),
    /// The connection failed, or the body ended early.
    Broken,
}

/// Any number of streams in the background. Dropped, their clients hang up.
#[derive(Debug, Default)]
pub struct Streams {
    stages: Arc<Mutex<Vec<Progress>>>,
    tasks: JoinSet<()>,
}

#[derive(Clone, Copy, Debug)]
struct Progress {
    stage: Stage,
    pieces: usize,
}

impl Streams {
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens `count` streams to one replica.
    pub fn open(&mut self, address: SocketAddr, count: usize, request: &Request) {
        for _ in 0..count {
            let index = {
                let mut stages = lock(&self.stages);
                stages.push(Progress {
                    stage: Stage::Waiting,
                    pieces: 0,
                });
                stages.len() - 1
            };
            let stages = Arc::clone(&self.stages);
            let request = request.clone();
            self.tasks.spawn(async move {
                let stage = follow(address, &request, index, &stages).await;
                lock(&stages)[index].stage = stage.unwrap_or(Stage::Broken);
            });
        }
    }

    pub fn count(&self, stage: Stage) -> usize {
        let stages = lock(&self.stages);
        stages
            .iter()
            .filter(|progress| progress.stage == stage)
            .count()
    }

    /// The stage of each stream, in the order in which they were opened.
    pub fn stages(&self) -> Vec<Stage> {
        lock(&self.stages)
            .iter()
            .map(|progress| progress.stage)
            .collect()
    }

    /// Pieces of bodies that have come over all streams: it grows while they run.
    pub fn pieces(&self) -> usize {
        lock(&self.stages)
            .iter()
            .map(|progress| progress.pieces)
            .sum()
    }

    /// Waits until `count` streams are at `stage`.
    pub async fn wait(&self, stage: Stage, count: usize, patience: Duration) {
        let deadline = Instant::now() + patience;
        while self.count(stage) != count {
            assert!(
                Instant::now() < deadline,
                "{} instead of {count} streams are {stage:?} after {patience:?}: {:?}",
                self.count(stage),
                self.stages()
            );
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until every stream has ended, in whatever way.
    pub async fn wait_all(&mut self, patience: Duration) {
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        tokio::time::timeout(patience, ended)
            .await
            .unwrap_or_else(|_| panic!("streams still run after {patience:?}"));
    }
}

async fn follow(
    address: SocketAddr,
    request: &Request,
    index: usize,
    stages: &Mutex<Vec<Progress>>,
) -> io::Result<Stage> {
    let mut connection = Connection::open(address).await?;
    connection.write(request).await?;
    let mut answer = connection.head().await?;
    while connection.piece(&mut answer).await? {
        if answer.status == 200 {
            let progress = &mut lock(stages)[index];
            progress.stage = Stage::Running;
            progress.pieces += 1;
        }
    }
    Ok(stage_at_end(&answer))
}

fn stage_at_end(answer: &Answer) -> Stage {
    if answer.status != 200 {
        return Stage::Refused(answer.status);
    }
    let has_all = answer.events().last().is_some_and(|data| data == "[DONE]");
    if answer.is_complete() && has_all {
        Stage::Finished
    } else {
        Stage::Broken
    }
}

fn lock(stages: &Mutex<Vec<Progress>>) -> std::sync::MutexGuard<'_, Vec<Progress>> {
    stages.lock().unwrap_or_else(PoisonError::into_inner)
}
