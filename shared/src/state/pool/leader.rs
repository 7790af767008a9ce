//! Who leads the coordinators: one record beside the pool, with a bounded clock of its own.
//!
//! It is no part of the pool: it has its own key, and no call to it counts as a tick. That an older leader's writes
//! change nothing is checked by each of those writes.

use super::{LEADER_TTL_MS, STEP_MAX_MS};
use crate::ids::Fence;
use crate::state::protocol::{Candidacy, Leadership};

/// The leadership as the store keeps it. The default one has had no leader yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leader {
    /// Empty: nobody.
    owner: String,
    address: String,
    fence: Fence,
    /// Logical time at which it falls free.
    until: i64,
    /// Logical milliseconds, at the last call.
    now: i64,
    /// The server's clock then.
    wall: i64,
}

impl Leader {
    /// Takes, renews or gives back the leadership at `wall`, the server's clock in milliseconds since 1970.
    pub fn apply(&mut self, wall: i64, candidacy: &Candidacy) -> Leadership {
        let Candidacy {
            owner,
            address,
            resigns,
        } = candidacy;
        self.advance(wall);
        let is_owner = self.owner == *owner;
        if *resigns {
            if is_owner {
                self.free();
            }
            return self.seen();
        }
        if !is_owner && self.is_held() {
            return self.seen();
        }
        if !is_owner {
            // Also greater than any that a store gave that has lost its data since.
            let wall = u64::try_from(wall).unwrap_or_default();
            self.fence = Fence(wall.max(self.fence.0 + 1));
            self.owner.clone_from(owner);
        }
        self.address.clone_from(address);
        self.until = self.now + LEADER_TTL_MS;
        self.seen()
    }

    /// Who leads at `wall`; changes nothing.
    pub fn look(&self, wall: i64) -> Leadership {
        let mut leader = self.clone();
        leader.advance(wall);
        leader.seen()
    }

    fn advance(&mut self, wall: i64) {
        self.now += (wall - self.wall).clamp(0, STEP_MAX_MS);
        self.wall = wall;
    }

    fn is_held(&self) -> bool {
        !self.owner.is_empty() && self.now < self.until
    }

    /// The fence stays: the next leader's is greater.
    fn free(&mut self) {
        self.owner.clear();
        self.address.clear();
        self.until = 0;
    }

    fn seen(&self) -> Leadership {
        let mut leader = self.clone();
        if !leader.is_held() {
            leader.free();
        }
        Leadership {
            remaining_ms: if leader.is_held() {
                leader.until - leader.now
            } else {
                0
            },
            owner: leader.owner,
            address: leader.address,
            fence: leader.fence,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALL: i64 = 1_700_000_000_000;

    fn candidate(owner: &str) -> Candidacy {
        Candidacy {
            owner: owner.to_owned(),
            address: format!("{owner}:9090"),
            resigns: false,
        }
    }

    #[test]
    fn one_leads_until_it_stops_renewing() {
        let mut leader = Leader::default();
        let first = leader.apply(WALL, &candidate("a"));
        leader.apply(WALL + 1_500, &candidate("a"));
        leader.apply(WALL + 3_000, &candidate("b"));
        leader.apply(WALL + 4_500, &candidate("b"));
        leader.apply(WALL + 6_000, &candidate("b"));

        let before = leader.apply(WALL + 7_499, &candidate("b"));
        let after = leader.apply(WALL + 7_500, &candidate("b"));

        assert_eq!((before.owner.as_str(), before.remaining_ms), ("a", 1));
        assert_eq!(after.owner, "b");
        assert!(after.fence > first.fence);
    }

    #[test]
    fn a_leap_of_the_servers_clock_takes_two_seconds_at_most() {
        let mut leader = Leader::default();
        leader.apply(WALL, &candidate("a"));

        let leadership = leader.apply(WALL + 3_600_000, &candidate("b"));

        assert_eq!(
            (leadership.owner.as_str(), leadership.remaining_ms),
            ("a", 4_000)
        );
    }

    #[test]
    fn a_renewal_keeps_the_fence_and_a_resignation_frees_it() {
        let mut leader = Leader::default();
        let taken = leader.apply(WALL, &candidate("a"));
        let renewed = leader.apply(WALL + 1_500, &candidate("a"));
        let resigned = leader.apply(
            WALL + 1_600,
            &Candidacy {
                resigns: true,
                ..candidate("a")
            },
        );

        let next = leader.apply(WALL + 1_600, &candidate("b"));

        assert_eq!(renewed.fence, taken.fence);
        assert_eq!((resigned.owner.as_str(), resigned.fence), ("", taken.fence));
        assert!(next.fence > taken.fence);
    }

    #[test]
    fn the_fence_grows_while_the_servers_clock_runs_backwards() {
        let mut leader = Leader::default();
        let taken = leader.apply(WALL, &candidate("a"));
        leader.apply(
            WALL,
            &Candidacy {
                resigns: true,
                ..candidate("a")
            },
        );

        let next = leader.apply(WALL - 3_600_000, &candidate("b"));

        assert_eq!(next.fence, Fence(taken.fence.0 + 1));
    }

    #[test]
    fn looking_changes_nothing() {
        let mut leader = Leader::default();
        leader.apply(WALL, &candidate("a"));
        let before = leader.clone();

        let seen = leader.look(WALL + 1_000);

        assert_eq!((seen.owner.as_str(), seen.remaining_ms), ("a", 5_000));
        assert_eq!(leader, before);
    }
}
