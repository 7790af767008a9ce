//! The way of a request that is counted: key, arrival, limits, wait, failure or answer.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, HeaderValue};
use http::{StatusCode, request};

use crate::answer::{Answer, Said, Usage};
use crate::ask::Ask;
use crate::behaviour::{Behaviour, Encoding, Failure};
use crate::connection::{ConnectionReset, IdleClose};
use crate::fields::{Fields, Reading};
use crate::flight::Flight;
use crate::keys::Arrival;
use crate::reply::{self, BrokenBody, Reply, ReplyBody};
use crate::stream::PacedStream;
use crate::tailor::{self, TailoredStream};

use super::dialect::{Addressee, Dialect};
use super::errors::{self, ApiError};
use super::form::Form;
use super::responses::ResponsesForm;
use super::routes::Endpoint;
use super::{
    Simulator, anthropic, bedrock, completions, embeddings, gemini, headers, media, moderations,
    ollama, openai_chat, responses,
};

pub(super) const JSON: &str = "application/json";

/// A request, as its endpoint reads it.
#[derive(Clone, Copy)]
pub(super) struct Received<'a> {
    pub(super) dialect: Dialect,
    pub(super) head: &'a request::Parts,
    /// The path's.
    pub(super) model: Option<&'a str>,
    pub(super) body: &'a [u8],
}

/// A checked request.
pub(super) enum Call {
    Ask(Box<Question>),
    Make(Make),
}

/// A request for an answer of words and calls.
pub(super) struct Question {
    pub(super) ask: Ask,
    pub(super) form: Form,
    pub(super) stream: bool,
}

/// A request for anything else.
pub(super) struct Make {
    pub(super) model: String,
    /// What the limits count.
    pub(super) prompt_tokens: u32,
    pub(super) content_type: &'static str,
    pub(super) body: Box<dyn FnOnce(Option<Usage>) -> Vec<u8> + Send>,
}

/// What is decided of an answer when its request arrives.
struct Plan {
    said: Said,
    usage: Usage,
}

pub(super) fn failed(failure: &Failure, addressee: Addressee) -> Result<Reply, ConnectionReset> {
    match failure {
        Failure::Refusal(refusal) => Ok(errors::refused(refusal, addressee)),
        Failure::Html => Ok(errors::bad_gateway_page()),
        Failure::Reset => Err(ConnectionReset),
    }
}

impl Endpoint {
    fn read(self, received: Received<'_>) -> Reading<Call> {
        match self {
            Self::Chat => openai_chat::read(received),
            Self::Completions => completions::read(received),
            Self::Embeddings => embeddings::read(received),
            Self::Messages => anthropic::read(received),
            Self::MessageTokens => anthropic::read_count(received),
            Self::Generate => gemini::read(received, false),
            Self::GenerateStream => gemini::read(received, true),
            Self::GeminiTokens => gemini::read_count(received),
            Self::EmbedContent => gemini::read_embed(received),
            Self::OllamaChat => ollama::read_chat(received),
            Self::OllamaGenerate => ollama::read_generate(received),
            Self::OllamaEmbed => ollama::read_embed(received),
            Self::OllamaEmbeddings => ollama::read_embeddings(received),
            Self::Responses => responses::read(received),
            Self::ResponseTokens => responses::read_count(received),
            Self::Moderations => moderations::read(received),
            Self::Images => media::read_image(received),
            Self::Speech => media::read_speech(received),
            Self::Transcriptions => media::read_transcription(received),
            Self::Converse => bedrock::read(received, false),
            Self::ConverseStream => bedrock::read(received, true),
            Self::BatchEmbedContents => gemini::read_batch_embed(received),
        }
    }
}

impl Received<'_> {
    /// The model of the path, or of the body.
    pub(super) fn model_of(&self, fields: &mut Fields<'_>) -> Reading<String> {
        let named = fields.text("model")?;
        match self.model.or(named) {
            Some(model) => Ok(model.to_owned()),
            None => Err(fields.missing("model")),
        }
    }
}

impl Call {
    pub(super) fn ask(ask: Ask, form: Form, stream: bool) -> Self {
        Self::Ask(Box::new(Question { ask, form, stream }))
    }

    pub(super) fn model(&self) -> &str {
        match self {
            Self::Ask(question) => &question.ask.model,
            Self::Make(make) => &make.model,
        }
    }

    fn responses_form(&mut self) -> Option<&mut ResponsesForm> {
        match self {
            Self::Ask(question) => match &mut question.form {
                Form::Responses(form) => Some(form),
                _ => None,
            },
            Self::Make(_) => None,
        }
    }

    /// What will be said, and what the answer will report.
    fn plan(&self, behaviour: &Behaviour) -> Plan {
        let (said, usage) = match self {
            Self::Ask(question) => {
                let ask = &question.ask;
                let said = ask.answer(behaviour.tokens);
                let (tokens, thoughts) = said.tokens();
                let tokens = tokens.saturating_mul(ask.choices);
                let thoughts = thoughts.saturating_mul(ask.choices);
                let usage = Usage::new(ask.prompt_tokens, tokens, thoughts);
                (said, usage)
            }
            Self::Make(make) => (Said::default(), Usage::new(make.prompt_tokens, 0, 0)),
        };
        let usage = match behaviour.reported_tokens {
            Some(total_tokens) => usage.reported_as(total_tokens),
            None => usage,
        };
        Plan { said, usage }
    }
}

impl Simulator {
    pub(super) async fn infer(
        &self,
        addressee: Addressee,
        endpoint: Endpoint,
        model: Option<Cow<'_, str>>,
        head: &request::Parts,
        body: &Bytes,
    ) -> Result<Reply, ConnectionReset> {
        let dialect = addressee.dialect;
        let secret = match dialect.secret(head) {
            Ok(secret) => secret,
            Err(error) => return Ok(error.into_reply(addressee)),
        };
        let request_id = head.headers.get("x-request-id");
        let request_id = request_id.and_then(|value| value.to_str().ok());
        let key = self.keys.get(&secret);
        if !key.is_accepted() {
            let error = ApiError::unknown_key(&secret, dialect);
            key.turn_away(request_id).refuse(error.status.as_u16());
            return Ok(error.into_reply(addressee));
        }
        let received = Received {
            dialect,
            head,
            model: model.as_deref(),
            body,
        };
        let mut call = match endpoint.read(received) {
            Ok(call) => call,
            Err(invalid) => {
                let error = ApiError::invalid(&invalid, dialect);
                key.turn_away(request_id).finish_with(error.status.as_u16());
                return Ok(error.into_reply(addressee));
            }
        };
        if let Some(form) = call.responses_form()
            && let Err(error) = self.responses.admit(form, &secret)
        {
            key.turn_away(request_id).finish_with(error.status.as_u16());
            return Ok(error.into_reply(addressee));
        }
        let behaviour = key.behaviour();
        let idle_close = behaviour.idle_close;
        let rate_limit_headers = behaviour.rate_limit_headers;
        let plan = call.plan(&behaviour);
        let Arrival {
            flight,
            refusal,
            requests,
            tokens,
            chances,
        } = key.arrive(plan.usage.total_tokens(), request_id);
        let mut reply = match refusal {
            Some(refusal) => {
                flight.refuse(429);
                ApiError::over_limit(&refusal, call.model()).into_reply(addressee)
            }
            None => {
                let answered = self.answer_call(addressee, call, plan, behaviour, chances, flight);
                answered.await?
            }
        };
        if rate_limit_headers {
            let now_us = self.clock.unix_us(self.clock.now_us());
            reply = headers::with_standings(reply, dialect, now_us, requests, tokens);
        }
        if let Some(idle_close) = idle_close {
            reply.extensions_mut().insert(IdleClose(idle_close));
        }
        Ok(reply)
    }

    async fn answer_call(
        &self,
        addressee: Addressee,
        call: Call,
        Plan { said, usage }: Plan,
        behaviour: Behaviour,
        (place_in_jitter, fate): (f64, f64),
        flight: Flight,
    ) -> Result<Reply, ConnectionReset> {
        wait(behaviour.first_byte(place_in_jitter)).await;
        if let Some(failure) = behaviour.failure(fate) {
            let reply = failed(&failure, addressee);
            flight.finish_with(reply.as_ref().map_or(0, |reply| reply.status().as_u16()));
            return reply;
        }
        let told = behaviour.usage.then_some(usage);
        let Question { ask, form, stream } = match call {
            Call::Ask(question) => *question,
            Call::Make(make) => {
                let body = (make.body)(told);
                return Ok(whole(body, make.content_type, 1, &behaviour, flight));
            }
        };
        let answer = Answer {
            id: addressee.id,
            created: self.clock.unix_seconds(),
            model: ask.model,
            choices: ask.choices,
            parts: said.parts,
            finish: said.finish,
            signs: ask.signs,
            usage: told,
        };
        if let Form::Responses(form) = &form {
            let pace = behaviour.pace(answer.tokens()).as_micros();
            let pace_us = u64::try_from(pace).unwrap_or(u64::MAX);
            let ready_us = self.clock.now_us().saturating_add(pace_us);
            self.responses.keep(form, &answer, ready_us);
        }
        if !stream {
            let tokens = answer.tokens();
            // What is only begun is told at once.
            if !matches!(&form, Form::Responses(form) if form.is_background()) {
                wait(behaviour.pace(tokens)).await;
            }
            let body = form.body(&answer);
            return Ok(whole(body, JSON, tokens, &behaviour, flight));
        }
        let dress = behaviour.dress;
        let writer = form.writer(&answer);
        let stream = PacedStream::new(answer, writer, behaviour, flight);
        let body = match dress.is_plain() {
            true => ReplyBody::Stream(Box::new(stream)),
            false => ReplyBody::Tailored(Box::new(TailoredStream::new(stream, dress))),
        };
        let mut reply = reply::with_body(StatusCode::OK, form.content_type(), body);
        let no_cache = HeaderValue::from_static("no-cache");
        reply.headers_mut().insert(CACHE_CONTROL, no_cache);
        Ok(encoded(reply, dress.encoding))
    }
}

/// An answer in one piece, unless it breaks: it has no chunks, so any break comes half-way.
fn whole(
    body: Vec<u8>,
    content_type: &'static str,
    tokens: u32,
    behaviour: &Behaviour,
    flight: Flight,
) -> Reply {
    let encoding = behaviour.dress.encoding;
    let bytes = match encoding {
        Some(encoding) => tailor::encode(encoding, &body),
        None => Bytes::from(body),
    };
    let reply = match behaviour.break_in(tokens) {
        Some(place) if place.kind.is_for_whole_bodies() => {
            let body = ReplyBody::Broken(BrokenBody::new(&bytes, place.kind, flight));
            reply::with_body(StatusCode::OK, content_type, body)
        }
        _ => reply::with_bytes(StatusCode::OK, content_type, bytes, Some(flight)),
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
