//! Health: what the outcomes of requests say about a key, and when it may serve.
//!
//! Passive: driven by releases alone, for all replicas at once. A key that fails is ejected; when its time is over,
//! exactly one request in the cluster tries it again. What the provider says of waiting (429) closes a key without
//! ejecting it, and a bad request never counts. Probes and operators speak through [`super::judge`].

use super::window::WindowState;
use super::{Pool, RowState};
use crate::ids::{RowIndex, SessionId};
use crate::lease::Reported;
use crate::state::protocol::{Assert, OutcomeCode, Release};

/// Failures in a row that eject (Envoy's `consecutive_5xx`).
const FAILURES_MAX: u32 = 5;
/// Requests within [`COUNTED_MS`] that make a failure rate worth looking at; half of them failed ejects.
const VOLUME_MIN: u32 = 20;
const COUNTED_MS: i64 = 30_000;
/// The first ejection's length; each further one is longer by as much, up to the longest (Envoy).
const EJECTION_MS: i64 = 30_000;
const EJECTION_MAX_MS: i64 = 300_000;
/// A key that is throttled for longer than this is not counted on by the panic floor.
const SOON_MS: i64 = 60_000;
/// The first pause after a 429 that names none; doubled by each further one.
const THROTTLE_MS: i64 = 250;
const THROTTLE_MAX_MS: i64 = 30_000;
/// How long replicas may go on using a credential after another one was published: they look at their files each second.
const CREDENTIAL_MS: i64 = 3_000;
/// How much one outcome weighs in the penalty.
const PENALTY_STEP: f64 = 0.2;
/// The moving averages' time constant.
const AVERAGE_MS: f64 = 10_000.0;
/// What a 429 leaves of the slots that were in use, how often it may, and how long that is remembered.
const LEARNED_SHARE: f64 = 0.7;
const LEARNED_PAUSE_MS: i64 = 1_000;
const LEARNED_MS: i64 = 600_000;

/// Whether a key may be used, operators apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
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

    pub(super) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// Time alone brings it back.
    fn passes(self) -> bool {
        matches!(self, Self::Ok | Self::Ejected | Self::Trial)
    }
}

/// What an operator wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Admin {
    #[default]
    Enabled,
    Drained,
    Disabled,
}

impl Admin {
    pub(super) fn from_code(code: u8) -> Option<Self> {
        [Self::Enabled, Self::Drained, Self::Disabled]
            .get(usize::from(code))
            .copied()
    }
}

/// A key's record; absent until the first outcome.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Health {
    /// Logical time before which nothing is granted.
    pub(super) open_at: i64,
    pub(super) state: State,
    pub(super) admin: Admin,
    /// Grows with every verdict, so that a probe cannot overrule what came after it began.
    pub(super) version: u64,
    /// In a row.
    pub(super) failures: u32,
    /// Remembered ejections.
    pub(super) ejections: u32,
    pub(super) recovered_at: i64,
    /// 429s in a row.
    pub(super) throttles: u32,
    /// 0 to 1: the moving average of failure.
    pub(super) penalty: f64,
    /// Moving averages in microseconds, and when they were last sampled; 0: never.
    pub(super) first_byte: f64,
    pub(super) first_byte_at: i64,
    pub(super) token_time: f64,
    pub(super) token_at: i64,
    pub(super) served_at: i64,
    /// Outcomes since `counted_since`, and how many of them failed.
    pub(super) seen: u32,
    pub(super) failed: u32,
    pub(super) counted_since: i64,
    /// Slots that 429s have left it; 0: all.
    pub(super) slots_learned: f64,
    pub(super) learned_at: i64,
    /// Who tries it, and since when.
    pub(super) trial: Option<SessionId>,
    pub(super) trial_at: i64,
}

impl Health {
    /// Whether a request may be granted now.
    pub(super) fn is_open(&self, now: i64) -> bool {
        self.admin == Admin::Enabled
            && matches!(self.state, State::Ok | State::Ejected)
            && self.open_at <= now
    }

    /// Whether waiting can help.
    pub(super) fn is_hopeless(&self) -> bool {
        self.admin != Admin::Enabled || !self.state.passes()
    }

    /// Whether its provider, and nothing worse, asked for a pause.
    pub(super) fn is_throttled(&self, now: i64) -> bool {
        self.admin == Admin::Enabled && self.state == State::Ok && self.open_at > now
    }

    /// Makes it usable again.
    pub(super) fn recover(&mut self, now: i64) {
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
    pub(super) fn renewed(&self, now: i64) -> Self {
        Self {
            admin: self.admin,
            version: self.version + 1,
            recovered_at: now,
            ..Self::default()
        }
    }

    /// The record of a key that an operator vouches for: nothing is held against it.
    pub(super) fn enabled(&self, now: i64) -> Self {
        Self {
            version: self.version + 1,
            recovered_at: now,
            counted_since: now,
            ..Self::default()
        }
    }

    pub(super) fn set_admin(&mut self, admin: Admin) {
        self.admin = admin;
        self.version += 1;
    }

    /// Takes it out, for longer each time; what it survived since its recovery is forgiven.
    fn eject(&mut self, now: i64, grants: u64) {
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

    fn recount(&mut self, now: i64) {
        self.seen = 0;
        self.failed = 0;
        self.counted_since = now;
    }

    fn count(&mut self, now: i64, failed: u32) {
        if now - self.counted_since >= COUNTED_MS {
            self.recount(now);
        }
        self.seen += 1;
        self.failed += failed;
    }

    fn throttle(&mut self, now: i64, release: &Release, in_use: i64) {
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
    fn grow(&mut self, now: i64, slots_max: u32) {
        if self.slots_learned > 0.0 {
            self.slots_learned += 1.0 / self.slots_learned;
            let is_back = slots_max > 0 && self.slots_learned >= f64::from(slots_max);
            if is_back || now - self.learned_at >= LEARNED_MS {
                self.slots_learned = 0.0;
            }
        }
    }

    fn sample(&mut self, now: i64, release: &Release) {
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
    fn end_trial(&mut self, session: &SessionId, granted_at: i64) -> bool {
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

impl RowState {
    /// Its slots as far as they are known: configured, or fewer where 429s taught so; 0: unlimited.
    pub(super) fn slots_now(&self) -> i64 {
        let slots_max = i64::from(self.slots_max);
        match &self.health {
            Some(health) if health.slots_learned > 0.0 => {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "at most the slots in use, which fit"
                )]
                let learned = health.slots_learned.floor() as i64;
                if slots_max == 0 {
                    learned
                } else {
                    learned.min(slots_max)
                }
            }
            _ => slots_max,
        }
    }

    pub(super) fn has_slot(&self) -> bool {
        let slots = self.slots_now();
        slots == 0 || self.held < slots
    }

    pub(super) fn is_open(&self, now: i64) -> bool {
        self.health
            .as_ref()
            .is_none_or(|health| health.is_open(now))
    }
}

impl Pool {
    /// What the end of a lease says of its key, and what its provider reported.
    pub(super) fn observe(&mut self, session: &SessionId, key: RowIndex, release: &Release) {
        self.note_outcome(session, key, release);
        let now = self.meta.now;
        for reported in &release.reported {
            learn(&mut self.rows[key.position()], now, reported);
        }
    }

    fn note_outcome(&mut self, session: &SessionId, key: RowIndex, release: &Release) {
        let now = self.meta.now;
        let row = &mut self.rows[key.position()];
        let (in_use, grants, slots_max) = (row.held, row.grants, row.slots_max);
        let is_silent = matches!(
            release.outcome,
            OutcomeCode::UNSENT
                | OutcomeCode::CLIENT_ABORT
                | OutcomeCode::BAD_REQUEST
                | OutcomeCode::PROBED
        );
        if is_silent && row.health.is_none() {
            return;
        }
        let health = row.health.get_or_insert_default();
        let was_trial = health.end_trial(session, release.granted_at);
        if release.outcome == OutcomeCode::RATE_LIMITED && release.retry_ms > 0 {
            // Whatever else is wrong with it: nobody comes back before the provider said so.
            health.open_at = health.open_at.max(now + i64::from(release.retry_ms));
        }
        // What was granted before the key came back tells of what it was then.
        let is_dated = release.granted_at <= health.recovered_at && !was_trial;
        if is_silent || is_dated {
            return;
        }
        match release.outcome {
            OutcomeCode::SERVED => {
                health.served_at = now;
                health.penalty -= health.penalty * PENALTY_STEP;
                health.sample(now, release);
                health.grow(now, slots_max);
                if was_trial {
                    health.recover(now);
                } else if health.state == State::Ok {
                    health.failures = 0;
                    health.throttles = 0;
                    health.count(now, 0);
                }
            }
            OutcomeCode::FAILED | OutcomeCode::UNREACHABLE => {
                health.penalty += (1.0 - health.penalty) * PENALTY_STEP;
                if was_trial {
                    health.eject(now, grants);
                } else if health.state == State::Ok {
                    health.failures += 1;
                    health.count(now, 1);
                    let is_sick = health.failures >= FAILURES_MAX
                        || (health.seen >= VOLUME_MIN && health.failed * 2 >= health.seen);
                    if is_sick {
                        self.eject(key);
                    }
                }
            }
            OutcomeCode::RATE_LIMITED => {
                health.penalty += (1.0 - health.penalty) * PENALTY_STEP;
                if was_trial {
                    // It answers, if only to say that it is busy.
                    health.recover(now);
                }
                if health.state == State::Ok {
                    health.throttle(now, release, in_use);
                }
            }
            // What was granted shortly after the key came back may have used the credential that it had before.
            OutcomeCode::AUTH_FAILED | OutcomeCode::EXHAUSTED
                if release.granted_at < health.recovered_at + CREDENTIAL_MS => {}
            OutcomeCode::AUTH_FAILED => self.quarantine(key, State::AuthFailed),
            OutcomeCode::EXHAUSTED => self.quarantine(key, State::Exhausted),
            _ => {}
        }
    }

    fn quarantine(&mut self, key: RowIndex, state: State) {
        if let Some(health) = &mut self.rows[key.position()].health
            && health.state != state
        {
            health.state = state;
            health.version += 1;
            health.trial = None;
            self.open_the_last(key);
        }
    }

    /// A key is of no use any more: where a model is left with ejected keys alone, they are tried at once.
    pub(super) fn open_the_last(&mut self, key: RowIndex) {
        let now = self.meta.now;
        let models: Vec<Vec<RowIndex>> = self.keys_of_models_with(key).collect();
        for keys in models {
            if keys.iter().any(|&other| self.is_usable(other)) {
                continue;
            }
            for other in keys {
                if let Some(health) = &mut self.rows[other.position()].health
                    && health.admin == Admin::Enabled
                    && health.state == State::Ejected
                {
                    health.open_at = health.open_at.min(now);
                }
            }
        }
    }

    /// For each model that has `key`: its keys.
    fn keys_of_models_with(&self, key: RowIndex) -> impl Iterator<Item = Vec<RowIndex>> {
        self.catalog.models.iter().filter_map(move |model| {
            let keys = model
                .candidates
                .iter()
                .map(|candidate| self.catalog.candidates[candidate.position()].key);
            let keys: Vec<RowIndex> = keys.collect();
            keys.contains(&key).then_some(keys)
        })
    }

    /// Whether a model can count on it.
    fn is_usable(&self, row: RowIndex) -> bool {
        let health = self.rows[row.position()].health.as_ref();
        health.is_none_or(|health| {
            health.admin == Admin::Enabled
                && health.state == State::Ok
                && health.open_at <= self.meta.now + SOON_MS
        })
    }

    /// Ejects a key, unless a model would be left without a usable one: failing is better than refusing all.
    pub(super) fn eject(&mut self, key: RowIndex) {
        let now = self.meta.now;
        let is_spared = self.keys_of_models_with(key).any(|keys| {
            !keys
                .iter()
                .any(|&other| other != key && self.is_usable(other))
        });
        let row = &mut self.rows[key.position()];
        let grants = row.grants;
        match &mut row.health {
            Some(health) if is_spared => {
                // Asked again after as many failures as before: where everything fails, not each of them looks at
                // all models.
                health.failures = 0;
                health.recount(now);
            }
            Some(health) => health.eject(now, grants),
            None => {}
        }
    }

    /// A grant at an ejected key, be it a request or a probe, is its trial.
    pub(super) fn begin_trial(&mut self, session: &SessionId, key: RowIndex) {
        let now = self.meta.now;
        if let Some(health) = &mut self.rows[key.position()].health
            && health.state == State::Ejected
        {
            health.state = State::Trial;
            health.trial = Some(session.clone());
            health.trial_at = now;
        }
    }

    /// The keys that a lost session was trying, of those that it still holds.
    pub(super) fn tried_by(&self, assert: &Assert) -> Vec<RowIndex> {
        let held = assert.leases.iter().filter_map(|lease| {
            let rows = self.lease_rows(lease.model, lease.candidate, &lease.callers);
            rows.first().copied()
        });
        let is_tried = |key: &RowIndex| {
            let health = self.rows[key.position()].health.as_ref();
            health.is_some_and(|health| {
                health.state == State::Trial && health.trial.as_ref() == Some(&assert.predecessor)
            })
        };
        held.filter(is_tried).collect()
    }

    /// The trial goes on under another session, and any of its leases at the key ends it.
    pub(super) fn resume_trial(&mut self, session: &SessionId, key: RowIndex) {
        if let Some(health) = &mut self.rows[key.position()].health {
            health.state = State::Trial;
            health.trial = Some(session.clone());
            health.trial_at = 0;
        }
    }

    /// The session that tried a key is gone: somebody else may.
    pub(super) fn abandon_trial(&mut self, session: &SessionId, key: RowIndex) {
        if let Some(health) = &mut self.rows[key.position()].health {
            health.end_trial(session, i64::MAX);
        }
    }
}

/// Corrects a key's window by what its provider says is left, for all replicas; never above the configured limit.
///
/// What others used of the account is charged where it drains when the provider says that it will have forgotten it.
fn learn(row: &mut RowState, now: i64, reported: &Reported) {
    let resets_in = i64::from(reported.resets_in_ms);
    let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let (limit, remaining) = (count(reported.limit), count(reported.remaining));
    let window: Option<&mut WindowState> = row
        .windows
        .iter_mut()
        .find(|window| window.kind.code() == reported.kind);
    let Some(window) = window else {
        // Nobody counts it here: all that can be done is to wait.
        if remaining == 0 && resets_in > 0 {
            let health = row.health.get_or_insert_default();
            health.open_at = health.open_at.max(now + resets_in);
        }
        return;
    };
    if limit > 0 {
        window.learned = if limit < window.limit { limit } else { 0 };
    }
    let believed = if window.learned > 0 {
        window.learned
    } else {
        window.limit
    };
    let used_by_others = believed - window.total - remaining;
    if used_by_others > 0 {
        let span = window.kind.span_ms();
        window.correct(now + resets_in.min(span) - span, used_by_others);
    }
}
