//! The routes of the simulated provider: OpenAI's, and the oracle's beside them.

pub(crate) mod chat;
pub(crate) mod completions;
mod embeddings;
mod errors;
mod headers;
mod inference;
mod models;
mod oracle;

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use tokio::sync::watch;

use crate::behaviour::Behaviour;
use crate::clock::Clock;
use crate::connection::ConnectionReset;
use crate::doors::Door;
use crate::keys::Keys;
use crate::options::Options;
use crate::reply::Reply;

use self::errors::ApiError;
use self::inference::Endpoint;

/// Requests beyond it are answered with 413.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The provider: its keys and what it has seen.
#[derive(Debug)]
pub(crate) struct Simulator {
    clock: Clock,
    keys: Keys,
    door: watch::Sender<Door>,
    requests: AtomicU64,
}

impl Simulator {
    pub(crate) fn new(options: &Options) -> Self {
        let clock = Clock::start();
        Self {
            clock,
            keys: Keys::new(clock, Behaviour::new(options), &options.keys),
            door: watch::Sender::new(Door {
                accept_delay: options.accept_delay,
                is_second_open: true,
            }),
            // Ids differ from those of another simulator, or of this one started again.
            requests: AtomicU64::new(fastrand::u64(..) >> 1),
        }
    }

    pub(crate) fn door(&self) -> Door {
        *self.door.borrow()
    }

    pub(crate) fn watch_door(&self) -> watch::Receiver<Door> {
        self.door.subscribe()
    }

    /// Answers one request; an error resets the connection instead.
    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Result<Reply, ConnectionReset> {
        let id = self.requests.fetch_add(1, Ordering::Relaxed);
        let (head, body) = request.into_parts();
        let body = match Limited::new(body, BODY_BYTES_MAX).collect().await {
            Ok(body) => body.to_bytes(),
            // Or its client left amid the body; then nobody reads the answer.
            Err(_) => {
                return Ok(headers::with_request_id(
                    ApiError::too_large().into_reply(),
                    id,
                ));
            }
        };
        let reply = self.route(id, &head, &body).await?;
        Ok(headers::with_request_id(reply, id))
    }

    async fn route(
        &self,
        id: u64,
        head: &http::request::Parts,
        body: &Bytes,
    ) -> Result<Reply, ConnectionReset> {
        let path = head.uri.path();
        let endpoint = match path {
            "/v1/chat/completions" => Some(Endpoint::Chat),
            "/v1/completions" => Some(Endpoint::Completions),
            "/v1/embeddings" => Some(Endpoint::Embeddings),
            _ => None,
        };
        if let Some(endpoint) = endpoint {
            if head.method != Method::POST {
                return Ok(ApiError::method_not_allowed(head).into_reply());
            }
            return self.infer(id, endpoint, head, body).await;
        }
        if let Some(rest) = path.strip_prefix("/v1/models") {
            return self.models(head, rest);
        }
        let reply = self.oracle(head, body);
        Ok(reply.unwrap_or_else(|| ApiError::no_such_url(head).into_reply()))
    }
}
