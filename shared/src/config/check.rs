//! Raw settings to true types, or refusals.
//!
//! A refused value is replaced by a stand-in so that the walk goes on and finds the other problems too; a [`Config`]
//! leaves this module only when there is none.

mod client_keys;
mod models;
mod names;
mod providers;
mod secrets;
mod state;
mod values;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;

use super::error::{ConfigError, Problem};
use super::raw::{self, Settings};
use super::{Config, LogFormat, Queue, Retries, ServerLimits, Telemetry, Timeouts};
use names::Alphabet;

/// Checks `settings`; secrets are looked up in `environment` and in files.
///
/// # Errors
///
/// All settings that break a rule.
pub(super) fn check(
    settings: Settings,
    environment: &HashMap<String, String>,
) -> Result<Config, ConfigError> {
    let mut checker = Checker {
        environment,
        problems: Vec::new(),
    };
    let config = checker.config(settings);
    if checker.problems.is_empty() {
        Ok(config)
    } else {
        Err(ConfigError::Refused(checker.problems))
    }
}

struct Checker<'a> {
    environment: &'a HashMap<String, String>,
    problems: Vec<Problem>,
}

impl Checker<'_> {
    fn config(&mut self, settings: Settings) -> Config {
        let Settings {
            listen,
            admin_listen,
            open_access,
            state,
            state_tls,
            replica,
            providers,
            models,
            client_keys,
            queue,
            timeouts,
            retries,
            limits,
            telemetry,
        } = settings;

        let listen = self.address("listen", &listen);
        let admin_listen = self.address("admin_listen", &admin_listen);
        self.ports_differ(listen, admin_listen);
        let providers = self.providers(providers);
        let models = self.models(models, &providers);
        let is_open = client_keys.is_empty();
        let client_keys = self.client_keys(client_keys, &models);
        if is_open && !open_access {
            self.only_loopback(listen);
        }
        if let Some(name) = &replica.name {
            self.name("replica.name", name, Alphabet::Path);
        }

        let state = self.state(state);
        let state_tls = self.state_tls(state_tls, &state);

        Config {
            listen,
            admin_listen,
            open_access,
            state,
            state_tls,
            replica_name: replica.name,
            providers,
            models,
            client_keys,
            queue: self.queue(&queue),
            timeouts: self.timeouts(&timeouts),
            retries: Retries {
                max_attempts: NonZeroU32::new(
                    self.at_least_one("retries.max_attempts", retries.max_attempts),
                )
                .unwrap_or(NonZeroU32::MIN),
                budget: self.share("retries.budget", retries.budget),
                replay_max: self.size("retries.replay_max", &retries.replay_max),
            },
            limits: self.server_limits(&limits),
            telemetry: self.telemetry(telemetry),
        }
    }

    fn refuse(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    fn ports_differ(&mut self, listen: SocketAddr, admin_listen: SocketAddr) {
        // Port 0 asks the system for a free one, which is another each time.
        if listen == admin_listen && listen.port() != 0 {
            self.refuse(
                Problem::new(
                    "admin_listen",
                    "must differ from `listen`",
                    "give it another port",
                )
                .with_value(admin_listen),
            );
        }
    }

    fn only_loopback(&mut self, listen: SocketAddr) {
        if !listen.ip().to_canonical().is_loopback() {
            self.refuse(
                Problem::new(
                    "listen",
                    "must be a loopback address while there are no `client_keys`",
                    "add client keys, or set `open_access: true` to serve everybody who reaches it",
                )
                .with_value(listen),
            );
        }
    }

    fn queue(&mut self, queue: &raw::Queue) -> Queue {
        Queue {
            max_length: self.at_least_one("queue.max_length", queue.max_length),
            timeout: self.duration("queue.timeout", &queue.timeout),
        }
    }

    fn timeouts(&mut self, timeouts: &raw::Timeouts) -> Timeouts {
        let raw::Timeouts {
            connect,
            first_byte,
            idle,
            total,
            drain,
        } = timeouts;
        Timeouts {
            connect: self.duration("timeouts.connect", connect),
            first_byte: self.duration("timeouts.first_byte", first_byte),
            idle: self.duration("timeouts.idle", idle),
            total: self.duration("timeouts.total", total),
            drain: self.duration("timeouts.drain", drain),
        }
    }

    fn server_limits(&mut self, limits: &raw::ServerLimits) -> ServerLimits {
        ServerLimits {
            body: self.size("limits.body", &limits.body),
            connections: self.at_least_one("limits.connections", limits.connections) as usize,
        }
    }

    fn telemetry(&mut self, telemetry: raw::Telemetry) -> Telemetry {
        let formats = [("json", LogFormat::Json), ("text", LogFormat::Text)];
        let raw::Telemetry { log, level } = telemetry;
        let log = self.choice("telemetry.log", &log, &formats);
        if let Err(reason) = crate::telemetry::filter(&level) {
            self.refuse(
                Problem::new(
                    "telemetry.level",
                    format!("must be a level or a list of `part=level` ({reason})"),
                    "use error, warn, info, debug or trace",
                )
                .with_value(&level),
            );
        }
        Telemetry { log, level }
    }
}
