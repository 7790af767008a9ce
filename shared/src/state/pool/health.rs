//! Health: what the outcomes of requests say about a key, and when it may serve.
//!
//! Passive: driven by releases alone, for all replicas at once. A key that fails is ejected; when its time is over,
//! exactly one request in the cluster tries it again. What the provider says of waiting (429) closes a key without
//! ejecting it, and a bad request never counts. Probes and operators speak through [`super::judge`].

mod record;

pub(super) use record::{Admin, Health, State};

use super::window::WindowState;
use super::{Pool, RowState};
use crate::ids::{RowIndex, SessionId};
use crate::lease::Reported;
use crate::state::protocol::{Assert, OutcomeCode, Release};

/// Failures in a row that eject (Envoy's `consecutive_5xx`).
const FAILURES_MAX: u32 = 5;
/// Requests within one count that make a failure rate worth looking at; half of them failed ejects.
const VOLUME_MIN: u32 = 20;
/// A key that is throttled for longer than this is not counted on by the panic floor.
const SOON_MS: i64 = 60_000;
/// How long replicas may go on using a credential after another one was published: they look at their files each second.
const CREDENTIAL_MS: i64 = 3_000;
/// How much one outcome weighs in the penalty.
const PENALTY_STEP: f64 = 0.2;

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
