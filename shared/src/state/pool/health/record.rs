//! A key's record, and how it changes; when it does is the rule in [`super`].

use crate::ids::SessionId;
use crate::state::protocol::Release;

/// How long outcomes are counted before the count begins anew.
const COUNTED_MS: i64 = 30_000;
/// The first ejection's length; each further one is longer by as much, up to the longest (Envoy).
const EJECTION_MS: i64 = 30_000;
const EJECTION_MAX_MS: i64 = 300_000;
/// The first pause after a 429 that names none; doubled by each further one.
const THROTTLE_MS: i64 = 250;
const THROTTLE_MAX_MS: i64 = 30_000;
/// The moving averages' time constant.
const AVERAGE_MS: f64 = 10_000.0;
/// What a 429 leaves of the slots that were in use, how often it may, and how long that is remembered.
const LEARNED_SHARE: f64 = 0.7;
const LEARNED_PAUSE_MS: i64 = 1_000;
const LEARNED_MS: i64 = 600_000;

/// Whether a key may be used, operators apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::state::pool) enum State {
    #[default]
    Ok,
    /// Out until `open_at`; then the next request tries it.
    Ejected,
    /// A request, or a probe, is trying it.
    Trial,
    AuthFailed,
    Exhausted,
}

impl State {
    const ALL: [Self; 5] = [
        Self::Ok,
        Self::Ejected,
        Self::Trial,
        Self::AuthFailed,
        Self::Exhausted,
    ];

    pub(in crate::state::pool) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// Time alone brings it back.
    fn passes(self) -> bool {
        matches!(self, Self::Ok | Self::Ejected | Self::Trial)
    }
}

/// What an operator wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::state::pool) enum Admin {
    #[default]
    Enabled,
    Drained,
    Disabled,
}

impl Admin {
    pub(in crate::state::pool) fn from_code(code: u8) -> Option<Self> {
        [Self::Enabled, Self::Drained, Self::Disabled]
            .get(usize::from(code))
            .copied()
    }
}

/// A key's record; absent until the first outcome.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::state::pool) struct Health {
    /// Logical time before which nothing is granted.
    pub(in crate::state::pool) open_at: i64,
    pub(in crate::state::pool) state: State,
    pub(in crate::state::pool) admin: Admin,
    /// Grows with every verdict, so that a probe cannot overrule what came after it began.
    pub(in crate::state::pool) version: u64,
    /// In a row.
    pub(in crate::state::pool) failures: u32,
    /// Remembered ejections.
    pub(in crate::state::pool) ejections: u32,
    pub(in crate::state::pool) recovered_at: i64,
    /// 429s in a row.
    pub(in crate::state::pool) throttles: u32,
    /// 0 to 1: the moving average of failure.
    pub(in crate::state::pool) penalty: f64,
    /// Moving averages in microseconds, and when they were last sampled; 0: never.
    pub(in crate::state::pool) first_byte: f64,
    pub(in crate::state::pool) first_byte_at: i64,
    pub(in crate::state::pool) token_time: f64,
    pub(in crate::state::pool) token_at: i64,
    pub(in crate::state::pool) served_at: i64,
    /// Outcomes since `counted_since`, and how many of them failed.
    pub(in crate::state::pool) seen: u32,
    pub(in crate::state::pool) failed: u32,
    pub(in crate::state::pool) counted_since: i64,
    /// Slots that 429s have left it; 0: all.
    pub(in crate::state::pool) slots_learned: f64,
    pub(in crate::state::pool) learned_at: i64,
    /// Who tries it, and since when.
    pub(in crate::state::pool) trial: Option<SessionId>,
    pub(in crate::state::pool) trial_at: i64,
}

impl Health {
    /// Whether a request may be granted now.
    pub(in crate::state::pool) fn is_open(&self, now: i64) -> bool {
        self.admin == Admin::Enabled
            && matches!(self.state, State::Ok | State::Ejected)
            && self.open_at <= now
    }

    /// Whether waiting can help.
    pub(in crate::state::pool) fn is_hopeless(&self) -> bool {
        self.admin != Admin::Enabled || !self.state.passes()
    }

    /// Whether its provider, and nothing worse, asked for a pause.
    pub(in crate::state::pool) fn is_throttled(&self, now: i64) -> bool {
        self.admin == Admin::Enabled && self.state == State::Ok && self.open_at > now
    }

    /// Makes it usable again.
    pub(in crate::state::pool) fn recover(&mut self, now: i64) {
        self.state = State::Ok;
        self.version += 1;
        self.open_at = 0;
        self.failures = 0;
        self.recovered_at = now;
        self.recount(now);
        self.trial = None;
    }

    /// The record of a key that has another credential: nothing is known of it, and what was found of the old one is
    /// stale. What the operator wants stays.
    pub(in crate::state::pool) fn renewed(&self, now: i64) -> Self {
        Self {
            admin: self.admin,
            version: self.version + 1,
            recovered_at: now,
            ..Self::default()
        }
    }

    /// The record of a key that an operator vouches for: nothing is held against it.
    pub(in crate::state::pool) fn enabled(&self, now: i64) -> Self {
        Self {
            version: self.version + 1,
            recovered_at: now,
            counted_since: now,
            ..Self::default()
        }
    }

    pub(in crate::state::pool) fn set_admin(&mut self, admin: Admin) {
        self.admin = admin;
        self.version += 1;
    }

    /// Takes it out, for longer each time; what it survived since its recovery is forgiven.
    pub(super) fn eject(&mut self, now: i64, grants: u64) {
        if self.state == State::Ok {
            let forgiven = (now - self.recovered_at) / EJECTION_MS;
            self.ejections = self
                .ejections
                .saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX));
        }
        self.ejections += 1;
        let length = (EJECTION_MS * i64::from(self.ejections)).min(EJECTION_MAX_MS);
        // Spread by ± 10 %, so that keys which fell together do not come back together.
        let percent = 90 + i64::try_from(grants * 7 % 21).unwrap_or(0);
        self.open_at = self.open_at.max(now + length * percent / 100);
        self.state = State::Ejected;
        self.version += 1;
        self.failures = 0;
        self.recount(now);
        self.trial = None;
    }

    pub(super) fn recount(&mut self, now: i64) {
        self.seen = 0;
        self.failed = 0;
        self.counted_since = now;
    }

    pub(super) fn count(&mut self, now: i64, failed: u32) {
        if now - self.counted_since >= COUNTED_MS {
            self.recount(now);
        }
        self.seen += 1;
        self.failed += failed;
    }

    pub(super) fn throttle(&mut self, now: i64, release: &Release, in_use: i64) {
        self.throttles += 1;
        let pause = if release.retry_ms > 0 {
            i64::from(release.retry_ms)
        } else {
            // Beyond 2^7 times the first pause is the longest anyway.
            (THROTTLE_MS << (self.throttles - 1).min(7)).min(THROTTLE_MAX_MS)
        };
        self.open_at = self.open_at.max(now + pause);
        let is_told = release.retry_ms > 0 || !release.reported.is_empty();
        if !is_told && now - self.learned_at >= LEARNED_PAUSE_MS {
            #[expect(clippy::cast_precision_loss, reason = "slots are far below 2^53")]
            let in_use = (in_use + 1) as f64;
            let before = if self.slots_learned > 0.0 {
                self.slots_learned.min(in_use)
            } else {
                in_use
            };
            self.slots_learned = (before * LEARNED_SHARE).floor().max(1.0);
            self.learned_at = now;
        }
    }

    /// One slot more for each round of successes.
    pub(super) fn grow(&mut self, now: i64, slots_max: u32) {
        if self.slots_learned > 0.0 {
            self.slots_learned += 1.0 / self.slots_learned;
            let is_back = slots_max > 0 && self.slots_learned >= f64::from(slots_max);
            if is_back || now - self.learned_at >= LEARNED_MS {
                self.slots_learned = 0.0;
            }
        }
    }

    pub(super) fn sample(&mut self, now: i64, release: &Release) {
        if release.first_byte_us > 0 {
            let sample = f64::from(release.first_byte_us);
            self.first_byte = averaged(self.first_byte, sample, now - self.first_byte_at);
            self.first_byte_at = now;
        }
        if release.token_us > 0 {
            let sample = f64::from(release.token_us);
            self.token_time = averaged(self.token_time, sample, now - self.token_at);
            self.token_at = now;
        }
    }

    /// The end of the trial that `release` was, if it was: the key waits for the next one.
    pub(super) fn end_trial(&mut self, session: &SessionId, granted_at: i64) -> bool {
        let was_trial = self.state == State::Trial
            && self.trial.as_ref() == Some(session)
            && granted_at >= self.trial_at;
        if was_trial {
            self.state = State::Ejected;
            self.trial = None;
        }
        was_trial
    }
}

/// A moving average in time: the longer nothing was sampled, the more the new sample counts.
///
/// Without `exp`, which two languages may round differently.
fn averaged(value: f64, sample: f64, passed: i64) -> f64 {
    if value <= 0.0 {
        return sample;
    }
    #[expect(clippy::cast_precision_loss, reason = "milliseconds are below 2^53")]
    let passed = passed.max(1) as f64;
    value + (sample - value) * (passed / (passed + AVERAGE_MS))
}
