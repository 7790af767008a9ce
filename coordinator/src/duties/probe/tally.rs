//! What the probes of one key have come to, as long as nothing else has changed its state.

use shared::config::Health;

/// Probes in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// The key's state version that all of them began with.
    version: u64,
    successes: u32,
    failures: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Streak {
    /// `rise` successes.
    Risen,
    /// `fall` failures.
    Fallen,
}

impl Tally {
    /// Counts a probe that began at the state `version`; a streak that is long enough is told, and begins anew.
    pub(super) fn count(
        &mut self,
        version: u64,
        is_success: bool,
        health: &Health,
    ) -> Option<Streak> {
        if version != self.version {
            *self = Self {
                version,
                ..Self::default()
            };
        }
        if is_success {
            self.failures = 0;
            self.successes += 1;
        } else {
            self.successes = 0;
            self.failures += 1;
        }
        let streak = if self.successes >= health.rise {
            Streak::Risen
        } else if self.failures >= health.fall {
            Streak::Fallen
        } else {
            return None;
        };
        self.forget();
        Some(streak)
    }

    pub(super) fn forget(&mut self) {
        *self = Self {
            version: self.version,
            ..Self::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(probes: &[(u64, bool)]) -> Vec<Option<Streak>> {
        let health = Health {
            rise: 2,
            fall: 3,
            ..Health::UNPROBED
        };
        let mut tally = Tally::default();
        let count =
            |(version, is_success): &(u64, bool)| tally.count(*version, *is_success, &health);
        probes.iter().map(count).collect()
    }

    #[test]
    fn a_streak_is_broken_by_its_opposite_and_begins_anew_once_it_was_told() {
        let (yes, no) = ((1, true), (1, false));

        assert_eq!(
            counted(&[yes, no, yes, yes, yes]),
            [None, None, None, Some(Streak::Risen), None]
        );
        assert_eq!(
            counted(&[no, no, yes, no, no, no]),
            [None, None, None, None, None, Some(Streak::Fallen)]
        );
    }

    #[test]
    fn what_was_found_of_an_earlier_state_does_not_count() {
        assert_eq!(
            counted(&[(1, true), (2, true), (2, true)]),
            [None, None, Some(Streak::Risen)]
        );
    }
}
