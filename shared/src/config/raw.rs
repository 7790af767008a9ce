//! What a user may write, before any check. Doc comments here are the descriptions of `sluice config schema`.
//!
//! Durations, sizes, addresses and choices stay text until `check` reads them, so that a refusal can name them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::numbers::{Number, Whole};
use crate::catalog::Strategy;
use crate::config::{Capability, Dialect, Manners};

/// The configuration of Sluice: one YAML file, the same for every component.
#[derive(Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a map of settings")]
#[schemars(title = "Sluice configuration", extend("required" = ["providers", "models"]))]
pub(super) struct Settings {
    /// Address of the data plane, where clients send their requests.
    pub(super) listen: String,
    /// Address of `/metrics` and `/view`; never the data port.
    pub(super) admin_listen: String,
    /// Serve without client keys on an address other than loopback.
    pub(super) open_access: bool,
    /// Where replicas agree: `memory` (one process), `redis://host:6379/0` or `rediss://host:6380/0`.
    pub(super) state: String,
    /// How `rediss://` is trusted; without it, by the authorities that this system trusts.
    pub(super) state_tls: StateTls,
    /// This process among the others.
    pub(super) replica: Replica,
    /// Accounts at LLM providers.
    #[schemars(length(min = 1))]
    pub(super) providers: Vec<Provider>,
    /// The models that clients may ask for.
    #[schemars(length(min = 1))]
    pub(super) models: Vec<Model>,
    /// The credentials that clients send; without any, everybody who reaches `listen` is served.
    pub(super) client_keys: Vec<ClientKey>,
    /// Where requests wait for room.
    pub(super) queue: Queue,
    /// How long the stages of a request may take.
    pub(super) timeouts: Timeouts,
    /// Fail-over to other candidates.
    pub(super) retries: Retries,
    /// What one router process takes from its clients.
    pub(super) limits: ServerLimits,
    /// Logs.
    pub(super) telemetry: Telemetry,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            admin_listen: "127.0.0.1:9090".to_owned(),
            open_access: false,
            state: "memory".to_owned(),
            state_tls: StateTls::default(),
            replica: Replica::default(),
            providers: Vec::new(),
            models: Vec::new(),
            client_keys: Vec::new(),
            queue: Queue::default(),
            timeouts: Timeouts::default(),
            retries: Retries::default(),
            limits: ServerLimits::default(),
            telemetry: Telemetry::default(),
        }
    }
}

/// Certificates in PEM form: each is `file:PATH`, `env:NAME` or the text itself.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "a map with `ca`, `certificate` and `key`"
)]
pub(super) struct StateTls {
    /// The authorities that may have signed the certificate of Redis, in place of those that this system trusts.
    pub(super) ca: Option<String>,
    /// This replica's own certificate, where Redis asks for one.
    pub(super) certificate: Option<String>,
    /// The private key of `certificate`.
    pub(super) key: Option<String>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a map with `name`")]
pub(super) struct Replica {
    /// What the other replicas know this one by; must differ between them. Defaults to `<host>/<listen address>`.
    pub(super) name: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a map with `name`, `dialect`, `base_url` and `keys`"
)]
pub(super) struct Provider {
    /// Unique among providers.
    pub(super) name: String,
    /// The wire language that the provider speaks.
    #[schemars(extend("enum" = Dialect::ALL.map(Dialect::name)))]
    pub(super) dialect: String,
    /// Habits of this provider among those of its dialect.
    #[serde(default = "plain")]
    #[schemars(extend("enum" = Manners::ALL.map(Manners::name)))]
    pub(super) manners: String,
    /// Azure's `api-version`, such as `2024-10-21`; leave it out for the paths under `/openai/v1`.
    pub(super) api_version: Option<String>,
    /// Where the API begins, its version included: `https://api.openai.com/v1`.
    pub(super) base_url: String,
    /// Added to each upstream request. Values may be secrets: a literal, `env:NAME` or `file:PATH`.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    /// Over all keys of the provider.
    #[serde(default)]
    pub(super) limits: Limits,
    /// The credentials to spread requests over.
    #[schemars(length(min = 1))]
    pub(super) keys: Vec<Key>,
    /// How a coordinator looks after the keys.
    #[serde(default)]
    pub(super) health: Health,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a map with `name` and `secret`")]
pub(super) struct Key {
    /// Unique within the provider.
    pub(super) name: String,
    /// A literal, `env:NAME` or `file:PATH`.
    pub(super) secret: String,
    /// The key's share under the strategy `weighted`, and its capacity under `least_busy`.
    #[serde(default = "one")]
    pub(super) weight: Number,
    /// What the provider allows this key, over the whole cluster.
    #[serde(default)]
    pub(super) limits: Limits,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a map with `name` and `upstreams`")]
pub(super) struct Model {
    /// What clients ask for; unique among names and aliases.
    pub(super) name: String,
    /// Other names for the same model.
    #[serde(default)]
    pub(super) aliases: Vec<String>,
    /// How a key is chosen, over the whole cluster.
    #[serde(default = "balanced")]
    #[schemars(extend("enum" = Strategy::ALL.map(Strategy::name)))]
    pub(super) strategy: String,
    /// One holder of a key at a time; for the strategy `first_available` only.
    #[serde(default)]
    pub(super) exclusive: bool,
    /// Over all upstreams of the model.
    #[serde(default)]
    pub(super) limits: Limits,
    /// Who can answer for this model, in order of preference.
    #[schemars(length(min = 1))]
    pub(super) upstreams: Vec<Upstream>,
    /// Request fields that are forced, whatever the client sent; not `model`, `messages`, `stream` or `stream_options`.
    #[serde(default)]
    pub(super) overrides: serde_json::Map<String, serde_json::Value>,
    /// Leave out what an upstream's dialect cannot express, instead of refusing the request.
    #[serde(default)]
    pub(super) drop_unsupported: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a map with `provider`")]
pub(super) struct Upstream {
    /// The name of a provider.
    pub(super) provider: String,
    /// The provider's name for the model; defaults to the public name.
    pub(super) model: Option<String>,
    /// Multiplied by the weight of each key.
    #[serde(default = "one")]
    pub(super) weight: Number,
    /// Over all keys of this upstream.
    #[serde(default)]
    pub(super) limits: Limits,
    /// The tokens that fit, prompt and answer together; larger requests go to other upstreams.
    #[schemars(range(min = 1))]
    pub(super) context_length: Option<Whole>,
    /// What the model can do; requests that need more go to other upstreams. Leave it out to send it all.
    #[schemars(extend("items" = serde_json::json!({"enum": Capability::ALL.map(Capability::name)})))]
    pub(super) capabilities: Option<Vec<String>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a map with `name` and `secret`")]
pub(super) struct ClientKey {
    /// Unique among client keys.
    pub(super) name: String,
    /// The token that clients send: a literal, `env:NAME` or `file:PATH`.
    pub(super) secret: String,
    /// Who pays.
    pub(super) team: Option<String>,
    /// Ceiling and default of its requests' priority; 10 is served first.
    #[serde(default = "middle")]
    #[schemars(range(min = 0, max = 10))]
    pub(super) priority: Whole,
    /// The models it may use; leave it out to allow all.
    pub(super) models: Option<Vec<String>>,
    /// What this client key may use, over the whole cluster.
    #[serde(default)]
    pub(super) limits: Limits,
}

/// Limits of one scope over the whole cluster; what is left out does not limit.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a map of limits")]
pub(super) struct Limits {
    /// Requests in flight.
    #[schemars(range(min = 1))]
    pub(super) concurrency: Option<Whole>,
    /// Requests per second.
    #[schemars(range(min = 1))]
    pub(super) qps: Option<Whole>,
    /// Requests per minute.
    #[schemars(range(min = 1))]
    pub(super) rpm: Option<Whole>,
    /// Tokens, prompt and output, per minute.
    #[schemars(range(min = 1))]
    pub(super) tpm: Option<Whole>,
    /// Requests per day.
    #[schemars(range(min = 1))]
    pub(super) rpd: Option<Whole>,
    /// Tokens, prompt and output, per day.
    #[schemars(range(min = 1))]
    pub(super) tpd: Option<Whole>,
}

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "a map with `max_length` or `timeout`"
)]
pub(super) struct Queue {
    /// Waiters per model, over the whole cluster.
    #[schemars(range(min = 1))]
    pub(super) max_length: Whole,
    /// How long a request may wait for room before it is refused.
    pub(super) timeout: String,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            max_length: Whole(1000),
            timeout: "30s".to_owned(),
        }
    }
}

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a map of durations")]
pub(super) struct Timeouts {
    /// To open a connection to the provider.
    pub(super) connect: String,
    /// From dispatch to the first content byte; plain answers have it when they are finished, and are not asked for again.
    pub(super) first_byte: String,
    /// Between two chunks of a stream.
    pub(super) idle: String,
    /// From the first dispatch to the last byte, retries included.
    pub(super) total: String,
    /// From SIGTERM to the end of the last stream.
    pub(super) drain: String,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: "5s".to_owned(),
            first_byte: "60s".to_owned(),
            idle: "60s".to_owned(),
            total: "15m".to_owned(),
            drain: "10m".to_owned(),
        }
    }
}

/// How a coordinator looks after a provider's keys.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "a map with `probe` or `interval`"
)]
pub(super) struct Health {
    /// `models` (a list of models: costs nothing), `chat` (one token), `path:/health` (a GET at the provider's host) or
    /// `none`.
    pub(super) probe: String,
    /// Between two probes of a key that is not well, or idle for ten intervals.
    pub(super) interval: String,
    /// Successful probes in a row that bring a key back.
    #[schemars(range(min = 1))]
    pub(super) rise: Whole,
    /// Failed probes in a row that take a key out.
    #[schemars(range(min = 1))]
    pub(super) fall: Whole,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            probe: "models".to_owned(),
            interval: "15s".to_owned(),
            rise: Whole(2),
            fall: Whole(3),
        }
    }
}

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a map with `max_attempts`")]
pub(super) struct Retries {
    /// Upstream attempts per request, the first included.
    #[schemars(range(min = 1))]
    pub(super) max_attempts: Whole,
    /// Retries per request that the whole cluster may make, beside a floor of 3 a second; 0.2 is one in five.
    #[schemars(range(min = 0, max = 1))]
    pub(super) budget: Number,
    /// Larger request bodies are sent only once: `1MiB`, or a number of bytes.
    pub(super) replay_max: String,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            max_attempts: Whole(3),
            budget: Number(0.2),
            replay_max: "1MiB".to_owned(),
        }
    }
}

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "a map with `body` or `connections`"
)]
pub(super) struct ServerLimits {
    /// Largest request body: `32MiB`, or a number of bytes.
    pub(super) body: String,
    /// Open client connections.
    #[schemars(range(min = 1))]
    pub(super) connections: Whole,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            body: "32MiB".to_owned(),
            connections: Whole(10_000),
        }
    }
}

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "a map with `log` or `level`"
)]
pub(super) struct Telemetry {
    /// `json`, one object per line, or `text`, for a person at a terminal.
    #[schemars(extend("enum" = ["json", "text"]))]
    pub(super) log: String,
    /// What to log: `error`, `warn`, `info`, `debug`, `trace`, or parts of the program: `info,router=debug`.
    pub(super) level: String,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            log: "json".to_owned(),
            level: "info".to_owned(),
        }
    }
}

fn one() -> Number {
    Number(1.0)
}

fn middle() -> Whole {
    Whole(u64::from(crate::units::Priority::DEFAULT.level()))
}

fn plain() -> String {
    Manners::Plain.name().to_owned()
}

fn balanced() -> String {
    Strategy::default().name().to_owned()
}
