//! What coordinators say: who leads, what is published, how keys fare.

use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, Row};
use crate::ids::{Fence, RowIndex};

/// One call of a publish: the rows that it changes; the last one carries the catalog too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PublishStep {
    pub fence: Fence,
    /// The start of the server, and the catalog in force, that it was made for.
    pub generation: i64,
    pub base: u64,
    /// Buckets that the window string holds from now on.
    pub buckets: u32,
    pub rows: Vec<RowChange>,
    pub catalog: Option<Catalog>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RowChange {
    pub index: RowIndex,
    pub row: Row,
    /// A key whose credential changed: what is known of its health is forgotten.
    pub is_other_key: bool,
}

/// Asks for the leadership, or renews it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidacy {
    /// One incarnation of a coordinator: an opaque uuid.
    pub owner: String,
    /// Where its admin port answers, for people who look for the leader.
    pub address: String,
    /// Give the leadership back instead.
    pub resigns: bool,
}

/// Who leads.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Leadership {
    /// Empty: nobody.
    pub owner: String,
    pub address: String,
    /// Grows with every change of leader, also over a store that lost its data.
    pub fence: Fence,
    /// Until the leadership falls free unless renewed; 0: it is free.
    pub remaining_ms: i64,
}

/// What a coordinator, or an operator, finds of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Verdict {
    /// Probes succeeded: it serves again, whatever it was out for.
    Up,
    /// Probes succeeded that cost the provider nothing: a key without money stays out.
    Reachable,
    /// Probes failed: it is ejected, unless it is the last usable key of a model.
    Down,
    /// An operator: serves again, its health forgotten.
    Enable,
    /// An operator: gets nothing new, what runs finishes; probes go on.
    Drain,
    /// An operator: gets nothing new, and is not probed.
    Disable,
}

impl Verdict {
    const ALL: [Self; 6] = [
        Self::Up,
        Self::Reachable,
        Self::Down,
        Self::Enable,
        Self::Drain,
        Self::Disable,
    ];
}

impl From<Verdict> for u8 {
    fn from(verdict: Verdict) -> Self {
        verdict as Self
    }
}

impl TryFrom<u8> for Verdict {
    type Error = String;

    fn try_from(code: u8) -> Result<Self, String> {
        Self::ALL
            .get(usize::from(code))
            .copied()
            .ok_or_else(|| format!("unknown verdict {code}"))
    }
}

/// Tells the store what was found of a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// [`Fence::NONE`]: an operator's own word, whoever leads.
    pub fence: Fence,
    pub row: RowIndex,
    /// The key's state version when the probe began; what it found of an earlier state is `Stale`. `None`: whatever.
    pub version: Option<u64>,
    pub verdict: Verdict,
}
