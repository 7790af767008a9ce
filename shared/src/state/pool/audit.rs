//! The audit: recounts what the pool derives, and repairs what differs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Pool, ServerClock, waiting};
use crate::ids::{Fence, RowIndex};
use crate::state::protocol::{JoinReply, Status};

/// Something that was counted wrong; there is none unless somebody wrote to the store by hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// `in_use` or `window`.
    pub what: String,
    pub row: RowIndex,
    pub counted: i64,
    pub found: i64,
}

impl Pool {
    /// Recounts slots from sessions and window totals from their rings, and forgets waiters whose session is gone.
    ///
    /// `leader` is the fence of whoever leads now.
    pub fn audit(
        &mut self,
        clock: &ServerClock,
        leader: Fence,
        fence: Fence,
    ) -> (JoinReply, Vec<Difference>) {
        let Some(meta) = self.advanced(clock) else {
            return (JoinReply::of(Status::NoEpoch, &self.meta), Vec::new());
        };
        if fence.is_older_than(leader) {
            self.keep_restart(&meta);
            return (JoinReply::of(Status::Fenced, &meta), Vec::new());
        }
        self.meta = meta;
        self.meta.tick += 1;
        self.rotate();

        let mut in_use: BTreeMap<RowIndex, i64> = BTreeMap::new();
        for (row, held) in self.sessions.values().flat_map(|session| &session.held) {
            *in_use.entry(*row).or_insert(0) += held;
        }
        let mut differences = Vec::new();
        for (row, index) in self.rows.iter_mut().zip(0..) {
            let index = RowIndex(index);
            let mut repair = |what: &str, counted: i64, found: &mut i64| {
                if counted != *found {
                    differences.push(Difference {
                        what: what.into(),
                        row: index,
                        counted,
                        found: *found,
                    });
                    *found = counted;
                }
            };
            repair(
                "in_use",
                in_use.get(&index).copied().unwrap_or(0),
                &mut row.held,
            );
            for window in &mut row.windows {
                repair("window", window.ring.iter().sum(), &mut window.total);
            }
        }

        let sessions = &self.sessions;
        let waiters = &mut self.waiters;
        for model in &mut self.models {
            model.queue.retain(|(_, member)| {
                let is_alive = waiting::parse_member(member)
                    .is_some_and(|(session, _)| sessions.contains_key(&session));
                let is_known = waiters.contains_key(member) && is_alive;
                if !is_known {
                    waiters.remove(member);
                }
                is_known
            });
        }
        (JoinReply::of(Status::Done, &self.meta), differences)
    }
}
