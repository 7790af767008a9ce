//! What clients look up: models, in the form of each API.
//!
//! Every model name is answered; the list is what a client that asks may choose from. No limit counts these requests and
//! the oracle counts them apart, as probes; but a key that fails on purpose fails here too, so that they notice.

use std::borrow::Cow;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::connection::ConnectionReset;
use crate::reply::{self, Reply};

use super::Simulator;
use super::dialect::{Addressee, Dialect};
use super::errors::ApiError;
use super::inference;

const MODELS: [&str; 3] = ["simulated-large", "simulated-small", "simulated-embedding"];

/// 2024-01-01: a date, so that clients can show one.
const CREATED: u64 = 1_704_067_200;

/// What is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Page<'a> {
    Models,
    Model(Cow<'a, str>),
}

impl Simulator {
    pub(super) fn look(
        &self,
        addressee: Addressee,
        page: &Page<'_>,
        head: &http::request::Parts,
        _body: &Bytes,
    ) -> Result<Reply, ConnectionReset> {
        if head.method != Method::GET {
            return Ok(ApiError::method_not_allowed(head).into_reply(addressee));
        }
        let dialect = addressee.dialect;
        let secret = match dialect.secret(head) {
            Ok(secret) => secret,
            Err(error) => return Ok(error.into_reply(addressee)),
        };
        let key = self.keys.get(&secret);
        let reply = if !key.is_accepted() {
            Ok(ApiError::unknown_key(&secret, dialect).into_reply(addressee))
        } else if let Some(failure) = key.behaviour().failure(key.chance()) {
            inference::failed(&failure, addressee)
        } else {
            Ok(reply::json(StatusCode::OK, &shown(page, dialect)))
        };
        key.probe(reply.as_ref().map_or(0, |reply| reply.status().as_u16()));
        reply
    }
}

fn shown(page: &Page<'_>, dialect: Dialect) -> Value {
    match page {
        Page::Models => models(dialect),
        Page::Model(id) => model(id, dialect),
    }
}

fn models(dialect: Dialect) -> Value {
    let data: Vec<_> = MODELS.iter().map(|id| model(id, dialect)).collect();
    match dialect {
        Dialect::Anthropic => json!({
            "data": data,
            "has_more": false,
            "first_id": MODELS.first(),
            "last_id": MODELS.last(),
        }),
        Dialect::Gemini | Dialect::GeminiArray => json!({"models": data}),
        _ => json!({"object": "list", "data": data}),
    }
}

fn model(id: &str, dialect: Dialect) -> Value {
    match dialect {
        Dialect::Anthropic => json!({
            "type": "model",
            "id": id,
            "display_name": id,
            "created_at": "2024-01-01T00:00:00Z",
        }),
        Dialect::Gemini | Dialect::GeminiArray => json!({
            "name": format!("models/{id}"),
            "version": "001",
            "displayName": id,
            "inputTokenLimit": 1_048_576,
            "outputTokenLimit": 65536,
            "supportedGenerationMethods": [
                "generateContent", "countTokens", "embedContent", "batchEmbedContents",
            ],
        }),
        _ => json!({"id": id, "object": "model", "created": CREATED, "owned_by": "simulator"}),
    }
}
