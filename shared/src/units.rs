//! Numbers that carry their range.

use serde::{Deserialize, Serialize};

/// The most tokens one request can be charged with: usage beyond it is a provider's mistake.
pub const TOKENS_MAX: u32 = i32::MAX as u32;

/// A request's priority, 0 (first to wait) to 10 (first to be served).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Priority(u8);

impl Priority {
    pub const MAX: Self = Self(10);
    /// What a client key without `priority` gets.
    pub const DEFAULT: Self = Self(5);

    /// `None` above 10.
    pub fn try_new(level: u8) -> Option<Self> {
        (level <= Self::MAX.0).then_some(Self(level))
    }

    pub fn level(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Clamps what a provider or client reported to `[0, TOKENS_MAX]`.
pub fn clamp_tokens(tokens: i64) -> u32 {
    u32::try_from(tokens.max(0)).map_or(TOKENS_MAX, |tokens| tokens.min(TOKENS_MAX))
}
