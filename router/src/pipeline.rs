//! A request's whole way, stage by stage. Knows no axum and no reqwest.

pub(crate) mod admit;
pub(crate) mod authenticate;
pub(crate) mod dispatch;
pub(crate) mod failure;
pub(crate) mod leak;
pub(crate) mod payload;
pub(crate) mod problem;
pub(crate) mod rank;
pub(crate) mod relay;
pub(crate) mod report;
pub(crate) mod retry;
pub(crate) mod settle;
pub(crate) mod stored;
pub(crate) mod wording;

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use dialect::canon::{AnswerFacts, StreamVariant};
use dialect::{Ask, Endpoint, Operation, PathFacts, TokenCounter, wire};
use fastrand::Rng;
use http::HeaderMap;
use shared::config::{Config, Dialect};
use shared::lease::Outcome;
use shared::state::session::Session;
use shared::time::{Clock as _, SystemClock};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::fleet::{CurrentFleet, Fleet, FleetModel};
use crate::pipeline::admit::{Admission, Quota, quotas};
use crate::pipeline::authenticate::{Credentials, authenticate, priority};
use crate::pipeline::dispatch::{OpenStream, Reply, dispatch};
use crate::pipeline::payload::Payload;
use crate::pipeline::problem::Problem;
use crate::pipeline::rank::rank;
use crate::pipeline::relay::Relay;
use crate::pipeline::report::{End, Report};
use crate::pipeline::retry::Retry;
use crate::pipeline::settle::HeldLease;
use crate::pipeline::stored::ResponseMemory;
use crate::pipeline::wording::Wording;
use crate::upstream::UpstreamClient;

/// All that the stages need, made once.
pub(crate) struct Pipeline {
    pub(crate) config: Arc<Config>,
    pub(crate) session: Session,
    pub(crate) fleet: CurrentFleet,
    pub(crate) upstream: UpstreamClient,
    pub(crate) counter: Arc<TokenCounter>,
    /// Which account was seen to make which stored response.
    pub(crate) responses: ResponseMemory,
    /// One for each search of a stored response.
    pub(crate) searches: Semaphore,
    /// What answers are dated by.
    pub(crate) clock: SystemClock,
    /// For the jitter of retries. Asked when an attempt failed, never across an await.
    pub(crate) chance: Mutex<Rng>,
    /// No new request is begun.
    pub(crate) draining: CancellationToken,
    /// What still runs is broken off.
    pub(crate) cut: CancellationToken,
}

/// A request as it came in; its body is only read once its sender is known.
pub(crate) struct Call<'a, B> {
    pub(crate) endpoint: Endpoint,
    /// What the path says of the request.
    pub(crate) path: PathFacts,
    pub(crate) variant: StreamVariant,
    pub(crate) credentials: Credentials<'a>,
    pub(crate) request_id: &'a str,
    /// `x-sluice-priority`.
    pub(crate) priority: Option<&'a [u8]>,
    /// All that the client sent; hardly any of it goes upstream.
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: B,
}

/// What goes back to the client.
pub(crate) struct Answer {
    /// `provider/key` that served; `None`: this router itself.
    pub(crate) served_by: Option<Arc<str>>,
    /// Whether the upstream's bytes go on as they are, and its content type with them.
    pub(crate) is_faithful: bool,
    /// What is left of the caller's limits.
    pub(crate) quotas: Vec<Quota>,
    /// The upstream's, as far as they are the client's business.
    pub(crate) headers: HeaderMap,
    pub(crate) body: AnswerBody,
}

impl Answer {
    /// Of this router, which asked nobody.
    fn own(body: Vec<u8>) -> Self {
        Self {
            served_by: None,
            is_faithful: false,
            quotas: Vec::new(),
            headers: HeaderMap::new(),
            body: AnswerBody::Whole(Bytes::from(body)),
        }
    }
}

pub(crate) enum AnswerBody {
    Whole(Bytes),
    Stream(Box<OpenAnswer>),
}

/// A stream with everything that has to live as long as it flows.
pub(crate) struct OpenAnswer {
    stream: Box<OpenStream>,
    /// `None`: no slot was taken for it.
    lease: Option<HeldLease>,
    /// The client's.
    dialect: Dialect,
    /// The drain has run out.
    cut: CancellationToken,
}

impl OpenAnswer {
    /// Lets it flow; `report` is told when it ends.
    pub(crate) fn relay(self, report: Report) -> Relay {
        Relay::new(*self.stream, self.lease, self.dialect, self.cut, report)
    }
}

/// Answers one request: the whole way and all its branches.
///
/// A slot is held from the moment `admit` returns to `settle`, to the end of the relayed stream, or to the drop of this
/// future, whichever comes first.
pub(crate) async fn answer<B>(
    pipeline: &Pipeline,
    call: Call<'_, B>,
    report: &mut Report,
) -> Result<Answer, Problem>
where
    B: Future<Output = Result<Payload, Problem>>,
{
    let fleet = pipeline.fleet();
    let caller = authenticate(&fleet, call.credentials)?;
    report.set_caller(caller);
    if pipeline.draining.is_cancelled() {
        return Err(Problem::Draining);
    }
    let priority = priority(caller, call.priority)?;

    let Payload { json, form, len } = call.body.await?;
    let ask = Ask::parse(call.endpoint, call.path, json)?;
    let model = rank(&fleet, caller, ask.model())?;
    let is_stream = ask.is_stream();
    report.set_model(model, is_stream);
    ask.check()?;
    let facts = pipeline.facts(call.request_id, ask.model());
    let wording = Arc::new(Wording::new(ask, form, call.variant, facts));
    let answer = pipeline.count_here(model, &wording);
    if let Some(answer) = answer.or_else(|| load_here(model, &wording)) {
        report.end(End::Served);
        return Ok(answer);
    }

    let mut admission = Admission::new(pipeline, &fleet, model, &wording, caller, priority)?;
    let mut lease = admission.admit(report).await?;
    let mut retry = Retry::new(&pipeline.config, len, is_stream, Instant::now());
    let deadline = retry.deadline();
    loop {
        report.add_attempt(lease.candidate());
        let reply = dispatch(
            pipeline,
            &mut lease,
            call.request_id,
            call.headers,
            deadline.into(),
        );
        let failure = match reply.await {
            Ok(reply) => return Ok(pipeline.pass_on(admission.fleet(), reply, lease, report)),
            Err(failure) => failure,
        };
        retry.end(lease, failure, Instant::now());
        lease = match admission.again(&mut retry).await {
            Some(lease) if Instant::now() < deadline => lease,
            Some(_) | None => return Err(retry.into_problem()),
        };
    }
}

/// Says itself that a model is loaded, unless all of its upstreams are Ollama's and can do it: nobody else has anything
/// to load, nor words for it.
fn load_here(model: &FleetModel, wording: &Wording) -> Option<Answer> {
    let load = wording.ask().load()?;
    let mut candidates = model.candidates.iter();
    if candidates.all(|candidate| candidate.provider.dialect == Dialect::OllamaChat) {
        return None;
    }
    let facts = wording.facts();
    let endpoint = wording.endpoint();
    let reply = wire::load_reply(endpoint, load, &facts.model, facts.created);
    Some(Answer::own(reply))
}

impl Pipeline {
    /// The snapshot for a new request.
    pub(crate) fn fleet(&self) -> Arc<Fleet> {
        self.fleet.at(&self.session.catalog())
    }

    /// A source of chance of its own for whoever asks.
    fn chance(&self) -> Rng {
        let mut chance = self.chance.lock().unwrap_or_else(PoisonError::into_inner);
        chance.fork()
    }

    fn facts(&self, request_id: &str, model: &str) -> AnswerFacts {
        AnswerFacts {
            request_id: request_id.to_owned(),
            created: self.clock.now_ms() / 1_000,
            model: model.to_owned(),
            ..AnswerFacts::default()
        }
    }

    /// Counts a prompt's tokens itself where no upstream of the model counts them for clients of this dialect: nobody is
    /// asked, so nothing is charged.
    fn count_here(&self, model: &FleetModel, wording: &Wording) -> Option<Answer> {
        let mut candidates = model.candidates.iter();
        let is_counted_here = wording.endpoint().operation() == Operation::TokenCount
            && !candidates.any(|candidate| wording.is_faithful(candidate));
        is_counted_here.then(|| {
            let n_tokens = wording.ask().prompt_tokens(&self.counter);
            Answer::own(wire::token_count_reply(wording.endpoint(), n_tokens))
        })
    }

    fn pass_on(
        &self,
        fleet: &Fleet,
        reply: Reply,
        lease: HeldLease,
        report: &mut Report,
    ) -> Answer {
        let served_by = Some(Arc::clone(&lease.candidate().label));
        let quotas = quotas(fleet, &lease);
        report.set_first_byte(lease.first_byte());
        match reply {
            Reply::Whole(whole) => {
                report.set_usage(whole.charge.usage());
                report.end(End::Served);
                lease.end(Outcome::Served, whole.charge);
                Answer {
                    served_by,
                    is_faithful: whole.is_faithful,
                    quotas,
                    headers: whole.headers,
                    body: AnswerBody::Whole(whole.body),
                }
            }
            Reply::Stream(stream) => Answer {
                served_by,
                is_faithful: stream.is_faithful,
                quotas,
                headers: stream.headers(),
                body: AnswerBody::Stream(Box::new(OpenAnswer {
                    dialect: lease.wording().endpoint().dialect(),
                    lease: Some(lease),
                    cut: self.cut.clone(),
                    stream,
                })),
            },
        }
    }
}
