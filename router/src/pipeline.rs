//! A request's whole way, stage by stage. Knows no axum and no reqwest.

pub(crate) mod admit;
pub(crate) mod authenticate;
pub(crate) mod dispatch;
pub(crate) mod failure;
pub(crate) mod leak;
pub(crate) mod problem;
pub(crate) mod rank;
pub(crate) mod relay;
pub(crate) mod report;
pub(crate) mod retry;
pub(crate) mod settle;

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use fastrand::Rng;
use http::HeaderMap;
use shared::config::Config;
use shared::lease::Outcome;
use shared::state::session::Session;
use tokio_util::sync::CancellationToken;

use crate::dialect::{Ask, Endpoint, TokenCounter};
use crate::fleet::{CurrentFleet, Fleet};
use crate::pipeline::admit::{Admission, Quota, quotas};
use crate::pipeline::authenticate::{Credentials, authenticate, priority};
use crate::pipeline::dispatch::{OpenStream, Reply, dispatch};
use crate::pipeline::problem::Problem;
use crate::pipeline::rank::rank;
use crate::pipeline::relay::Relay;
use crate::pipeline::report::{End, Report};
use crate::pipeline::retry::Retry;
use crate::pipeline::settle::HeldLease;
use crate::upstream::UpstreamClient;

/// All that the stages need, made once.
pub(crate) struct Pipeline {
    pub(crate) config: Arc<Config>,
    pub(crate) session: Session,
    pub(crate) fleet: CurrentFleet,
    pub(crate) upstream: UpstreamClient,
    pub(crate) counter: Arc<TokenCounter>,
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
    /// `provider/key` that served.
    pub(crate) served_by: Arc<str>,
    /// What is left of the caller's limits.
    pub(crate) quotas: Vec<Quota>,
    /// The upstream's, as far as they are the client's business.
    pub(crate) headers: HeaderMap,
    pub(crate) body: AnswerBody,
}

pub(crate) enum AnswerBody {
    Whole(Bytes),
    Stream(Box<OpenAnswer>),
}

/// A stream with everything that has to live as long as it flows.
pub(crate) struct OpenAnswer {
    stream: Box<OpenStream>,
    lease: HeldLease,
    /// The drain has run out.
    cut: CancellationToken,
}

impl OpenAnswer {
    /// Lets it flow; `report` is told when it ends.
    pub(crate) fn relay(self, report: Report) -> Relay {
        Relay::new(*self.stream, self.lease, self.cut, report)
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
    B: Future<Output = Result<Bytes, Problem>>,
{
    let fleet = pipeline.fleet();
    let caller = authenticate(&fleet, call.credentials)?;
    report.set_caller(caller);
    if pipeline.draining.is_cancelled() {
        return Err(Problem::Draining);
    }
    let priority = priority(caller, call.priority)?;

    let body = call.body.await?;
    let body_len = body.len();
    let ask = Arc::new(Ask::parse(call.endpoint, body)?);
    let model = rank(&fleet, caller, ask.model())?;
    report.set_model(model, ask.is_stream());
    ask.check()?;

    let mut admission = Admission::new(pipeline, &fleet, model, &ask, caller, priority);
    let mut lease = admission.admit(report).await?;
    let mut retry = Retry::new(&pipeline.config, body_len, ask.is_stream(), Instant::now());
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

    fn pass_on(
        &self,
        fleet: &Fleet,
        reply: Reply,
        lease: HeldLease,
        report: &mut Report,
    ) -> Answer {
        let served_by = Arc::clone(&lease.candidate().label);
        let quotas = quotas(fleet, &lease);
        report.set_first_byte(lease.first_byte());
        match reply {
            Reply::Whole(whole) => {
                report.set_usage(whole.charge.usage());
                report.end(End::Served);
                lease.end(Outcome::Served, whole.charge);
                Answer {
                    served_by,
                    quotas,
                    headers: whole.headers,
                    body: AnswerBody::Whole(whole.body),
                }
            }
            Reply::Stream(stream) => Answer {
                served_by,
                quotas,
                headers: stream.headers(),
                body: AnswerBody::Stream(Box::new(OpenAnswer {
                    stream,
                    lease,
                    cut: self.cut.clone(),
                })),
            },
        }
    }
}
