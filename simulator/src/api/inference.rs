//! The way of a request that is counted: key, arrival, limits, wait, failure or answer.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, HeaderMap, HeaderValue};
use http::{StatusCode, request};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::behaviour::{Behaviour, Encoding, Failure};
use crate::connection::{ConnectionReset, IdleClose};
use crate::flight::Flight;
use crate::generation::{Generation, Shape, Usage};
use crate::keys::Arrival;
use crate::reply::{self, BrokenBody, Reply, ReplyBody};
use crate::stream::PacedStream;
use crate::tailor::{self, TailoredStream};

use super::embeddings::Vectors;
use super::errors::{self, ApiError};
use super::{Simulator, chat, completions, embeddings, headers};

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream; charset=utf-8";

/// Choices that one request may ask for, as at OpenAI.
const CHOICES_MAX: u32 = 128;
const PROMPTS_MAX: u32 = 2048;

/// An endpoint whose requests are counted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Endpoint {
    Chat,
    Completions,
    Embeddings,
}

/// A request, as far as it matters for the answer.
pub(super) struct Call {
    pub(super) model: String,
    pub(super) prompt_tokens: u32,
    pub(super) output: Output,
}

pub(super) enum Output {
    Text(TextOutput),
    Vectors(Vectors),
}

/// The text that a request asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct TextOutput {
    pub(super) shape: Shape,
    pub(super) prompts: u32,
    /// Per prompt.
    pub(super) choices: Option<u32>,
    /// Per choice.
    pub(super) tokens_max: Option<u32>,
    pub(super) stream: bool,
    pub(super) include_usage: bool,
}

#[derive(Deserialize)]
pub(super) struct StreamOptions {
    include_usage: Option<bool>,
}

impl StreamOptions {
    pub(super) fn include_usage(options: Option<Self>) -> bool {
        options
            .and_then(|options| options.include_usage)
            .unwrap_or_default()
    }
}

pub(super) fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| {
        let message = format!("We could not parse the JSON body of your request: {error}.");
        ApiError::invalid_request(message)
    })
}

/// The secret in `Authorization`.
pub(super) fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
    headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, secret)| scheme.eq_ignore_ascii_case("bearer") && !secret.is_empty())
        .map(|(_, secret)| secret)
        .ok_or_else(ApiError::no_key)
}

pub(super) fn failed(failure: &Failure) -> Result<Reply, ConnectionReset> {
    match failure {
        Failure::Refusal(refusal) => Ok(errors::refused(refusal)),
        Failure::Html => Ok(errors::bad_gateway_page()),
        Failure::Reset => Err(ConnectionReset),
    }
}

impl Endpoint {
    fn parse(self, body: &[u8]) -> Result<Call, ApiError> {
        match self {
            Self::Chat => chat::parse(body),
            Self::Completions => completions::parse(body),
            Self::Embeddings => embeddings::parse(body),
        }
    }
}

impl TextOutput {
    pub(super) fn checked(self) -> Result<Self, ApiError> {
        let choices = self.choices.unwrap_or(1);
        if !(1..=CHOICES_MAX).contains(&choices) {
            return Err(ApiError::out_of_range("n", "1 to 128"));
        }
        if self.prompts > PROMPTS_MAX {
            return Err(ApiError::out_of_range("prompt", "at most 2048 texts"));
        }
        Ok(self)
    }

    fn choices_in_all(self) -> u32 {
        self.prompts.saturating_mul(self.choices.unwrap_or(1))
    }

    /// Tokens per choice, and why they end.
    fn tokens(self, behaviour: &Behaviour) -> (u32, &'static str) {
        match self.tokens_max {
            Some(tokens_max) if tokens_max < behaviour.tokens => (tokens_max, "length"),
            _ => (behaviour.tokens, "stop"),
        }
    }
}

impl Call {
    /// What the answer will report.
    fn usage(&self, behaviour: &Behaviour) -> Usage {
        let completion_tokens = match &self.output {
            Output::Text(text) => text
                .tokens(behaviour)
                .0
                .saturating_mul(text.choices_in_all()),
            Output::Vectors(_) => 0,
        };
        let usage = Usage::new(self.prompt_tokens, completion_tokens);
        match behaviour.reported_tokens {
            Some(total_tokens) => usage.reported_as(total_tokens),
            None => usage,
        }
    }
}

impl Simulator {
    pub(super) async fn infer(
        &self,
        id: u64,
        endpoint: Endpoint,
        head: &request::Parts,
        body: &Bytes,
    ) -> Result<Reply, ConnectionReset> {
        let secret = match bearer(&head.headers) {
            Ok(secret) => secret,
            Err(error) => return Ok(error.into_reply()),
        };
        let request_id = head.headers.get("x-request-id");
        let request_id = request_id.and_then(|value| value.to_str().ok());
        let key = self.keys.get(secret);
        if !key.is_accepted() {
            key.turn_away(request_id).refuse(401);
            return Ok(ApiError::unknown_key(secret).into_reply());
        }
        let call = match endpoint.parse(body) {
            Ok(call) => call,
            Err(error) => {
                let reply = error.into_reply();
                let status = reply.status().as_u16();
                key.turn_away(request_id).finish_with(status);
                return Ok(reply);
            }
        };
        let behaviour = key.behaviour();
        let idle_close = behaviour.idle_close;
        let rate_limit_headers = behaviour.rate_limit_headers;
        let usage = call.usage(&behaviour);
        let Arrival {
            flight,
            refusal,
            requests,
            tokens,
            chances,
        } = key.arrive(usage.total_tokens, request_id);
        let mut reply = match refusal {
            Some(refusal) => {
                flight.refuse(429);
                ApiError::over_limit(&refusal, &call.model).into_reply()
            }
            None => {
                let answered = self.answer_call(id, call, usage, behaviour, chances, flight);
                answered.await?
            }
        };
        if rate_limit_headers {
            reply = headers::with_standings(reply, requests, tokens);
        }
        if let Some(idle_close) = idle_close {
            reply.extensions_mut().insert(IdleClose(idle_close));
        }
        Ok(reply)
    }

    async fn answer_call(
        &self,
        id: u64,
        call: Call,
        usage: Usage,
        behaviour: Behaviour,
        (place_in_jitter, fate): (f64, f64),
        flight: Flight,
    ) -> Result<Reply, ConnectionReset> {
        wait(behaviour.first_byte(place_in_jitter)).await;
        if let Some(failure) = behaviour.failure(fate) {
            let reply = failed(&failure);
            flight.finish_with(reply.as_ref().map_or(0, |reply| reply.status().as_u16()));
            return reply;
        }
        let told = behaviour.usage.then_some(usage);
        let text = match call.output {
            Output::Text(text) => text,
            Output::Vectors(vectors) => {
                let bytes = vectors.body(&call.model, told.map(|usage| usage.total_tokens));
                return Ok(whole(bytes, 1, &behaviour, flight));
            }
        };
        let (tokens, finish_reason) = text.tokens(&behaviour);
        let prefix = match text.shape {
            Shape::Chat => "chatcmpl",
            Shape::Completion => "cmpl",
        };
        let generation = Generation {
            shape: text.shape,
            id: format!("{prefix}-{id:029x}"),
            created: self.clock.unix_seconds(),
            model: call.model,
            choices: text.choices_in_all(),
            tokens,
            finish_reason,
            usage: told,
            include_usage: text.include_usage,
        };
        if !text.stream {
            wait(behaviour.pace(tokens)).await;
            return Ok(whole(generation.body(), tokens, &behaviour, flight));
        }
        let dress = behaviour.dress;
        let stream = PacedStream::new(generation, behaviour, flight);
        let body = match dress.is_plain() {
            true => ReplyBody::Stream(Box::new(stream)),
            false => ReplyBody::Tailored(Box::new(TailoredStream::new(stream, dress))),
        };
        let mut reply = reply::with_body(StatusCode::OK, EVENTS, body);
        let no_cache = HeaderValue::from_static("no-cache");
        reply.headers_mut().insert(CACHE_CONTROL, no_cache);
        Ok(encoded(reply, dress.encoding))
    }
}

/// An answer in one piece, unless it breaks: it has no chunks, so any break comes half-way.
fn whole(body: Vec<u8>, tokens: u32, behaviour: &Behaviour, flight: Flight) -> Reply {
    let encoding = behaviour.dress.encoding;
    let bytes = match encoding {
        Some(encoding) => tailor::encode(encoding, &body),
        None => Bytes::from(body),
    };
    let reply = match behaviour.break_in(tokens) {
        Some(place) if place.kind.is_for_whole_bodies() => {
            let body = ReplyBody::Broken(BrokenBody::new(&bytes, place.kind, flight));
            reply::with_body(StatusCode::OK, JSON, body)
        }
        _ => reply::with_bytes(StatusCode::OK, JSON, bytes, Some(flight)),
    };
    encoded(reply, encoding)
}

/// Says how the body is encoded, whether or not the request accepts it.
fn encoded(mut reply: Reply, encoding: Option<Encoding>) -> Reply {
    if let Some(encoding) = encoding {
        let name = HeaderValue::from_static(encoding.name());
        reply.headers_mut().insert(CONTENT_ENCODING, name);
    }
    reply
}

/// A timer is for waits only: it would cost a turn of the runtime.
async fn wait(duration: std::time::Duration) {
    if !duration.is_zero() {
        tokio::time::sleep(duration).await;
    }
}
