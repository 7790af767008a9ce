//! The HTTP client towards providers; the only place that knows `reqwest`.
//!
//! Sends one attempt and classifies how it went. Whether to try again, and where, is the pipeline's decision.

mod classify;
mod failure;
mod form;
mod headers;
mod limits;
mod moment;
mod reply;
mod retry_after;

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dialect::{Exchange, Framing, StoredAction};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use manners::{Place, StoredResponse};
use reqwest::{RequestBuilder, redirect};
use shared::config::{Dialect, Manners, Timeouts};
use shared::secret::Secret;
use shared::time::{Clock as _, SystemClock};
use thiserror::Error;
use tokio::time::Instant;

pub use classify::{Disposition, classify, classify_error};
pub use failure::FailureClass;
pub use form::{Form, FormContent, FormPart};
pub use reply::{BodyError, UpstreamReply};

use headers::Outline;

/// Shorter than the 5 s after which uvicorn and Node close idle connections, and all the more than a proxy's
/// minute: a request never meets a connection that its upstream is just closing.
const POOL_IDLE: Duration = Duration::from_secs(4);

const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// One pool of connections to all upstreams.
///
/// HTTP/1.1 only: over HTTP/2, hyper keeps a single connection per host, and hundreds of long streams would queue
/// for its stream limit. No redirects (a key stays with its origin), no proxy. It asks for no compression; what comes
/// compressed all the same is decoded as it comes in.
#[derive(Clone, Debug)]
pub struct UpstreamClient {
    client: reqwest::Client,
    /// What signatures are dated by.
    clock: Arc<SystemClock>,
    idle: Duration,
}

#[derive(Debug, Error)]
#[error("cannot set up the client for upstreams: {0}")]
pub struct ClientError(String);

/// One try at one candidate.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// The provider's, without a trailing slash.
    pub base_url: &'a str,
    /// The provider's, added to each of its requests; they win over all others.
    pub provider_headers: &'a [(String, Secret<String>)],
    pub secret: &'a Secret<String>,
    pub manners: Manners,
    /// Azure's.
    pub api_version: Option<&'a str>,
    /// The provider's name for the model.
    pub model: &'a str,
    /// What is asked, and where.
    pub exchange: &'a Exchange,
    /// Sent in place of the exchange's body.
    pub form: Option<&'a Form>,
    pub request_id: &'a str,
    /// What the client sent; only what is on the allow-list goes on.
    pub client_headers: &'a HeaderMap,
    /// Until the response headers, and then until the first byte of the body.
    pub first_byte: Duration,
    /// Until the last byte of the body: the whole request's, of which this may not be the first attempt.
    pub deadline: Instant,
}

/// One question to one account about a response that it may have stored.
#[derive(Clone, Copy, Debug)]
pub struct Errand<'a> {
    /// Where, and what.
    pub stored: StoredResponse<'a>,
    /// The provider's, as in an [`Attempt`].
    pub provider_headers: &'a [(String, Secret<String>)],
    pub secret: &'a Secret<String>,
    pub request_id: &'a str,
    /// What the client sent; only what is on the allow-list goes on.
    pub client_headers: &'a HeaderMap,
    /// Until the response headers, and then until the first byte of the body.
    pub first_byte: Duration,
    /// Until the last byte of the body: of all accounts that are asked.
    pub deadline: Instant,
}

/// Why an attempt got no response.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SendError {
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The configuration makes no request: a base URL that is none, a header value with a line break.
    #[error("cannot build the request: {0}")]
    Unbuildable(String),
    /// The connection closed before any of the request was written to it.
    #[error("the connection was closed before the request was sent")]
    Closed,
    #[error("no response within {0:?}")]
    Timeout(Duration),
    /// The request may have arrived, and may have been billed.
    #[error("the connection broke before a response: {0}")]
    Reset(String),
    /// In a way that is not known here, so that its bytes could be neither read nor passed on.
    #[error("the response is encoded as `{0}`, which was not asked for")]
    Encoded(String),
}

impl SendError {
    pub fn class(&self) -> FailureClass {
        match self {
            Self::Connect(_) => FailureClass::Unreachable,
            Self::Unbuildable(_) => FailureClass::Misconfigured,
            Self::Closed => FailureClass::Unsent,
            Self::Timeout(_) => FailureClass::TimedOut,
            Self::Reset(_) => FailureClass::BrokenOff,
            Self::Encoded(_) => FailureClass::BadAnswer,
        }
    }

    /// Whether nothing of the request reached the provider: every charge can be refunded.
    pub fn is_unsent(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Unbuildable(_) | Self::Closed => true,
            Self::Timeout(_) | Self::Reset(_) | Self::Encoded(_) => false,
        }
    }

    fn of(error: reqwest::Error) -> Self {
        // A URL can hold a credential.
        let error = error.without_url();
        if error.is_connect() {
            return Self::Connect(causes(&error));
        }
        if error.is_builder() {
            return Self::Unbuildable(causes(&error));
        }
        let mut cause = error.source();
        while let Some(error) = cause {
            let is_canceled = |error: &hyper::Error| error.is_canceled();
            if error.downcast_ref().is_some_and(is_canceled) {
                return Self::Closed;
            }
            cause = error.source();
        }
        Self::Reset(causes(&error))
    }
}

impl UpstreamClient {
    /// # Errors
    ///
    /// No root certificates on this machine, or no TLS.
    pub fn new(timeouts: &Timeouts) -> Result<Self, ClientError> {
        let client = reqwest::Client::builder()
            .http1_only()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(timeouts.connect)
            .tcp_nodelay(true)
            .tcp_keepalive(TCP_KEEPALIVE)
            .pool_idle_timeout(POOL_IDLE)
            .retry(reqwest::retry::never())
            .build()
            .map_err(|error| ClientError(causes(&error)))?;
        Ok(Self {
            client,
            clock: Arc::new(SystemClock::start()),
            idle: timeouts.idle,
        })
    }

    /// Sends `attempt` and waits for the response's headers; whatever its status, a response is `Ok`.
    ///
    /// A pooled connection that turns out closed before the request was written is replaced once, unseen. Once
    /// something was written nothing is sent again: it could be executed, and counted by the provider, twice.
    ///
    /// Dropping the future, or later the reply, closes the connection, which is how a provider learns to stop.
    ///
    /// # Errors
    ///
    /// No response: see [`SendError`].
    pub async fn send(&self, attempt: Attempt<'_>) -> Result<UpstreamReply, SendError> {
        let exchange = attempt.exchange;
        let path = manners::path(&Place {
            base_url: attempt.base_url,
            endpoint: exchange.upstream(),
            manners: attempt.manners,
            api_version: attempt.api_version,
            model: attempt.model,
            is_stream: exchange.is_stream(),
            variant: exchange.variant(),
        });
        let url = format!("{}{path}", attempt.base_url);
        let headers = headers::for_upstream(&Outline {
            provider_headers: attempt.provider_headers,
            secret: attempt.secret,
            dialect: exchange.upstream_dialect(),
            manners: attempt.manners,
            url: &url,
            body: exchange.body(),
            // A form names its own type, with the boundary.
            is_json: attempt.form.is_none(),
            is_faithful: exchange.is_faithful(),
            framing: exchange.framing(),
            request_id: attempt.request_id,
            client_headers: attempt.client_headers,
            now: self.now(),
        })?;
        let request = self.client.post(url).headers(headers);
        let request = match attempt.form {
            Some(form) => request.multipart(form::multipart(form)?),
            None => request.body(attempt.exchange.body().clone()),
        };
        self.deliver(request, attempt.first_byte, attempt.deadline)
            .await
    }

    /// Asks an account about a stored response, as [`Self::send`] sends an attempt.
    ///
    /// # Errors
    ///
    /// No response: see [`SendError`].
    pub async fn run(&self, errand: Errand<'_>) -> Result<UpstreamReply, SendError> {
        let StoredResponse {
            base_url,
            manners,
            action,
            ..
        } = errand.stored;
        let url = format!("{base_url}{}", manners::stored_path(&errand.stored));
        let headers = headers::for_upstream(&Outline {
            provider_headers: errand.provider_headers,
            secret: errand.secret,
            dialect: Dialect::OpenaiResponses,
            manners,
            url: &url,
            body: b"",
            is_json: false,
            is_faithful: true,
            framing: Framing::Sse,
            request_id: errand.request_id,
            client_headers: errand.client_headers,
            now: self.now(),
        })?;
        let request = match action {
            StoredAction::Retrieve | StoredAction::InputItems => self.client.get(url),
            StoredAction::Delete => self.client.delete(url),
            // Some servers take no request of this kind without a length.
            StoredAction::Cancel => self.client.post(url).header(CONTENT_LENGTH, 0),
        };
        self.deliver(request.headers(headers), errand.first_byte, errand.deadline)
            .await
    }

    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.clock.now_ms().unsigned_abs())
    }

    async fn deliver(
        &self,
        request: RequestBuilder,
        first_byte: Duration,
        deadline: Instant,
    ) -> Result<UpstreamReply, SendError> {
        let started = Instant::now();
        let first_byte = deadline.min(started + first_byte);
        let response = tokio::time::timeout_at(first_byte, request.send())
            .await
            .map_err(|_| SendError::Timeout(first_byte.saturating_duration_since(started)))?
            .map_err(SendError::of)?;

        if let Some(encoding) = headers::encoding(response.headers()) {
            return Err(SendError::Encoded(encoding));
        }
        Ok(UpstreamReply::new(
            response,
            reply::Deadlines {
                first_byte,
                idle: self.idle,
                total: deadline,
            },
        ))
    }
}

/// An error and what caused it, in one line.
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.ends_with(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
