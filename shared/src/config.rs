//! The configuration, as true types: what is here has been checked.
//!
//! `raw` holds what a user may write, `check` turns it into these types or refuses it by name. Layers:
//! defaults < file < environment (`SLUICE__LISTEN`) < command line.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::catalog::{Limits, Strategy};
use crate::ids::{ClientKeyName, KeyName, ModelName, ProviderName, TeamName};
use crate::secret::Secret;
use crate::units::Priority;

#[derive(Clone, Debug)]
pub struct Config {
    /// The data plane.
    pub listen: SocketAddr,
    /// `/metrics` and `/view`; never the data port.
    pub admin_listen: SocketAddr,
    /// Serve without client keys on an address other than loopback.
    pub open_access: bool,
    pub state: StateStore,
    /// Defaults to `<host>/<listen address>`.
    pub replica_name: Option<String>,
    pub providers: Vec<Provider>,
    pub models: Vec<Model>,
    pub client_keys: Vec<ClientKey>,
    pub queue: Queue,
    pub timeouts: Timeouts,
    pub retries: Retries,
    pub limits: ServerLimits,
    pub telemetry: Telemetry,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateStore {
    /// The rules in this process, no Redis.
    Memory,
    /// `redis://` or `rediss://`; the URL may hold a password.
    Redis(Secret<String>),
}

#[derive(Clone, Debug)]
pub struct Provider {
    pub name: ProviderName,
    pub dialect: Dialect,
    /// Without a trailing slash.
    pub base_url: String,
    /// Added to each upstream request; values may be credentials.
    pub headers: Vec<(String, Secret<String>)>,
    /// Over all its keys.
    pub limits: Limits,
    pub keys: Vec<Key>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    OpenaiChat,
}

#[derive(Clone, Debug)]
pub struct Key {
    pub name: KeyName,
    pub secret: Secret<String>,
    /// Positive and finite.
    pub weight: f64,
    pub limits: Limits,
}

#[derive(Clone, Debug)]
pub struct Model {
    pub name: ModelName,
    pub aliases: Vec<ModelName>,
    pub strategy: Strategy,
    /// `first_available` only: one holder of a key at a time.
    pub exclusive: bool,
    pub limits: Limits,
    pub upstreams: Vec<Upstream>,
    /// Request fields that are forced, whatever the client sent. Never `model` or `stream`.
    pub overrides: serde_json::Map<String, serde_json::Value>,
}

#[derive(Clone, Debug)]
pub struct Upstream {
    pub provider: ProviderName,
    /// The provider's name for the model.
    pub model: String,
    /// Positive and finite; multiplied by the key's.
    pub weight: f64,
    pub limits: Limits,
}

#[derive(Clone, Debug)]
pub struct ClientKey {
    pub name: ClientKeyName,
    /// SHA-256 of the whole token; the token itself is forgotten at once.
    pub digest: [u8; 32],
    pub team: Option<TeamName>,
    /// Ceiling and default.
    pub priority: Priority,
    /// Public model names it may use; `None` allows all.
    pub models: Option<Vec<ModelName>>,
    pub limits: Limits,
}

#[derive(Clone, Copy, Debug)]
pub struct Queue {
    /// Waiters per model, over the whole cluster.
    pub max_length: u32,
    pub timeout: Duration,
}

#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    pub connect: Duration,
    /// Dispatch to response headers and first content byte.
    pub first_byte: Duration,
    /// Between two chunks of a stream.
    pub idle: Duration,
    /// Dispatch to last byte.
    pub total: Duration,
    /// SIGTERM to the end of the last stream.
    pub drain: Duration,
}

#[derive(Clone, Copy, Debug)]
pub struct Retries {
    /// Upstream attempts per request, the first included.
    pub max_attempts: NonZeroU32,
}

#[derive(Clone, Copy, Debug)]
pub struct ServerLimits {
    /// Request body, in bytes.
    pub body: usize,
    /// Open client connections.
    pub connections: usize,
}

#[derive(Clone, Debug)]
pub struct Telemetry {
    pub log: LogFormat,
    /// A `tracing` filter: `info`, `router=debug`.
    pub level: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Json,
    /// For a person at a terminal.
    Text,
}
