//! The configuration, as true types: what is here has been checked.
//!
//! `raw` holds what a user may write, `layers` reads it, `check` turns it into these types or refuses it by name.
//! Layers: defaults < file < environment (`SLUICE__LISTEN`) < command line. Nothing else reads the environment.

mod check;
mod dialect;
mod error;
mod follow;
mod layers;
mod nearest;
mod numbers;
mod raw;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

pub use self::dialect::{Dialect, Manners};
pub use self::error::{ConfigError, Problem};
pub use self::follow::ConfigFile;

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
    pub state_tls: StateTls,
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

/// What the command line lays over file and environment.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    pub listen: Option<String>,
    pub admin_listen: Option<String>,
    pub state: Option<String>,
}

impl Config {
    /// Loads `path` with this process's environment over it.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or a setting breaks a rule.
    pub fn load_from_process(path: &Path, overrides: &Overrides) -> Result<Self, ConfigError> {
        // A variable that is not Unicode cannot be one of ours.
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Self::load(Some(path), overrides, environment)
    }

    /// Loads the file at `path`, if any, with `environment` and `overrides` over it.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or a setting breaks a rule.
    pub fn load(
        path: Option<&Path>,
        overrides: &Overrides,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let yaml = match path {
            Some(path) => {
                std::fs::read_to_string(path).map_err(|reason| ConfigError::Unreadable {
                    path: path.to_owned(),
                    reason: reason.to_string(),
                })?
            }
            None => String::new(),
        };
        Self::from_yaml(&yaml, overrides, environment)
    }

    /// Reads a configuration that is not in a file.
    ///
    /// # Errors
    ///
    /// A setting breaks a rule.
    pub fn from_yaml(
        yaml: &str,
        overrides: &Overrides,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let environment: HashMap<String, String> = environment.collect();
        let settings = layers::settings(yaml, &environment, overrides)?;
        check::check(settings, &environment)
    }

    /// The JSON schema of the file, for editors.
    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(raw::Settings).to_value()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateStore {
    /// The rules in this process, no Redis.
    Memory,
    /// `redis://` or `rediss://`; the URL may hold a password.
    Redis(Secret<String>),
}

/// How a `rediss://` server is trusted, and how it knows us; in PEM form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateTls {
    /// `None`: what the system trusts.
    pub ca: Option<Secret<String>>,
    pub certificate: Option<Secret<String>>,
    /// Given if and only if `certificate` is.
    pub key: Option<Secret<String>>,
}

#[derive(Clone, Debug)]
pub struct Provider {
    pub name: ProviderName,
    pub dialect: Dialect,
    /// Habits beyond the dialect: paths, credentials, fields.
    pub manners: Manners,
    /// Azure's `api-version`; `None` is its `/openai/v1`, which has none.
    pub api_version: Option<String>,
    /// Without a trailing slash.
    pub base_url: String,
    /// Added to each upstream request; values may be credentials.
    pub headers: Vec<(String, Secret<String>)>,
    /// Over all its keys.
    pub limits: Limits,
    pub keys: Vec<Key>,
    pub health: Health,
}

/// How a coordinator looks after a provider's keys.
#[derive(Clone, Debug)]
pub struct Health {
    pub probe: Probe,
    pub interval: Duration,
    /// Successful probes in a row that bring a key back.
    pub rise: u32,
    /// Failed probes in a row that take a key out.
    pub fall: u32,
}

impl Health {
    /// For keys that nobody probes.
    pub const UNPROBED: Self = Self {
        probe: Probe::None,
        interval: Duration::from_secs(15),
        rise: 2,
        fall: 3,
    };
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// The provider's list of models: costs nothing.
    Models,
    /// A chat of one token, at each key's first model.
    Chat,
    /// A GET of this path at the provider's host.
    Path(String),
    None,
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
    /// Whether what an upstream's dialect cannot express is left out instead of refused.
    pub drop_unsupported: bool,
}

#[derive(Clone, Debug)]
pub struct Upstream {
    pub provider: ProviderName,
    /// The provider's name for the model.
    pub model: String,
    /// Positive and finite; multiplied by the key's.
    pub weight: f64,
    pub limits: Limits,
    /// Prompt and answer together, in tokens; `None` is unknown, and nothing is held back for it.
    pub context_length: Option<u32>,
    /// `None` is unknown, and nothing is held back for it.
    pub capabilities: Option<Vec<Capability>>,
}

/// What an upstream model can do beyond text in, text out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Capability {
    Text,
    /// Images in.
    Vision,
    /// Sound in.
    Audio,
    /// Documents in.
    Files,
    Tools,
    /// Answers that follow a JSON schema.
    JsonSchema,
    Embedding,
}

impl Capability {
    pub const ALL: [Self; 7] = [
        Self::Text,
        Self::Vision,
        Self::Audio,
        Self::Files,
        Self::Tools,
        Self::JsonSchema,
        Self::Embedding,
    ];

    /// As the configuration writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Vision => "vision",
            Self::Audio => "audio",
            Self::Files => "files",
            Self::Tools => "tools",
            Self::JsonSchema => "json_schema",
            Self::Embedding => "embedding",
        }
    }
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
    /// First dispatch to last byte, retries included.
    pub total: Duration,
    /// SIGTERM to the end of the last stream.
    pub drain: Duration,
}

#[derive(Clone, Copy, Debug)]
pub struct Retries {
    /// Upstream attempts per request, the first included.
    pub max_attempts: NonZeroU32,
    /// Retries per request over the whole cluster, beside a small floor.
    pub budget: f64,
    /// Request bodies above this many bytes are sent only once.
    pub replay_max: usize,
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
