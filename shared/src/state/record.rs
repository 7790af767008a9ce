//! Recordings: every change of the store that this process asked for, and the reply, as JSON lines that
//! [`super::replay`] reads.
//!
//! A session writes its own; what a coordinator writes goes through [`Recording`].

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use super::pool::Difference;
use super::protocol::{
    Assert, Boot, Candidacy, JoinReply, Judgement, Leadership, Operations, PublishStep, Status,
    TickReply,
};
use super::replay::Recorded;
use super::view::View;
use super::{SharedState, StateFuture, WakeUp};
use crate::catalog::Catalog;
use crate::ids::{Fence, SessionId};

/// One file; cheap to clone.
#[derive(Clone, Debug)]
pub struct Recorder(Arc<Mutex<BufWriter<File>>>);

impl Recorder {
    /// # Errors
    ///
    /// The file cannot be created.
    pub fn create(path: &Path) -> std::io::Result<Self> {
        let file = File::create(path)?;
        Ok(Self(Arc::new(Mutex::new(BufWriter::new(file)))))
    }

    /// Written and flushed at once: a recording is read after kill -9.
    pub fn write(&self, recorded: &Recorded) {
        let mut line = serde_json::to_vec(recorded).unwrap_or_default();
        line.push(b'\n');
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(&line).and_then(|()| file.flush()) {
            tracing::error!("The recording is incomplete: {error}");
        }
    }
}

/// A store whose changes by a coordinator are recorded; sessions on it record theirs themselves.
pub struct Recording {
    pub state: Arc<dyn SharedState>,
    pub recorder: Recorder,
}

impl Recording {
    /// What was refused has changed nothing.
    fn write(&self, status: Status, recorded: impl FnOnce() -> Recorded) {
        if status == Status::Done {
            self.recorder.write(&recorded());
        }
    }
}

impl SharedState for Recording {
    fn boot<'a>(
        &'a self,
        boot: &'a Boot,
        catalog: &'a Catalog,
        wake_ups: &'a mpsc::UnboundedSender<WakeUp>,
    ) -> StateFuture<'a, (JoinReply, Catalog)> {
        self.state.boot(boot, catalog, wake_ups)
    }

    fn assert<'a>(
        &'a self,
        assert: &'a Assert,
        catalog: &'a Catalog,
        wake_ups: &'a mpsc::UnboundedSender<WakeUp>,
    ) -> StateFuture<'a, (JoinReply, Catalog)> {
        self.state.assert(assert, catalog, wake_ups)
    }

    fn tick<'a>(
        &'a self,
        session: &'a SessionId,
        seq: u64,
        catalog: &'a Catalog,
        operations: &'a Operations,
    ) -> StateFuture<'a, TickReply> {
        self.state.tick(session, seq, catalog, operations)
    }

    fn bye<'a>(
        &'a self,
        session: &'a SessionId,
        catalog: &'a Catalog,
    ) -> StateFuture<'a, JoinReply> {
        self.state.bye(session, catalog)
    }

    fn catalog(&self) -> StateFuture<'_, Catalog> {
        self.state.catalog()
    }

    fn view(&self) -> StateFuture<'_, View> {
        self.state.view()
    }

    fn lead<'a>(&'a self, candidacy: &'a Candidacy) -> StateFuture<'a, Leadership> {
        self.state.lead(candidacy)
    }

    fn leader(&self) -> StateFuture<'_, Leadership> {
        self.state.leader()
    }

    fn publish_steps<'a>(
        &'a self,
        fence: Fence,
        catalog: &'a Catalog,
    ) -> StateFuture<'a, Vec<PublishStep>> {
        self.state.publish_steps(fence, catalog)
    }

    fn publish_step<'a>(&'a self, step: &'a PublishStep) -> StateFuture<'a, JoinReply> {
        Box::pin(async move {
            let reply = self.state.publish_step(step).await?;
            self.write(reply.status, || Recorded::Publish {
                step: step.clone(),
                reply: reply.clone(),
            });
            Ok(reply)
        })
    }

    fn judge<'a>(&'a self, judgement: &'a Judgement) -> StateFuture<'a, JoinReply> {
        Box::pin(async move {
            let reply = self.state.judge(judgement).await?;
            self.write(reply.status, || Recorded::Judge {
                judgement: judgement.clone(),
                reply: reply.clone(),
            });
            Ok(reply)
        })
    }

    fn audit(&self, fence: Fence) -> StateFuture<'_, (JoinReply, Vec<Difference>)> {
        Box::pin(async move {
            let (reply, differences) = self.state.audit(fence).await?;
            self.write(reply.status, || Recorded::Audit {
                fence,
                reply: reply.clone(),
                differences: differences.clone(),
            });
            Ok((reply, differences))
        })
    }
}
