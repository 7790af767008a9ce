//! State that all routers agree on.
//!
//! [`SharedState`] has two implementations: [`redis::RedisState`], whose every method is one Lua script, and
//! [`memory::MemoryState`], its twin. Both pass the suite in `tests/it/conformance.rs`; a behaviour that is not in the
//! suite is not promised.

pub mod keys;
pub mod memory;
pub mod pool;
pub mod protocol;
pub mod redis;
pub mod replay;
pub mod session;
pub mod trouble;
pub mod view;

use std::future::Future;
use std::pin::Pin;

use tokio::sync::mpsc;

use crate::catalog::Catalog;
use crate::ids::{Fence, SessionId};
use pool::Difference;
use protocol::{
    Assert, Boot, Candidacy, JoinReply, Judgement, Leadership, Mail, Operations, PublishStep,
    Status, TickReply,
};
use trouble::Trouble;
use view::View;

/// What a store call gives back; boxed, so that a session holds any store behind one pointer.
pub type StateFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StateError>> + Send + 'a>>;

/// Mail for `SessionId` that another session's tick just posted: a wake-up that carries the grant itself.
///
/// May be lost; the mailbox, emptied by the session's next tick, is the truth.
pub type WakeUp = (SessionId, Mail);

/// The one state that all replicas admit against.
///
/// Every method is atomic, and all of them are totally ordered by the `tick` in their replies.
pub trait SharedState: Send + Sync + 'static {
    /// Opens a session: begins the epoch if the store is empty, takes the name over from a dead incarnation, and
    /// answers `Duplicate` while the older one is alive. `wake_ups` receives what is posted to the new session.
    fn boot<'a>(
        &'a self,
        boot: &'a Boot,
        catalog: &'a Catalog,
        wake_ups: &'a mpsc::UnboundedSender<WakeUp>,
    ) -> StateFuture<'a, (JoinReply, Catalog)>;

    /// Replaces a lost session by what its replica remembers: running leases, charges, waiters with their places.
    fn assert<'a>(
        &'a self,
        assert: &'a Assert,
        catalog: &'a Catalog,
        wake_ups: &'a mpsc::UnboundedSender<WakeUp>,
    ) -> StateFuture<'a, (JoinReply, Catalog)>;

    /// Executes one batch, exactly once however often it is sent: the same (session, seq) gets the same reply.
    ///
    /// In this order: reaps expired sessions, ends leases, cancels waiters, then grants, queues or rejects; renews the
    /// session and empties its mailbox. `catalog` is the one whose indexes the operations use.
    fn tick<'a>(
        &'a self,
        session: &'a SessionId,
        seq: u64,
        catalog: &'a Catalog,
        operations: &'a Operations,
    ) -> StateFuture<'a, TickReply>;

    /// Ends a session that holds nothing; answers `Busy` to one that does.
    fn bye<'a>(
        &'a self,
        session: &'a SessionId,
        catalog: &'a Catalog,
    ) -> StateFuture<'a, JoinReply>;

    /// The catalog in force; the default one where the store is empty.
    fn catalog(&self) -> StateFuture<'_, Catalog>;

    /// The one quota view. Changes nothing.
    fn view(&self) -> StateFuture<'_, View>;

    /// Takes, renews or gives back the leadership of the coordinators; answers who leads now.
    ///
    /// Free, or not renewed for [`LEADER_TTL_MS`](pool::LEADER_TTL_MS): the caller leads, with a greater fence.
    fn lead<'a>(&'a self, candidacy: &'a Candidacy) -> StateFuture<'a, Leadership>;

    /// Who leads, without a claim of one's own.
    fn leader(&self) -> StateFuture<'_, Leadership>;

    /// Puts `catalog` in force, which succeeds the one that is (`Stale` if that has changed meanwhile).
    ///
    /// What has a name in both keeps its counters, leases and waiters; sessions learn of it by their next tick. Not
    /// atomic: where many rows change it takes several calls, of which the last one moves the version.
    fn publish<'a>(&'a self, fence: Fence, catalog: &'a Catalog) -> StateFuture<'a, JoinReply> {
        Box::pin(async move {
            let mut reply = JoinReply {
                status: Status::Stale,
                ..JoinReply::default()
            };
            for step in self.publish_steps(fence, catalog).await? {
                reply = self.publish_step(&step).await?;
                if reply.status != Status::Done {
                    break;
                }
            }
            Ok(reply)
        })
    }

    /// The calls of which a publish consists; none if `catalog` does not succeed the one in force.
    fn publish_steps<'a>(
        &'a self,
        fence: Fence,
        catalog: &'a Catalog,
    ) -> StateFuture<'a, Vec<PublishStep>>;

    /// One of them.
    fn publish_step<'a>(&'a self, step: &'a PublishStep) -> StateFuture<'a, JoinReply>;

    /// Changes a key's health by what a probe found, or by an operator's word.
    fn judge<'a>(&'a self, judgement: &'a Judgement) -> StateFuture<'a, JoinReply>;

    /// Recounts what the store derives, and repairs what differs.
    fn audit(&self, fence: Fence) -> StateFuture<'_, (JoinReply, Vec<Difference>)>;
}

#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The call's outcome is unknown: the same call may be sent again.
    #[error("the state store does not answer: {0}")]
    Away(Trouble),
    /// Sending the same again cannot help: an operator must act.
    #[error("{0}")]
    Refused(Trouble),
}

impl StateError {
    pub fn trouble(&self) -> &Trouble {
        match self {
            Self::Away(trouble) | Self::Refused(trouble) => trouble,
        }
    }
}
