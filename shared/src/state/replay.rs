//! Replaying recordings through the machine: all replicas' operations in the store's own order, each with the reply
//! that the store must have given.

use std::collections::BTreeMap;

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

/// What every reply says of when it was made.
struct Moment {
    tick: u64,
    wall: i64,
    generation: i64,
    base: u64,
}

impl Recorded {
    /// Its place in the total order of its generation.
    pub fn tick(&self) -> u64 {
        self.moment().tick
    }

    fn moment(&self) -> Moment {
        match self {
            Self::Boot { reply, .. }
            | Self::Assert { reply, .. }
            | Self::Bye { reply, .. }
            | Self::Publish { reply, .. }
            | Self::Judge { reply, .. }
            | Self::Audit { reply, .. } => Moment {
                tick: reply.tick,
                wall: reply.wall,
                generation: reply.generation,
                base: reply.base,
            },
            Self::Tick { reply, .. } => Moment {
                tick: reply.tick,
                wall: reply.wall,
                generation: reply.generation,
                base: reply.base,
            },
        }
    }

    /// Has the machine do the same, and compares what it says.
    fn apply(&self, pool: &mut Pool) -> Result<(), String> {
        let moment = self.moment();
        let clock = clock(moment.wall, moment.generation);
        match self {
            Self::Boot {
                boot,
                catalog,
                reply,
            } => {
                // It tells the catalog that was agreed on: what a leader kept out is not in a recording.
                let has_leader = false;
                same(&pool.boot(&clock, has_leader, boot, catalog), reply)
            }
            Self::Assert {
                assert,
                catalog,
                reply,
            } => same(&pool.assert(&clock, assert, catalog), reply),
            Self::Bye { session, reply } => same(&pool.bye(&clock, session), reply),
            Self::Publish { step, reply } => {
                let expected = pool.publish(&clock, Fence::NONE, step);
                pool.take_posted();
                same(&expected, reply)
            }
            Self::Judge { judgement, reply } => {
                let expected = pool.judge(&clock, Fence::NONE, judgement);
                pool.take_posted();
                same(&expected, reply)
            }
            Self::Audit {
                fence,
                reply,
                differences,
            } => {
                // Who led is in no recording: what was fenced was not recorded either.
                let expected = pool.audit(&clock, Fence::NONE, *fence);
                same(&expected, &(reply.clone(), differences.clone()))
            }
            Self::Tick {
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
        .map_err(|difference| {
            let Moment {
                tick, generation, ..
            } = moment;
            format!("at store tick {tick} of generation {generation}: {difference}")
        })
    }
}

/// Takes calls that nobody recorded, up to the one before `tick`, for audits whose replies were lost: they changed
/// nothing but the count. Whether there were any.
fn fill(pool: &mut Pool, tick: u64, next: &Recorded) -> bool {
    let moment = next.moment();
    let mut has_gap = false;
    while pool.ticks() > 0 && pool.ticks() + 1 < tick {
        has_gap = true;
        let clock = clock(moment.wall, moment.generation);
        pool.audit(&clock, Fence::NONE, Fence::NONE);
    }
    has_gap
}

/// What a replay came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Operations whose replies were those of the machine.
    pub agreed: usize,
    /// Starts of the store, with or without its data.
    pub generations: usize,
    /// Operations after a reply that the store took with it as it died, and that no later state came from.
    pub lost: usize,
}

/// Replays recordings of all replicas through the machine.
///
/// Ticks are ordered within a generation. One that began on an empty store starts with an empty machine. One that began
/// on a snapshot starts with a machine that is brought to the snapshot's last tick once more: in the latest earlier
/// generation from which the rest follows.
///
/// # Errors
///
/// The first operation, in store order, whose reply the machine would not have given.
pub fn replay(recorded: Vec<Recorded>) -> Result<Replayed, String> {
    let mut generations: BTreeMap<i64, Vec<Recorded>> = BTreeMap::new();
    for operation in recorded {
        let of = generations.entry(operation.moment().generation);
        of.or_default().push(operation);
    }
    let mut history: Vec<Generation> = Vec::new();
    let mut replayed = Replayed::default();
    let last = generations.keys().next_back().copied();
    for (began, mut operations) in generations {
        // A publish of what is in force already counts as nothing, and tells the tick of whatever came before it.
        operations.sort_by_key(|operation| {
            let is_publish = matches!(operation, Recorded::Publish { .. });
            (operation.tick(), is_publish)
        });
        let mut generation = Generation {
            began,
            base: operations.first().map_or(0, |first| first.moment().base),
            parent: None,
            operations,
        };
        let n_recorded = generation.operations.len();
        let may_be_cut = Some(began) != last;
        generation.find_parent_and_agree(&history, may_be_cut)?;
        replayed.lost += n_recorded - generation.operations.len();
        replayed.agreed += generation.operations.len();
        replayed.generations += 1;
        history.push(generation);
    }
    Ok(replayed)
}

/// What one start of the store executed, in its order.
struct Generation {
    began: i64,
    /// The last tick of what it was loaded with; 0: nothing.
    base: u64,
    /// Where that comes from, in the history.
    parent: Option<usize>,
    operations: Vec<Recorded>,
}

impl Generation {
    fn find_parent_and_agree(&mut self, history: &[Self], may_be_cut: bool) -> Result<(), String> {
        if self.base == 0 {
            return self.run(&mut Pool::default(), may_be_cut);
        }
        let mut difference = format!(
            "generation {} began at tick {}, which nobody recorded",
            self.began, self.base
        );
        for (index, parent) in history.iter().enumerate().rev() {
            let Some(mut pool) = parent.machine_at(self.base, history) else {
                continue;
            };
            match self.run(&mut pool, may_be_cut) {
                Ok(()) => {
                    self.parent = Some(index);
                    return Ok(());
                }
                Err(other) => difference = other,
            }
        }
        Err(difference)
    }

    /// The machine as this generation left it after `tick`.
    fn machine_at(&self, tick: u64, history: &[Self]) -> Option<Pool> {
        if self.operations.is_empty() || tick <= self.base {
            return None;
        }
        let mut pool = match self.parent {
            Some(parent) => history.get(parent)?.machine_at(self.base, history)?,
            None => Pool::default(),
        };
        self.restart(&mut pool);
        for operation in &self.operations {
            if operation.tick() > tick {
                break;
            }
            fill(&mut pool, operation.tick(), operation);
            operation.apply(&mut pool).ok()?;
        }
        let last = self.operations.last()?;
        fill(&mut pool, tick + 1, last);
        Some(pool)
    }

    /// Has the machine do the same. A store that dies can have executed what it told nobody; whatever follows that and
    /// does not agree died with it, where that `may_be_cut`.
    fn run(&mut self, pool: &mut Pool, may_be_cut: bool) -> Result<(), String> {
        self.restart(pool);
        let mut has_gap = false;
        for (index, operation) in self.operations.iter().enumerate() {
            has_gap |= fill(pool, operation.tick(), operation);
            match operation.apply(pool) {
                Ok(()) => {}
                Err(_) if has_gap && may_be_cut => {
                    self.operations.truncate(index);
                    return Ok(());
                }
                Err(difference) => return Err(difference),
            }
        }
        Ok(())
    }

    /// Whoever called first after the restart made the store notice it, even if it was refused and told nobody.
    fn restart(&self, pool: &mut Pool) {
        let nobody = SessionId::from("nobody".to_owned());
        let clock = clock(self.began, self.began);
        pool.tick(&clock, &nobody, 1, u64::MAX, &Operations::default());
    }
}

fn clock(wall: i64, generation: i64) -> ServerClock {
    // Whatever the server's run was called: it is another one when the generation is.
    ServerClock {
        wall,
        run: generation.to_string(),
    }
}

fn same<T: PartialEq + std::fmt::Debug>(expected: &T, found: &T) -> Result<(), String> {
    if expected == found {
        return Ok(());
    }
    Err(format!(
        "the store said {found:?}, the machine says {expected:?}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ReplicaName;

    /// A store that records what it executes, can be restarted, and can forget.
    struct Store {
        pool: Pool,
        wall: i64,
        run: i64,
        recorded: Vec<Recorded>,
    }

    impl Store {
        fn new() -> Self {
            Self {
                pool: Pool::default(),
                wall: 1_000_000,
                run: 1,
                recorded: Vec::new(),
            }
        }

        fn clock(&mut self) -> ServerClock {
            self.wall += 100;
            ServerClock {
                wall: self.wall,
                run: self.run.to_string(),
            }
        }

        fn boot(&mut self, session: &str) {
            let clock = self.clock();
            let boot = Boot {
                session: SessionId::from(session.to_owned()),
                replica: ReplicaName::from(session),
            };
            let catalog = Catalog::default();
            let reply = self.pool.boot(&clock, false, &boot, &catalog);
            self.recorded.push(Recorded::Boot {
                boot,
                catalog,
                reply,
            });
        }

        fn tick(&mut self, session: &str, seq: u64) {
            let clock = self.clock();
            let session = SessionId::from(session.to_owned());
            let operations = Operations::default();
            let reply = self.pool.tick(&clock, &session, seq, 0, &operations);
            self.recorded.push(Recorded::Tick {
                session,
                seq,
                version: 0,
                operations,
                reply,
            });
        }
    }

    #[test]
    fn each_start_of_the_store_is_replayed_from_what_it_was_loaded_with() {
        let mut store = Store::new();
        store.boot("a");
        store.tick("a", 1);
        let saved = store.pool.clone();
        store.tick("a", 2);
        // Empty, then from the old snapshot, then from it once more.
        (store.pool, store.run) = (Pool::default(), 2);
        store.boot("b");
        store.tick("b", 1);
        store.tick("b", 2);
        for run in 3..5 {
            (store.pool, store.run) = (saved.clone(), run);
            store.tick("a", 2);
            store.tick("a", 3);
        }

        let replayed = replay(store.recorded);

        let expected = Replayed {
            agreed: 10,
            generations: 4,
            lost: 0,
        };
        assert_eq!(replayed, Ok(expected));
    }

    #[test]
    fn a_reply_that_the_machine_would_not_give_is_found() {
        let mut store = Store::new();
        store.boot("a");
        store.tick("a", 1);
        if let Some(Recorded::Tick { reply, .. }) = store.recorded.last_mut() {
            reply.anomalies = 7;
        }

        let difference = replay(store.recorded).unwrap_err();

        assert!(difference.starts_with("at store tick 2"), "{difference}");
    }

    #[test]
    fn what_a_dying_store_told_nobody_ends_its_generation() {
        let mut store = Store::new();
        store.boot("a");
        for seq in 1..4 {
            store.tick("a", seq);
        }
        store.recorded.remove(2);
        (store.pool, store.run) = (Pool::default(), 2);
        store.boot("b");

        let replayed = replay(store.recorded).unwrap();

        assert_eq!((replayed.agreed, replayed.lost), (3, 1));
    }
}
