//! Stored responses, asked for by id: the account that has one is found by asking.
//!
//! An id names no model and no account, and replicas keep nothing that the others would not know. So the accounts that the
//! caller may use are asked one after the other until one knows it. No slot is taken and nothing is charged: providers
//! count none of this as requests to a model.

mod memory;

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use dialect::canon::AnswerFacts;
use dialect::{Endpoint, Framing, Passing, StoredAction, StreamRelay, wire};
use http::{HeaderMap, StatusCode};
use manners::StoredResponse;
use shared::config::Dialect;
use tokio::time::{Instant, timeout_at};

pub(crate) use self::memory::ResponseMemory;
use crate::fleet::{Caller, Fleet, FleetCandidate};
use crate::pipeline::authenticate::{Credentials, authenticate};
use crate::pipeline::dispatch::{OpenStream, REPLY_MAX, read_refusal};
use crate::pipeline::failure::Failure;
use crate::pipeline::problem::Problem;
use crate::pipeline::report::{End, Report};
use crate::pipeline::{Answer, AnswerBody, OpenAnswer, Pipeline};
use crate::upstream::{Errand, FailureClass, UpstreamReply};

/// Longer ids are nobody's.
const ID_MAX: usize = 512;

/// How many look for a response at once; others wait. One that nobody has costs a question to every account.
pub(crate) const SEARCHES_MAX: usize = 64;

/// A request about a stored response.
pub(crate) struct StoredCall<'a> {
    pub(crate) action: StoredAction,
    pub(crate) id: &'a str,
    /// What is asked about it; goes on as it is.
    pub(crate) query: Option<&'a str>,
    pub(crate) credentials: Credentials<'a>,
    pub(crate) request_id: &'a str,
    pub(crate) headers: &'a HeaderMap,
}

/// Answers one request about a stored response.
///
/// An account that does not know it says nothing about the others; nor does one that cannot be asked, but then nobody can
/// say that there is no such response.
pub(crate) async fn answer_stored(
    pipeline: &Pipeline,
    call: &StoredCall<'_>,
    report: &mut Report,
) -> Result<Answer, Problem> {
    let fleet = pipeline.fleet();
    let caller = authenticate(&fleet, call.credentials)?;
    report.set_caller(caller);
    if pipeline.draining.is_cancelled() {
        return Err(Problem::Draining);
    }
    let mut accounts = accounts(&fleet, caller);
    if accounts.is_empty() {
        return Err(Problem::NothingStored);
    }
    let unknown = || Problem::UnknownResponse {
        id: call.id.to_owned(),
    };
    if !is_plausible(call.id) {
        return Err(unknown());
    }
    let home = pipeline.responses.account_of(call.id);
    if let Some(home) = &home {
        accounts.sort_by_key(|account| account.label != *home);
    }

    let deadline = Instant::now() + pipeline.config.timeouts.total;
    let mut turn = None;
    let mut failure: Option<Failure> = None;
    for account in accounts {
        // Whoever is known to have it is no search.
        if home.as_ref() != Some(&account.label) && turn.is_none() {
            match timeout_at(deadline, pipeline.searches.acquire()).await {
                Ok(taken) => turn = taken.ok(),
                Err(_) => failure = Some(Failure::no_answer(FailureClass::TimedOut)),
            }
        }
        if Instant::now() >= deadline {
            break;
        }
        report.add_attempt(account);
        let mut asked = ask(pipeline, call, account, deadline).await;
        if asked
            .as_ref()
            .is_err_and(|failed| failed.is_stale_connection)
        {
            asked = ask(pipeline, call, account, deadline).await;
        }
        match asked {
            Ok(Some(found)) => return Ok(pipeline.pass_found(found, account, report)),
            Ok(None) => {}
            Err(failed) if failed.class == FailureClass::BadRequest => {
                return Err(failed.into_problem(false));
            }
            Err(failed) => failure = Some(failed.or_more_telling(failure)),
        }
    }
    Err(failure.map_or_else(unknown, |failure| failure.into_problem(false)))
}

/// What an account that knows the response says of it.
enum Found {
    Whole(HeaderMap, Bytes),
    Stream(Box<OpenStream>),
}

/// Asks one account; `None`: it does not know the response.
async fn ask(
    pipeline: &Pipeline,
    call: &StoredCall<'_>,
    account: &FleetCandidate,
    deadline: Instant,
) -> Result<Option<Found>, Failure> {
    let provider = &account.provider;
    let asked_at = Instant::now();
    let errand = Errand {
        stored: StoredResponse {
            base_url: &provider.base_url,
            manners: provider.manners,
            api_version: provider.api_version.as_deref(),
            id: call.id,
            action: call.action,
            query: call.query,
        },
        provider_headers: &provider.headers,
        secret: &account.secret,
        request_id: call.request_id,
        client_headers: call.headers,
        first_byte: pipeline.config.timeouts.first_byte,
        deadline,
    };
    let reply = pipeline.upstream.run(errand).await.map_err(|error| {
        warn(account, &error.to_string());
        Failure::unanswered(&error, asked_at.elapsed())
    })?;
    if !reply.status.is_success() {
        let refusal = read_refusal(reply).await;
        if is_unknown(refusal.status, &refusal.body) {
            return Ok(None);
        }
        warn(account, &format!("status {}", refusal.status.as_u16()));
        return Err(Failure::refused(
            &refusal,
            Dialect::OpenaiResponses,
            account,
        ));
    }
    if reply.is_stream_of(Framing::Sse) {
        return Ok(Some(Found::Stream(Box::new(stream(reply)))));
    }
    let headers = reply.headers.clone();
    let body = reply.read_all(REPLY_MAX).await?;
    match body.trim_ascii_start().first() {
        None | Some(b'{') => Ok(Some(Found::Whole(headers, body))),
        Some(_) => Err(Failure::no_answer(FailureClass::BadAnswer)),
    }
}

fn stream(reply: UpstreamReply) -> OpenStream {
    let last_word = wire::writer(Endpoint::Responses, AnswerFacts::default());
    OpenStream {
        reply,
        is_faithful: true,
        events: StreamRelay::pass(Passing::StoredResponse, last_word),
        head: Bytes::new(),
    }
}

/// The accounts with stored responses behind the models that `caller` may use, each once, in the order of the file.
fn accounts<'a>(fleet: &'a Fleet, caller: &'a Caller) -> Vec<&'a FleetCandidate> {
    let models = fleet
        .models_for(caller)
        .filter_map(|name| fleet.model(name.as_str()));
    let mut known = HashSet::new();
    models
        .flat_map(|model| &model.candidates)
        .filter(|candidate| candidate.provider.dialect == Dialect::OpenaiResponses)
        .filter(|candidate| known.insert(&*candidate.label))
        .collect()
}

/// Whether an id can stand in a path: no other address of the provider may be meant.
fn is_plausible(id: &str) -> bool {
    !id.is_empty() && id.len() <= ID_MAX && !id.bytes().all(|byte| byte == b'.')
}

/// Whether a refusal says that the account does not have the response, or stores none, or has ids of another form.
fn is_unknown(status: StatusCode, body: &[u8]) -> bool {
    match status {
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => {
            true
        }
        StatusCode::BAD_REQUEST => names_the_id(body),
        _ => false,
    }
}

/// Whether an error is about the id itself: `Invalid 'response_id': … Expected an ID that begins with 'resp'.`, which vLLM
/// says without `param`.
fn names_the_id(body: &[u8]) -> bool {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let error = &body["error"];
    let message = error["message"].as_str().unwrap_or_default();
    error["param"] == "response_id" || message.starts_with("Invalid 'response_id'")
}

fn warn(account: &FleetCandidate, what: &str) {
    let key = &account.label;
    tracing::warn!(%key, "Key `{key}` could not be asked for a stored response: {what}");
}

impl Pipeline {
    fn pass_found(&self, found: Found, account: &FleetCandidate, report: &mut Report) -> Answer {
        let (headers, body) = match found {
            Found::Whole(headers, body) => {
                report.end(End::Served);
                (headers, AnswerBody::Whole(body))
            }
            Found::Stream(stream) => {
                let open = OpenAnswer {
                    lease: None,
                    dialect: Dialect::OpenaiResponses,
                    cut: self.cut.clone(),
                    stream,
                };
                (open.stream.headers(), AnswerBody::Stream(Box::new(open)))
            }
        };
        Answer {
            served_by: Some(Arc::clone(&account.label)),
            is_faithful: true,
            quotas: Vec::new(),
            headers,
            body,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fleet::tests::{TOKEN, config, fleet};

    use super::*;

    #[test]
    fn each_account_behind_the_callers_models_is_asked_once() {
        let mut config = config();
        config.providers[0].dialect = Dialect::OpenaiResponses;
        let mut again = config.models[0].clone();
        again.name = "gpt-again".into();
        again.aliases = Vec::new();
        config.models.push(again);
        let fleet = fleet(&config);
        let caller = authenticate(&fleet, Credentials::Token(TOKEN.as_bytes())).unwrap();

        let accounts = accounts(&fleet, caller);

        let labels: Vec<_> = accounts.iter().map(|account| &*account.label).collect();
        assert_eq!(labels, ["azure/eu-1", "azure/eu-2"]);
    }

    #[test]
    fn an_id_is_no_way_to_another_address() {
        assert!(is_plausible("resp_68a1"));
        assert!(is_plausible("gen-1.2"));
        assert!(!is_plausible(""));
        assert!(!is_plausible(".."));
        assert!(!is_plausible(&"x".repeat(ID_MAX + 1)));
    }

    #[test]
    fn what_an_account_does_not_have_is_told_apart_from_what_it_refuses() {
        let is_unknown = |status: u16, body: &str| {
            is_unknown(StatusCode::from_u16(status).unwrap(), body.as_bytes())
        };

        assert!(is_unknown(404, r#"{"error":{"message":"not found"}}"#));
        assert!(is_unknown(404, "<html>"));
        assert!(is_unknown(405, ""));
        assert!(is_unknown(400, r#"{"error":{"param":"response_id"}}"#));
        assert!(is_unknown(
            400,
            r#"{"error":{"message":"Invalid 'response_id': 'x'. Expected an ID that begins with 'resp'."}}"#
        ));
        assert!(!is_unknown(
            400,
            r#"{"error":{"message":"not in the background"}}"#
        ));
        assert!(!is_unknown(401, ""));
        assert!(!is_unknown(500, ""));
    }
}
