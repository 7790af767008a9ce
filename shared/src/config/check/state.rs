//! Rules for `state`. Its URL may hold a password, so refusals show the scheme at most.

use redis::IntoConnectionInfo as _;

use super::Checker;
use crate::config::StateStore;
use crate::config::error::Problem;
use crate::secret::Secret;

impl Checker<'_> {
    pub(super) fn state(&mut self, text: String) -> StateStore {
        if text == "memory" {
            return StateStore::Memory;
        }
        let scheme = text.split_once("://").map(|(scheme, _)| scheme);
        let problem = match scheme {
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
}
