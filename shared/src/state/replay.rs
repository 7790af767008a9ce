//! Replaying recordings through the machine: all replicas' operations in the store's own order, each with the reply
//! that the store must have given.

use serde::{Deserialize, Serialize};

use super::pool::{Difference, Pool, ServerClock};
use super::protocol::{Assert, Boot, JoinReply, Judgement, Operations, PublishStep, TickReply};
use crate::catalog::Catalog;
use crate::ids::{Fence, SessionId};

/// One line of a recording.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Recorded {
    Boot {
        boot: Boot,
        catalog: Catalog,
        reply: JoinReply,
    },
    Assert {
        assert: Assert,
        catalog: Catalog,
        reply: JoinReply,
    },
    Tick {
        session: SessionId,
        seq: u64,
        version: u64,
        operations: Operations,
        reply: TickReply,
    },
    Bye {
        session: SessionId,
        reply: JoinReply,
    },
    Judge {
        judgement: Judgement,
        reply: JoinReply,
    },
    Audit {
        fence: Fence,
        reply: JoinReply,
        differences: Vec<Difference>,
    },
    /// One call of a publish.
    Publish { step: PublishStep, reply: JoinReply },
}

impl Recorded {
    /// Its place in the total order.
    pub fn tick(&self) -> u64 {
        match self {
            Self::Boot { reply, .. }
            | Self::Assert { reply, .. }
            | Self::Bye { reply, .. }
            | Self::Judge { reply, .. }
            | Self::Audit { reply, .. }
            | Self::Publish { reply, .. } => reply.tick,
            Self::Tick { reply, .. } => reply.tick,
        }
    }

    fn clock(&self) -> ServerClock {
        let (wall, generation) = match self {
            Self::Boot { reply, .. }
            | Self::Assert { reply, .. }
            | Self::Bye { reply, .. }
            | Self::Judge { reply, .. }
            | Self::Audit { reply, .. }
            | Self::Publish { reply, .. } => (reply.wall, reply.generation),
            Self::Tick { reply, .. } => (reply.wall, reply.generation),
        };
        // Whatever the server's run was called: it is another one when the generation is.
        ServerClock {
            wall,
            run: generation.to_string(),
        }
    }
}

/// Replays recordings of all replicas over one epoch through the machine; returns how many operations agreed.
///
/// # Errors
///
/// The first operation, in store order, whose reply the machine would not have given.
pub fn replay(mut recorded: Vec<Recorded>) -> Result<usize, String> {
    recorded.sort_by_key(Recorded::tick);
    let mut pool = Pool::default();
    for operation in &recorded {
        let clock = operation.clock();
        match operation {
            Recorded::Boot {
                boot,
                catalog,
                reply,
            } => {
                // It tells the catalog that was agreed on: what a leader kept out is not in a recording.
                let has_leader = false;
                same(&pool.boot(&clock, has_leader, boot, catalog), reply)
            }
            Recorded::Assert {
                assert,
                catalog,
                reply,
            } => same(&pool.assert(&clock, assert, catalog), reply),
            Recorded::Bye { session, reply } => same(&pool.bye(&clock, session), reply),
            Recorded::Judge { judgement, reply } => {
                let expected = pool.judge(&clock, Fence::NONE, judgement);
                pool.take_posted();
                same(&expected, reply)
            }
            Recorded::Audit {
                fence,
                reply,
                differences,
            } => {
                // Who led is in no recording: what was fenced was not recorded either.
                let expected = pool.audit(&clock, Fence::NONE, *fence);
                same(&expected, &(reply.clone(), differences.clone()))
            }
            Recorded::Publish { step, reply } => {
                let expected = pool.publish(&clock, Fence::NONE, step);
                pool.take_posted();
                same(&expected, reply)
            }
            Recorded::Tick {
                session,
                seq,
                version: _,
                operations,
                reply,
            } => {
                // A reply that was lost is told again, with the catalog that came in force meanwhile.
                let version = pool.catalog().version;
                let expected = pool.tick(&clock, session, *seq, version, operations);
                pool.take_posted();
                same(&expected, reply)
            }
        }
        .map_err(|difference| format!("at store tick {}: {difference}", operation.tick()))?;
    }
    Ok(recorded.len())
}

fn same<T: PartialEq + std::fmt::Debug>(expected: &T, found: &T) -> Result<(), String> {
    if expected == found {
        return Ok(());
    }
    Err(format!(
        "the store said {found:?}, the machine says {expected:?}"
    ))
}
