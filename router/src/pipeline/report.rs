//! What is told of a request when it ends: one log line and its metrics. Never bodies, never credentials.

use std::sync::Arc;
use std::time::{Duration, Instant};

use shared::ids::{ClientKeyName, KeyName, ModelName, ProviderName, TeamName};

use crate::fleet::{Caller, FleetCandidate, FleetModel};
use crate::metrics;
use dialect::Usage;

/// The story of one request; told when dropped, so that a hang-up and a panic are told too.
#[derive(Debug)]
pub(crate) struct Report {
    request_id: Arc<str>,
    pub(crate) endpoint: &'static str,
    started: Instant,
    caller: Option<Arc<Caller>>,
    pub(crate) model: Option<ModelName>,
    is_stream: bool,
    pub(crate) status: u16,
    provider: Option<ProviderName>,
    key: Option<KeyName>,
    n_attempts: u32,
    /// Claim to grant or refusal.
    pub(crate) queued: Option<Duration>,
    pub(crate) first_byte: Option<Duration>,
    pub(crate) usage: Option<Usage>,
    pub(crate) end: End,
    _in_flight: metrics::InFlight,
}

/// How a request ended, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Served,
    /// By us: credentials, form, limits.
    Refused,
    /// By every upstream that was asked.
    Failed,
    /// A stream that broke off.
    Cut,
    ClientAbort,
    Panicked,
}

impl End {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Cut => "cut",
            Self::ClientAbort => "client_abort",
            Self::Panicked => "panicked",
        }
    }
}

impl Report {
    /// `endpoint` is a label of few values.
    pub(crate) fn new(request_id: Arc<str>, endpoint: &'static str) -> Self {
        Self {
            request_id,
            endpoint,
            started: Instant::now(),
            caller: None,
            model: None,
            is_stream: false,
            status: 0,
            provider: None,
            key: None,
            n_attempts: 0,
            queued: None,
            first_byte: None,
            usage: None,
            // Until something else is known: whoever drops a request midway has hung up.
            end: End::ClientAbort,
            _in_flight: metrics::InFlight::begin(),
        }
    }

    pub(crate) fn set_caller(&mut self, caller: &Arc<Caller>) {
        self.caller = Some(Arc::clone(caller));
    }

    pub(crate) fn set_model(&mut self, model: &FleetModel, is_stream: bool) {
        self.model = Some(model.name.clone());
        self.is_stream = is_stream;
    }

    pub(crate) fn set_queued(&mut self, queued: Duration) {
        self.queued = Some(queued);
    }

    pub(crate) fn add_attempt(&mut self, candidate: &FleetCandidate) {
        self.n_attempts += 1;
        self.provider = Some(candidate.provider.name.clone());
        self.key = Some(candidate.key.clone());
    }

    pub(crate) fn set_first_byte(&mut self, first_byte: Option<Duration>) {
        self.first_byte = first_byte;
    }

    pub(crate) fn set_usage(&mut self, usage: Option<Usage>) {
        self.usage = usage;
    }

    /// The status line that the client sees.
    pub(crate) fn set_status(&mut self, status: http::StatusCode) {
        self.status = status.as_u16();
    }

    pub(crate) fn end(&mut self, end: End) {
        self.end = end;
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.end = End::Panicked;
        }
        metrics::request_ended(self);
        let caller = self.caller.as_deref();
        tracing::info!(
            request.id = %self.request_id,
            endpoint = self.endpoint,
            team = caller.and_then(|caller| caller.team.as_ref()).map(TeamName::as_str),
            client_key = caller.and_then(|caller| caller.name.as_ref()).map(ClientKeyName::as_str),
            model = self.model.as_ref().map(ModelName::as_str),
            stream = self.is_stream,
            status = self.status,
            provider = self.provider.as_ref().map(ProviderName::as_str),
            key = self.key.as_ref().map(KeyName::as_str),
            attempts = self.n_attempts,
            queue_ms = self.queued.map(milliseconds),
            first_byte_ms = self.first_byte.map(milliseconds),
            duration_ms = milliseconds(self.elapsed()),
            prompt_tokens = self.usage.map(|usage| usage.prompt_tokens),
            completion_tokens = self.usage.map(|usage| usage.completion_tokens),
            outcome = self.end.name(),
            "Request {} ended: {}", self.request_id, self.end.name()
        );
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
