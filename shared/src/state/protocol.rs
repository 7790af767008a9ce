//! What a session and the store say to each other: operations in, replies out.
//!
//! On the way to Redis every struct is a MessagePack array in the order of its fields, as the scripts index them;
//! a field is therefore only ever added at the end. The recorder writes the same types as JSON objects.

mod joining;
mod leading;
mod operations;
mod replies;

use serde::{Deserialize, Serialize};

pub use joining::{Assert, AssertedCharge, AssertedLease, AssertedWaiter, Boot, JoinReply};
pub use leading::{Candidacy, Judgement, Leadership, PublishStep, RowChange, Verdict};
pub use operations::{
    Acquire, BATCH_MAX, BATCH_MAX_LARGE, CANDIDATES_LARGE, Cancel, Operations, OutcomeCode,
    PurposeCode, Release,
};
pub use replies::{Grant, Mail, Queued, RejectCode, Rejected, TickReply};

/// How the store answered a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Status {
    #[default]
    Done,
    /// The store is empty: boot again.
    NoEpoch,
    /// The session is unknown: it was reaped, or the store lost it.
    Gone,
    /// The batch is older than the last one: a delayed copy.
    Old,
    /// The store lost batches that it had acknowledged.
    Rollback,
    /// The catalog changed: fetch it, then send the same batch again.
    Catalog,
    /// Another process with this replica's name is alive.
    Duplicate,
    /// The session still holds leases.
    Busy,
    /// A newer leader acts: this one's writes change nothing.
    Fenced,
    /// What the call was made for has changed meanwhile: look again.
    Stale,
}

impl Status {
    const ALL: [Self; 10] = [
        Self::Done,
        Self::NoEpoch,
        Self::Gone,
        Self::Old,
        Self::Rollback,
        Self::Catalog,
        Self::Duplicate,
        Self::Busy,
        Self::Fenced,
        Self::Stale,
    ];
}

impl From<Status> for u8 {
    fn from(status: Status) -> Self {
        status as Self
    }
}

impl TryFrom<u8> for Status {
    type Error = String;

    fn try_from(code: u8) -> Result<Self, String> {
        Self::ALL
            .get(usize::from(code))
            .copied()
            .ok_or_else(|| format!("unknown status {code}"))
    }
}

/// Lists that are mostly empty: `false` says so to the scripts, who pay for every table that they unpack.
pub(super) mod short_list {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Short<T> {
        Empty(#[expect(dead_code, reason = "only its type tells")] bool),
        Full(Vec<T>),
    }

    pub(in crate::state) fn serialize<T: Serialize, S: Serializer>(
        list: &[T],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        if list.is_empty() && !serializer.is_human_readable() {
            return serializer.serialize_bool(false);
        }
        list.serialize(serializer)
    }

    pub(in crate::state) fn deserialize<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
    where
        T: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(match Short::deserialize(deserializer)? {
            Short::Empty(_) => Vec::new(),
            Short::Full(list) => list,
        })
    }
}
