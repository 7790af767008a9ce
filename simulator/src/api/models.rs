//! `GET /v1/models[/{id}]`.
//!
//! Every model name is answered; the list is what a client that asks may choose from. No limit counts these requests and
//! the oracle counts them apart, as probes; but a key that fails on purpose fails here too, so that they notice.

use http::{Method, StatusCode};
use serde::Serialize;

use crate::connection::ConnectionReset;
use crate::reply::{self, Reply};

use super::Simulator;
use super::errors::ApiError;
use super::inference;

const MODELS: [&str; 3] = ["simulated-large", "simulated-small", "simulated-embedding"];

#[derive(Serialize)]
struct ModelList {
    object: &'static str,
    data: Vec<Model<'static>>,
}

#[derive(Serialize)]
struct Model<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
}

impl Simulator {
    /// Answers `/v1/models` followed by `rest`; ids may hold slashes.
    pub(super) fn models(
        &self,
        head: &http::request::Parts,
        rest: &str,
    ) -> Result<Reply, ConnectionReset> {
        let id = match rest {
            "" => None,
            _ => match rest.strip_prefix('/') {
                Some(id) if !id.is_empty() => Some(id),
                _ => return Ok(ApiError::no_such_url(head).into_reply()),
            },
        };
        if head.method != Method::GET {
            return Ok(ApiError::method_not_allowed(head).into_reply());
        }
        let secret = match inference::bearer(&head.headers) {
            Ok(secret) => secret,
            Err(error) => return Ok(error.into_reply()),
        };
        let key = self.keys.get(secret);
        let reply = if !key.is_accepted() {
            Ok(ApiError::unknown_key(secret).into_reply())
        } else if let Some(failure) = key.behaviour().failure(key.chance()) {
            inference::failed(&failure)
        } else {
            Ok(listed(id))
        };
        key.probe(reply.as_ref().map_or(0, |reply| reply.status().as_u16()));
        reply
    }
}

fn listed(id: Option<&str>) -> Reply {
    match id {
        Some(id) => reply::json(StatusCode::OK, &model(id)),
        None => {
            let list = ModelList {
                object: "list",
                data: MODELS.map(model).into(),
            };
            reply::json(StatusCode::OK, &list)
        }
    }
}

fn model(id: &str) -> Model<'_> {
    Model {
        id,
        object: "model",
        // 2024-01-01: a date, so that clients can show one.
        created: 1_704_067_200,
        owned_by: "simulator",
    }
}
