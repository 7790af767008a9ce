//! What tests ask and set: `/oracle`, `/oracle/arrivals/{key}`, `/oracle/reset`, `/behaviour/{key}` and `/listener`.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde::Serialize;

use crate::behaviour::BehaviourPatch;
use crate::doors::DoorPatch;
use crate::oracle::{ArrivalReport, KeyReport, ProbeReport};
use crate::reply::{self, Reply};

use super::Simulator;
use super::dialect::Addressee;
use super::errors::ApiError;

/// Times are microseconds since the reset; `reset_unix_us` places it in the calendar.
#[derive(Serialize)]
struct Report {
    reset_unix_us: u64,
    now_us: u64,
    keys: BTreeMap<String, KeyReport>,
}

#[derive(Serialize)]
struct Arrivals {
    reset_unix_us: u64,
    arrivals: Vec<ArrivalReport>,
    probes: Vec<ProbeReport>,
}

#[derive(Serialize)]
struct Reset {
    reset_unix_us: u64,
}

#[derive(Serialize)]
struct Done {}

impl Simulator {
    /// `None` if it is not a question for the oracle.
    pub(super) fn oracle(
        &self,
        addressee: Addressee,
        head: &http::request::Parts,
        body: &Bytes,
    ) -> Option<Reply> {
        let path = head.uri.path();
        if let Some(secret) = path.strip_prefix("/oracle/arrivals/") {
            return (head.method == Method::GET).then(|| self.arrivals(secret));
        }
        if let Some(name) = path.strip_prefix("/behaviour/") {
            return (head.method == Method::PUT).then(|| self.set_behaviour(addressee, name, body));
        }
        match (&head.method, path) {
            (&Method::GET, "/oracle") => Some(self.report()),
            (&Method::POST, "/oracle/reset") => Some(self.reset()),
            (&Method::PUT, "/listener") => Some(self.set_door(addressee, body)),
            _ => None,
        }
    }

    fn report(&self) -> Reply {
        let (reset_us, keys) = self.keys.report();
        let report = Report {
            reset_unix_us: self.clock.unix_us(reset_us),
            now_us: self.clock.now_us() - reset_us,
            keys,
        };
        reply::json(StatusCode::OK, &report)
    }

    fn arrivals(&self, secret: &str) -> Reply {
        let (reset_us, arrivals, probes) = self.keys.arrivals(secret);
        let arrivals = Arrivals {
            reset_unix_us: self.clock.unix_us(reset_us),
            arrivals,
            probes,
        };
        reply::json(StatusCode::OK, &arrivals)
    }

    fn reset(&self) -> Reply {
        let reset = Reset {
            reset_unix_us: self.clock.unix_us(self.keys.reset()),
        };
        reply::json(StatusCode::OK, &reset)
    }

    fn set_behaviour(&self, addressee: Addressee, name: &str, body: &[u8]) -> Reply {
        match BehaviourPatch::parse(body) {
            Ok(patch) => {
                self.keys.set_behaviour(name, patch);
                reply::json(StatusCode::OK, &Done {})
            }
            Err(error) => ApiError::invalid_request(error.to_string()).into_reply(addressee),
        }
    }

    fn set_door(&self, addressee: Addressee, body: &[u8]) -> Reply {
        match DoorPatch::apply(body, self.door()) {
            Ok(door) => {
                self.door.send_replace(door);
                reply::json(StatusCode::OK, &Done {})
            }
            Err(error) => ApiError::invalid_request(error.to_string()).into_reply(addressee),
        }
    }
}
