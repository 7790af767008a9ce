//! The simulator's time: microseconds on a monotonic clock, and how they relate to the calendar.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Reads microseconds since the simulator started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started: Instant,
    started_unix: Duration,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            started: Instant::now(),
            started_unix: unix_now(),
        }
    }

    pub(crate) fn now_us(self) -> u64 {
        micros(self.started.elapsed())
    }

    /// The calendar's time, in microseconds since 1970, of a reading of this clock.
    pub(crate) fn unix_us(self, at_us: u64) -> u64 {
        micros(self.started_unix).saturating_add(at_us)
    }

    pub(crate) fn unix_seconds(self) -> u64 {
        self.unix_us(self.now_us()) / 1_000_000
    }
}

pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that asks what day it is; all else is counted from here"
)]
fn unix_now() -> Duration {
    // A machine whose clock is before 1970 sees small dates.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
