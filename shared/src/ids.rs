//! One type per name and per index, so that two of them cannot be swapped.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl<S: Into<Arc<str>>> From<S> for $name {
            fn from(name: S) -> Self {
                Self(name.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        // Lets maps keyed by the name be asked with a plain `&str`.
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    )+};
}

names! {
    /// The public name a client asks for.
    ModelName;
    /// An account somewhere: a dialect, a base URL and its keys.
    ProviderName;
    /// A provider credential's name; never the credential.
    KeyName;
    /// The name of a credential that a client sends us.
    ClientKeyName;
    /// Who pays: client keys belong to teams.
    TeamName;
    /// What a replica calls itself; survives its restarts.
    ReplicaName;
    /// One incarnation of a replica in the store: an opaque uuid.
    SessionId;
}

macro_rules! indexes {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u32);

        impl $name {
            /// The position in the catalog's list.
            pub fn position(self) -> usize {
                self.0 as usize
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

indexes! {
    /// A scope's row in the store.
    RowIndex;
    /// A model in the catalog.
    ModelIndex;
    /// A candidate, (upstream, key), in the catalog.
    CandidateIndex;
}

/// A request's place in the cluster-wide queue, unique within its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ticket(pub u64);

/// A leader's token: every write it makes carries it, and the store refuses an older one than it has seen.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Fence(pub u64);

impl Fence {
    /// Nobody's: what an operator does is not bound to who leads.
    pub const NONE: Self = Self(0);

    /// Whether somebody newer leads.
    pub fn is_older_than(self, leader: Self) -> bool {
        self != Self::NONE && self < leader
    }
}
