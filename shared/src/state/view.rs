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
    /// Retries that the cluster may make now.
    #[serde(default)]
    pub retries_left: f64,
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
    /// Of keys only.
    #[serde(default)]
    pub health: Option<HealthView>,
}

/// What the cluster knows of a key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HealthView {
    pub state: KeyState,
    pub admin: AdminState,
    /// Grows with each change of either; a probe is judged by the one that it began with.
    pub version: u64,
    /// Until it may serve again, by time alone.
    pub opens_in_ms: Option<i64>,
    /// Failures in a row.
    pub failures: u32,
    /// Ejections that are remembered: each makes the next one longer.
    pub ejections: u32,
    /// 0 to 1: how much of the latest outcomes failed.
    pub penalty: f64,
    /// Moving averages; `None`: no sample yet.
    pub first_byte_ms: Option<f64>,
    pub token_ms: Option<f64>,
    /// Since it last served a request; `None`: never.
    pub served_ms_ago: Option<i64>,
    /// Requests in flight that 429s have taught it to stay at.
    pub slots_learned: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    #[default]
    Ok,
    /// Its provider asked to be left alone for a while (429).
    Throttled,
    /// Out after failures, until a trial request or probes succeed.
    Ejected,
    /// One request is trying whether it works again.
    Trial,
    /// Its credential was refused (401, 403).
    AuthFailed,
    /// Its account has no money or quota left.
    Exhausted,
}

/// What an operator wants of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdminState {
    #[default]
    Enabled,
    Drained,
    Disabled,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowView {
    /// `qps`, `rpm`, `tpm`, `rpd` or `tpd`.
    pub kind: String,
    pub used: u64,
    pub limit: u64,
    /// The provider's own limit as it last reported it, where that is less.
    #[serde(default)]
    pub limit_learned: Option<u64>,
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
