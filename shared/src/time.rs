//! Time comes in as an argument, so that tests can move it.

use std::time::{Duration, Instant, UNIX_EPOCH};

/// Milliseconds since 1970, as some machine believes.
pub trait Clock: Send + Sync + 'static {
    fn now_ms(&self) -> i64;
}

/// This machine's clock, read once and moved on by its monotonic clock: it never steps.
#[derive(Debug)]
pub struct SystemClock {
    began_ms: i64,
    began: Instant,
}

impl SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that the lint points to"
    )]
    pub fn start() -> Self {
        let since_epoch = std::time::SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        Self {
            began_ms: millis(since_epoch),
            began: Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        self.began_ms + millis(self.began.elapsed())
    }
}

/// Milliseconds since this machine started, its sleep included: a suspended replica must know that its lease aged.
pub fn boot_time_ms() -> u64 {
    let since_boot =
        nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).map(Duration::from);
    since_boot.map_or(0, |since_boot| {
        u64::try_from(since_boot.as_millis()).unwrap_or(u64::MAX)
    })
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
