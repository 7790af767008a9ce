//! Rules for `state`. Its URL may hold a password, so refusals show the scheme at most.

use redis::IntoConnectionInfo as _;

use super::Checker;
use crate::config::error::Problem;
use crate::config::raw;
use crate::config::{StateStore, StateTls};
use crate::secret::Secret;

impl Checker<'_> {
    pub(super) fn state(&mut self, text: String) -> StateStore {
        if text == "memory" {
            return StateStore::Memory;
        }
        let scheme = text.split_once("://").map(|(scheme, _)| scheme);
        let problem = match scheme {
            Some("redis" | "rediss") if text.contains('#') => Problem::new(
                "state",
                "must not end in `#…`: the certificate of Redis is always checked",
                "leave that out, and give a private authority as `state_tls.ca`",
            ),
            Some("redis" | "rediss") => match text.as_str().into_connection_info() {
                Ok(_) => return StateStore::Redis(Secret::new(text)),
                Err(_) => Problem::new(
                    "state",
                    "must be a whole Redis URL: host, port and database number",
                    "write `redis://host:6379/0`",
                ),
            },
            Some(scheme @ ("redis+sentinel" | "redis+cluster")) => Problem::new(
                "state",
                "must be `memory`, `redis://…` or `rediss://…`: the rest comes with a later version",
                "name one Redis server",
            )
            .with_value(format_args!("{scheme}://…")),
            _ => {
                let problem = Problem::new(
                    "state",
                    "must be `memory`, `redis://…` or `rediss://…`",
                    "write `redis://host:6379/0`, or `memory` for a single router",
                );
                match scheme {
                    Some(scheme) => problem.with_value(format_args!("{scheme}://…")),
                    None => problem,
                }
            }
        };
        self.refuse(problem);
        StateStore::Memory
    }

    pub(super) fn state_tls(&mut self, tls: raw::StateTls, store: &StateStore) -> StateTls {
        let raw::StateTls {
            ca,
            certificate,
            key,
        } = tls;
        let is_given = ca.is_some() || certificate.is_some() || key.is_some();
        let is_plain =
            matches!(store, StateStore::Redis(url) if url.expose().starts_with("redis://"));
        if is_given && is_plain {
            self.refuse(Problem::new(
                "state_tls",
                "needs a `state` that begins with `rediss://`: `redis://` is not encrypted",
                "write `state: rediss://host:port/0`, or leave `state_tls` out",
            ));
        }
        if certificate.is_some() != key.is_some() {
            self.refuse(Problem::new(
                "state_tls",
                "needs `certificate` and `key` together",
                "give both, or neither",
            ));
        }
        let mut pem =
            |setting, text: Option<String>, what| text.map(|text| self.pem(setting, text, what));
        StateTls {
            ca: pem("state_tls.ca", ca, "CERTIFICATE"),
            certificate: pem("state_tls.certificate", certificate, "CERTIFICATE"),
            key: pem("state_tls.key", key, "PRIVATE KEY"),
        }
    }

    fn pem(&mut self, setting: &str, text: String, what: &str) -> Secret<String> {
        let pem = self.resolved(setting, text);
        // A stand-in after a refusal is empty, and one problem is enough.
        let is_pem = pem.contains("-----BEGIN ") && pem.contains(what);
        if !pem.is_empty() && !is_pem {
            let rule = format!("must hold a PEM block of a {what}");
            self.refuse(Problem::new(
                setting,
                rule,
                "write `file:PATH` of such a file",
            ));
        }
        Secret::new(pem)
    }
}
