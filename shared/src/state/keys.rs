//! Every key and channel in Redis, in one place.
//!
//! The prefix carries the layout version, and the pool's name is the hash tag: all keys of a pool share a slot.

use crate::ids::SessionId;

/// Layout 1. A change of layout is not a rolling update: two prefixes would be two sets of counters.
const PREFIX: &str = "sluice:1:{main}:";

/// The keys of the pool, in the order in which the scripts take them (`scripts/prelude.lua`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolKeys(Vec<String>);

impl PoolKeys {
    pub fn new(n_models: usize) -> Self {
        let fixed = [
            "meta", "rows", "held", "sessions", "expiry", "windows", "waiters", "mail", "leader",
        ];
        let queues = (0..n_models).map(|model| format!("{PREFIX}queue:{model}"));
        Self(
            fixed
                .iter()
                .map(|name| format!("{PREFIX}{name}"))
                .chain(queues)
                .collect(),
        )
    }

    pub fn all(&self) -> &[String] {
        &self.0
    }

    pub fn queues(&self) -> &[String] {
        &self.0[9..]
    }
}

impl AsRef<[String]> for PoolKeys {
    fn as_ref(&self) -> &[String] {
        &self.0
    }
}

/// Who leads the coordinators; beside the pool, in the same slot.
pub fn leader() -> String {
    format!("{PREFIX}leader")
}

/// What a session's wake-ups are published under, up to its id.
pub fn channel_prefix() -> String {
    format!("{PREFIX}wake:")
}

pub fn channel(session: &SessionId) -> String {
    format!("{PREFIX}wake:{session}")
}

/// The session that a channel belongs to.
pub fn session_of(channel: &str) -> Option<SessionId> {
    channel.strip_prefix(&channel_prefix()).map(SessionId::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spelling_of_keys_is_pinned() {
        let keys = PoolKeys::new(2);

        assert_eq!(keys.all()[0], "sluice:1:{main}:meta");
        assert_eq!(keys.all()[8], "sluice:1:{main}:leader");
        assert_eq!(
            keys.queues(),
            ["sluice:1:{main}:queue:0", "sluice:1:{main}:queue:1"]
        );
        assert_eq!(leader(), "sluice:1:{main}:leader");
        let session = SessionId::from("s");
        assert_eq!(channel(&session), "sluice:1:{main}:wake:s");
        assert_eq!(session_of(&channel(&session)), Some(session));
    }
}
