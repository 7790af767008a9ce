//! The embedded default: the pure machine behind a mutex, in one process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::pool::{CHANGES_MAX, Difference, Pool, ServerClock};
use super::protocol::{
    Assert, Boot, Candidacy, JoinReply, Judgement, Leadership, Mail, Operations, PublishStep,
    TickReply,
};
use super::view::View;
use super::{SharedState, StateError, StateFuture, WakeUp};
use crate::catalog::Catalog;
use crate::ids::{Fence, SessionId};
use crate::time::Clock;

/// The rules in this process. Learning is over from the start: nothing can have outlived it.
pub struct MemoryState {
    // Held only between awaits, hence a std mutex.
    pool: Mutex<Pool>,
    clock: Arc<dyn Clock>,
    wake_ups: Mutex<Vec<(SessionId, mpsc::UnboundedSender<WakeUp>)>>,
}

impl MemoryState {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            pool: Mutex::default(),
            clock,
            wake_ups: Mutex::default(),
        }
    }

    /// Executes one batch at once; what the trait's `tick` wraps.
    pub fn tick_now(
        &self,
        session: &SessionId,
        seq: u64,
        version: u64,
        operations: &Operations,
    ) -> TickReply {
        let (reply, mail) = {
            let mut pool = self.lock();
            let reply = pool.tick(&self.now(), session, seq, version, operations);
            (reply, pool.take_posted())
        };
        self.wake(mail);
        reply
    }

    /// Tells sessions what somebody else's call decided for them.
    fn wake(&self, posted: BTreeMap<SessionId, Mail>) {
        if posted.is_empty() {
            return;
        }
        let listeners = self.wake_ups.lock().unwrap_or_else(PoisonError::into_inner);
        for (session, mail) in posted {
            if let Some((_, listener)) = listeners
                .iter()
                .find(|(listening, _)| *listening == session)
            {
                // A session that stopped listening is about to be reaped.
                let _ = listener.send((session, mail));
            }
        }
    }

    /// The fence of who leads now, and whether somebody does.
    fn leader_mark(&self) -> (Fence, bool) {
        (Fence::NONE, false)
    }

    fn lock(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> ServerClock {
        ServerClock {
            wall: self.clock.now_ms(),
            run: String::from("memory"),
        }
    }

    fn listen(
        &self,
        session: &SessionId,
        predecessor: Option<&SessionId>,
        wake_ups: &mpsc::UnboundedSender<WakeUp>,
    ) {
        let mut listeners = self.wake_ups.lock().unwrap_or_else(PoisonError::into_inner);
        listeners
            .retain(|(listening, sender)| Some(listening) != predecessor && !sender.is_closed());
        listeners.push((session.clone(), wake_ups.clone()));
    }
}

impl SharedState for MemoryState {
    fn boot<'a>(
        &'a self,
        boot: &'a Boot,
        catalog: &'a Catalog,
        wake_ups: &'a mpsc::UnboundedSender<WakeUp>,
    ) -> StateFuture<'a, (JoinReply, Catalog)> {
        Box::pin(async move {
            self.listen(&boot.session, None, wake_ups);
            let mut pool = self.lock();
            let (_, has_leader) = self.leader_mark();
            let mut reply = pool.boot(&self.now(), has_leader, boot, catalog);
            pool.end_learning();
            reply.learning_until = 0;
            Ok((reply, pool.catalog().clone()))
        })
    }

    fn assert<'a>(
        &'a self,
        assert: &'a Assert,
        catalog: &'a Catalog,
        wake_ups: &'a mpsc::UnboundedSender<WakeUp>,
    ) -> StateFuture<'a, (JoinReply, Catalog)> {
        Box::pin(async move {
            self.listen(&assert.session, Some(&assert.predecessor), wake_ups);
            let mut pool = self.lock();
            let reply = pool.assert(&self.now(), assert, catalog);
            Ok((reply, pool.catalog().clone()))
        })
    }

    fn tick<'a>(
        &'a self,
        session: &'a SessionId,
        seq: u64,
        catalog: &'a Catalog,
        operations: &'a Operations,
    ) -> StateFuture<'a, TickReply> {
        Box::pin(async move { Ok(self.tick_now(session, seq, catalog.version, operations)) })
    }

    fn bye<'a>(
        &'a self,
        session: &'a SessionId,
        _catalog: &'a Catalog,
    ) -> StateFuture<'a, JoinReply> {
        Box::pin(async move { Ok(self.lock().bye(&self.now(), session)) })
    }

    fn catalog(&self) -> StateFuture<'_, Catalog> {
        Box::pin(async move { Ok(self.lock().catalog().clone()) })
    }

    fn view(&self) -> StateFuture<'_, View> {
        Box::pin(async move {
            let pool = self.lock().clone();
            Ok(pool.view(&self.now()))
        })
    }

    fn lead<'a>(&'a self, _candidacy: &'a Candidacy) -> StateFuture<'a, Leadership> {
        Box::pin(async move { Err(StateError::Refused("`lead` is not built yet".into())) })
    }

    fn leader(&self) -> StateFuture<'_, Leadership> {
        Box::pin(async move { Err(StateError::Refused("`leader` is not built yet".into())) })
    }

    fn publish_steps<'a>(
        &'a self,
        fence: Fence,
        catalog: &'a Catalog,
    ) -> StateFuture<'a, Vec<PublishStep>> {
        Box::pin(async move { Ok(self.lock().publish_steps(fence, catalog, CHANGES_MAX)) })
    }

    fn publish_step<'a>(&'a self, step: &'a PublishStep) -> StateFuture<'a, JoinReply> {
        Box::pin(async move {
            let (leader, _) = self.leader_mark();
            let (reply, mail) = {
                let mut pool = self.lock();
                let reply = pool.publish(&self.now(), leader, step);
                (reply, pool.take_posted())
            };
            self.wake(mail);
            Ok(reply)
        })
    }

    fn judge<'a>(&'a self, judgement: &'a Judgement) -> StateFuture<'a, JoinReply> {
        Box::pin(async move {
            let (reply, mail) = {
                let mut pool = self.lock();
                let (leader, _) = self.leader_mark();
                let reply = pool.judge(&self.now(), leader, judgement);
                (reply, pool.take_posted())
            };
            self.wake(mail);
            Ok(reply)
        })
    }

    fn audit(&self, fence: Fence) -> StateFuture<'_, (JoinReply, Vec<Difference>)> {
        Box::pin(async move {
            let (leader, _) = self.leader_mark();
            Ok(self.lock().audit(&self.now(), leader, fence))
        })
    }
}
