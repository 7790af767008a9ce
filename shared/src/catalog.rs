//! What the store knows of the configuration: scopes with limits, candidates, models. No URL, header or secret.
//!
//! Every scope, model and candidate has an index that is given by name and stays for good: a configuration that
//! changes keeps the indexes of what it keeps ([`Catalog::succeed`]), so counters and windows survive it. A candidate
//! whose key or scopes change is another one, with an index of its own: what a lease took is what its end frees.

mod declare;

use serde::{Deserialize, Serialize};

use crate::ids::{CandidateIndex, ModelName, RowIndex};

/// Admission limits of one scope; an absent one does not limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests in flight.
    pub concurrency: Option<u32>,
    /// Requests per second.
    pub qps: Option<u32>,
    /// Requests per minute.
    pub rpm: Option<u32>,
    /// Tokens, prompt and output, per minute.
    pub tpm: Option<u32>,
    /// Requests per day.
    pub rpd: Option<u32>,
    /// Tokens per day.
    pub tpd: Option<u64>,
}

impl Limits {
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }

    /// The rate limits that are set, in the order of [`WindowKind::ALL`].
    pub fn windows(&self) -> impl Iterator<Item = (WindowKind, u64)> + use<> {
        let Self {
            concurrency: _,
            qps,
            rpm,
            tpm,
            rpd,
            tpd,
        } = *self;
        let limits = [qps, rpm, tpm, rpd].map(|limit| limit.map(u64::from));
        let limits = limits.into_iter().chain([tpd]);
        WindowKind::ALL
            .into_iter()
            .zip(limits)
            .filter_map(|(kind, limit)| Some((kind, limit?)))
    }
}

/// A rate limit's counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WindowKind {
    Qps,
    Rpm,
    Tpm,
    Rpd,
    Tpd,
}

impl WindowKind {
    pub const ALL: [Self; 5] = [Self::Qps, Self::Rpm, Self::Tpm, Self::Rpd, Self::Tpd];

    /// Its number in the store's rows.
    pub fn code(self) -> u8 {
        self as u8
    }

    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Qps => "qps",
            Self::Rpm => "rpm",
            Self::Tpm => "tpm",
            Self::Rpd => "rpd",
            Self::Tpd => "tpd",
        }
    }

    /// Whether its interval is a day.
    pub fn is_daily(self) -> bool {
        matches!(self, Self::Rpd | Self::Tpd)
    }

    /// Whether it counts tokens; else requests.
    pub fn counts_tokens(self) -> bool {
        matches!(self, Self::Tpm | Self::Tpd)
    }

    /// One bucket's width in milliseconds.
    ///
    /// A ring holds the interval, the bucket it begins in, and one guard bucket against jitter on the way to the
    /// provider, so that no sliding interval *at the provider* sees more than the limit.
    pub fn bucket_ms(self) -> i64 {
        match self {
            Self::Qps => 25,
            Self::Rpm | Self::Tpm => 500,
            Self::Rpd | Self::Tpd => 15 * 60 * 1000,
        }
    }

    /// Buckets in its ring, the guard included.
    pub fn ring_len(self) -> i64 {
        match self {
            Self::Qps => 42,
            Self::Rpm | Self::Tpm => 122,
            Self::Rpd | Self::Tpd => 98,
        }
    }

    /// How long an admission stays charged, at most.
    pub fn span_ms(self) -> i64 {
        self.bucket_ms() * self.ring_len()
    }
}

/// What can refuse an admission: the slots of a scope, or one of its windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LimitKind {
    Concurrency,
    Window(WindowKind),
}

impl LimitKind {
    /// Its number on the wire: 0 for slots, window code + 1 else.
    pub fn code(self) -> u8 {
        match self {
            Self::Concurrency => 0,
            Self::Window(kind) => kind.code() + 1,
        }
    }

    pub fn from_code(code: u8) -> Option<Self> {
        match code.checked_sub(1) {
            None => Some(Self::Concurrency),
            Some(window) => WindowKind::from_code(window).map(Self::Window),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Concurrency => "concurrency",
            Self::Window(kind) => kind.name(),
        }
    }
}

impl Serialize for LimitKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.code())
    }
}

impl<'de> Deserialize<'de> for LimitKind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = u8::deserialize(deserializer)?;
        Self::from_code(code).ok_or_else(|| serde::de::Error::custom("unknown limit kind"))
    }
}

/// How a model's candidate is chosen, over the whole cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Round robin.
    #[default]
    Balanced,
    /// Smooth weighted round robin.
    Weighted,
    /// The first in configuration order that has room.
    FirstAvailable,
    /// Least in flight for its capacity and weight.
    LeastBusy,
    /// Smooth weighted round robin whose weights follow latency and failures.
    DynamicWeighted,
    /// Least latency for its load and weight.
    Fastest,
}

impl Strategy {
    pub const ALL: [Self; 6] = [
        Self::Balanced,
        Self::Weighted,
        Self::DynamicWeighted,
        Self::Fastest,
        Self::FirstAvailable,
        Self::LeastBusy,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Balanced => "balanced",
            Self::Weighted => "weighted",
            Self::FirstAvailable => "first_available",
            Self::LeastBusy => "least_busy",
            Self::DynamicWeighted => "dynamic_weighted",
            Self::Fastest => "fastest",
        }
    }
}

/// What kind of thing a row limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScopeKind {
    Key,
    Provider,
    Upstream,
    Model,
    ClientKey,
}

impl ScopeKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Provider => "provider",
            Self::Upstream => "upstream",
            Self::Model => "model",
            Self::ClientKey => "client_key",
        }
    }
}

/// A scope that the store counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub kind: ScopeKind,
    /// `provider/key`, `provider`, `model/provider/upstream model`, `model` or the client key's name.
    pub name: String,
    /// Requests in flight; 0 is unlimited.
    pub slots_max: u32,
    pub windows: Vec<Window>,
    /// Of a key: tells that its credential or address changed, and nothing about them. Empty for other scopes.
    pub credential: String,
    /// No longer declared: kept for what still holds it, and for its return.
    pub is_retired: bool,
}

/// One rate limit of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// [`WindowKind::code`].
    pub kind: u8,
    pub limit: u64,
    /// Where its ring begins in the store's window string, in buckets.
    pub offset: u32,
}

/// (upstream, key): what a strategy chooses among.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// `model/provider/upstream model/key`.
    pub name: String,
    pub key: RowIndex,
    /// The limited scopes above the key: provider, upstream, model.
    pub scopes: Vec<RowIndex>,
    /// Key weight × upstream weight.
    pub weight: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    pub name: ModelName,
    pub strategy: Strategy,
    pub exclusive: bool,
    /// In configuration order.
    pub candidates: Vec<CandidateIndex>,
    /// What it had before: granted no more, but their leases still have to find their rows.
    pub retired: Vec<CandidateIndex>,
}

/// Everything an admission decision needs to know of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Catalog {
    /// Grows by one with each change that the store takes.
    pub version: u64,
    /// SHA-256 over what was declared, in hex: equal files have equal hashes, whatever came before them.
    pub hash: String,
    pub queue_max: u32,
    /// Retries per request that the whole cluster may make, beside a small floor.
    pub retry_share: f64,
    pub rows: Vec<Row>,
    pub candidates: Vec<Candidate>,
    pub models: Vec<Model>,
    /// Buckets that the window string holds.
    pub buckets: u32,
}
