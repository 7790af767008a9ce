//! The one quota view: what `/view` answers.

use serde::{Deserialize, Serialize};

use crate::catalog::ScopeKind;

/// A snapshot of the shared state, for people.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// Logical milliseconds.
    pub now_ms: i64,
    /// Ticks since the epoch began.
    pub tick: u64,
    /// Logical time at which the epoch began.
    pub epoch: i64,
    pub learning: bool,
    pub catalog_version: u64,
    /// Releases that no session held: always 0.
    pub anomalies: u64,
    pub scopes: Vec<ScopeView>,
    pub models: Vec<ModelView>,
    pub sessions: Vec<SessionView>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScopeView {
    pub kind: ScopeKind,
    pub name: String,
    /// Requests in flight.
    pub held: u64,
    /// `None`: unlimited.
    pub slots_max: Option<u64>,
    /// Grants since the epoch began.
    pub grants: u64,
    pub windows: Vec<WindowView>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowView {
    /// `qps`, `rpm`, `tpm`, `rpd` or `tpd`.
    pub kind: String,
    pub used: u64,
    pub limit: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelView {
    pub name: String,
    pub strategy: String,
    pub queued: u64,
    /// (priority, waiters), highest first, only where somebody waits.
    pub queued_by_priority: Vec<(u8, u64)>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionView {
    pub replica: String,
    pub session: String,
    pub held: u64,
    /// Until the store would take its leases back.
    pub expires_in_ms: i64,
}
