//! The routes of the simulated provider: every API's by its own paths, and the oracle's beside them.

mod anthropic;
mod bedrock;
mod catalog;
mod completions;
mod dialect;
mod embeddings;
mod errors;
mod form;
mod gemini;
mod headers;
mod inference;
mod media;
mod moderations;
mod ollama;
mod openai_chat;
mod oracle;
mod query;
mod responses;
mod routes;
mod schema;
mod usage;

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

use self::dialect::Addressee;
use self::errors::ApiError;
use self::responses::StoredResponses;
use self::routes::{Route, Target};

/// Requests beyond it are answered with 413.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The provider: its keys and what it has seen.
#[derive(Debug)]
pub(crate) struct Simulator {
    clock: Clock,
    keys: Keys,
    responses: StoredResponses,
    door: watch::Sender<Door>,
    requests: AtomicU64,
}

impl Simulator {
    pub(crate) fn new(options: &Options) -> Self {
        let clock = Clock::start();
        Self {
            clock,
            keys: Keys::new(clock, Behaviour::new(options), &options.keys),
            responses: StoredResponses::default(),
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
        let Route { dialect, target } = routes::of(&head);
        let addressee = Addressee { dialect, id };
        let reply = match Limited::new(body, BODY_BYTES_MAX).collect().await {
            Ok(body) => self.go(addressee, target, &head, &body.to_bytes()).await?,
            // Or its client left amid the body; then nobody reads the answer.
            Err(_) => ApiError::too_large().into_reply(addressee),
        };
        Ok(headers::with_request_id(reply, addressee))
    }

    async fn go(
        &self,
        addressee: Addressee,
        target: Target<'_>,
        head: &http::request::Parts,
        body: &Bytes,
    ) -> Result<Reply, ConnectionReset> {
        match target {
            Target::Infer(endpoint, model) => {
                if head.method != Method::POST {
                    return Ok(ApiError::method_not_allowed(head).into_reply(addressee));
                }
                self.infer(addressee, endpoint, model, head, body).await
            }
            Target::Stored(page) => self.stored(addressee, &page, head),
            Target::Look(page) => self.look(addressee, &page, head, body),
            Target::Nowhere => Ok(ApiError::no_such_url(head).into_reply(addressee)),
            Target::Oracle => {
                let reply = self.oracle(addressee, head, body);
                Ok(reply.unwrap_or_else(|| ApiError::no_such_url(head).into_reply(addressee)))
            }
        }
    }
}
