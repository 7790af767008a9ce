//! What clients look up: models, in the form of each API.
//!
//! Every model name is answered; the list is what a client that asks may choose from. No limit counts these requests and
//! the oracle counts them apart, as probes; but a key that fails on purpose fails here too, so that they notice.

use std::borrow::Cow;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::connection::ConnectionReset;
use crate::fields::{self, Item, Reading};
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
    /// Ollama's models that are in memory.
    Loaded,
    /// Ollama's page of one model.
    Show,
    Version,
    /// Ollama's first page.
    Running,
}

impl Simulator {
    pub(super) fn look(
        &self,
        addressee: Addressee,
        page: &Page<'_>,
        head: &http::request::Parts,
        body: &Bytes,
    ) -> Result<Reply, ConnectionReset> {
        let is_allowed = match page {
            Page::Show => head.method == Method::POST,
            _ => head.method == Method::GET || head.method == Method::HEAD,
        };
        if !is_allowed {
            return Ok(ApiError::method_not_allowed(head).into_reply(addressee));
        }
        self.as_probe(addressee, head, |_| shown(page, addressee, body))
    }

    /// Answers what costs no tokens: the oracle counts it as a probe.
    pub(in crate::api) fn as_probe(
        &self,
        addressee: Addressee,
        head: &http::request::Parts,
        answer: impl FnOnce(&str) -> Reply,
    ) -> Result<Reply, ConnectionReset> {
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
            Ok(answer(&secret))
        };
        key.probe(reply.as_ref().map_or(0, |reply| reply.status().as_u16()));
        reply
    }
}

fn shown(page: &Page<'_>, addressee: Addressee, body: &[u8]) -> Reply {
    let dialect = addressee.dialect;
    let page = match page {
        Page::Models => models(dialect),
        Page::Model(id) => model(id, dialect),
        Page::Loaded => json!({"models": MODELS.map(loaded_model)}),
        Page::Show => match read_show(body, dialect) {
            Ok(()) => json!({
                "details": details(),
                "model_info": {"general.architecture": "simulated", "simulated.context_length": 131_072},
                "capabilities": ["completion", "tools", "vision", "thinking"],
            }),
            Err(invalid) => return ApiError::invalid(&invalid, dialect).into_reply(addressee),
        },
        Page::Version => json!({"version": "0.12.0"}),
        Page::Running => {
            let words = Bytes::from_static(b"Ollama is running");
            return reply::with_bytes(StatusCode::OK, "text/plain; charset=utf-8", words, None);
        }
    };
    reply::json(StatusCode::OK, &page)
}

fn read_show(body: &[u8], dialect: Dialect) -> Reading<()> {
    let body = fields::json(body)?;
    Item::root(&body, dialect.manners()).object(|fields| {
        fields.flag("verbose")?;
        let name = fields.text("name")?;
        match fields.text("model")?.or(name) {
            Some(_) => Ok(()),
            None => Err(fields.missing("model")),
        }
    })
}

fn loaded_model(id: &str) -> Value {
    let mut model = model(id, Dialect::Ollama);
    model["expires_at"] = "2099-01-01T00:00:00Z".into();
    model["size_vram"] = 1_000_000.into();
    model["context_length"] = 4096.into();
    model
}

fn details() -> Value {
    json!({
        "parent_model": "",
        "format": "gguf",
        "family": "simulated",
        "families": ["simulated"],
        "parameter_size": "1B",
        "quantization_level": "Q4_K_M",
    })
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
        Dialect::Gemini | Dialect::GeminiArray | Dialect::Ollama => json!({"models": data}),
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
        Dialect::Ollama => json!({
            "name": id,
            "model": id,
            "modified_at": "2024-01-01T00:00:00Z",
            "size": 1_000_000,
            "digest": "0".repeat(64),
            "details": details(),
        }),
        _ => json!({"id": id, "object": "model", "created": CREATED, "owned_by": "simulator"}),
    }
}
