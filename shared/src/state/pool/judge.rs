//! Verdicts: what probes and operators change of a key's health.

use super::health::{Admin, State};
use super::{Pool, ServerClock};
use crate::catalog::ScopeKind;
use crate::ids::{Fence, SessionId};
use crate::state::protocol::{JoinReply, Judgement, Status, Verdict};

impl Pool {
    /// Changes a key's health, then hands what became free to whoever waits.
    ///
    /// What a probe found of a state that has changed since is `Stale`; so is a word about what is no key. `leader` is
    /// the fence of whoever leads now.
    pub fn judge(
        &mut self,
        clock: &ServerClock,
        leader: Fence,
        judgement: &Judgement,
    ) -> JoinReply {
        let Some(meta) = self.advanced(clock) else {
            return JoinReply::of(Status::NoEpoch, &self.meta);
        };
        if judgement.fence.is_older_than(leader) {
            self.keep_restart(&meta);
            return JoinReply::of(Status::Fenced, &meta);
        }
        let key = judgement.row;
        let is_key = self
            .catalog
            .rows
            .get(key.position())
            .is_some_and(|row| row.kind == ScopeKind::Key);
        let version = self
            .rows
            .get(key.position())
            .and_then(|row| row.health.as_ref())
            .map_or(0, |health| health.version);
        if !is_key || judgement.version.is_some_and(|seen| seen != version) {
            self.keep_restart(&meta);
            return JoinReply::of(Status::Stale, &meta);
        }

        self.meta = meta;
        self.meta.tick += 1;
        self.rotate();
        let now = self.meta.now;
        let health = self.rows[key.position()].health.get_or_insert_default();
        match judgement.verdict {
            Verdict::Up if health.state != State::Ok => health.recover(now),
            Verdict::Reachable if !matches!(health.state, State::Ok | State::Exhausted) => {
                health.recover(now);
            }
            Verdict::Down if health.state == State::Ok => self.eject(key),
            Verdict::Up | Verdict::Reachable | Verdict::Down => {}
            Verdict::Enable => *health = health.enabled(now),
            Verdict::Drain | Verdict::Disable => {
                health.set_admin(match judgement.verdict {
                    Verdict::Drain => Admin::Drained,
                    _ => Admin::Disabled,
                });
                self.open_the_last(key);
            }
        }
        // Claims come from sessions; this only serves those that wait already.
        self.admit(&SessionId::from(""), &[]);
        JoinReply::of(Status::Done, &self.meta)
    }
}
