//! The data port: accepts connections, bounds them, watches each for its client's hang-up, and drains.
//!
//! An accept loop of our own, because `axum::serve` has no time-out for headers or idle connections and no cap.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use futures_util::FutureExt as _;
use http::{Request, Response, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use shared::tasks::spawn_named;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::http::addressee::Addressee;
use crate::http::client_body::{ClientBody, HungUp, pumped};
use crate::http::error::problem_response;
use crate::http::hang_up::ReadAhead;
use crate::http::request_id::RequestId;
use crate::http::socket::{Activity, ClientSocket, Patience};
use crate::pipeline::problem::Problem;

/// Requests at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 250;
/// Of a request's head, in HTTP/2.
const HEADER_LIST_MAX: u32 = 64 * 1024;
/// Of a request's head, and of what is buffered of an answer, in HTTP/1: bounds memory per connection.
const BUFFER_MAX: usize = 128 * 1024;
/// A silent HTTP/2 client is asked for a sign of life.
const PING_INTERVAL: Duration = Duration::from_secs(20);

const ACCEPT_BACK_OFF_MIN: Duration = Duration::from_millis(5);
const ACCEPT_BACK_OFF_MAX: Duration = Duration::from_secs(1);

/// How long a connection that was accepted in the last moments has for its first request: closing it at once could reset
/// one that is on its way.
pub(crate) const LAST_CHANCE: Duration = Duration::from_millis(100);

/// Connections that are still accepted when the drain has begun: as many as the kernel holds for us.
const BACKLOG: usize = 1024;

#[derive(Clone, Debug)]
pub(crate) struct DataPort {
    pub(crate) router: Router,
    pub(crate) patience: Patience,
    pub(crate) connections_max: usize,
    /// See [`LAST_CHANCE`].
    pub(crate) last_chance: Duration,
    /// Accept no more, let what runs come to its end.
    pub(crate) draining: CancellationToken,
    /// Drop what still runs.
    pub(crate) abandon: CancellationToken,
    /// Ends when the last connection has ended.
    pub(crate) tasks: TaskTracker,
}

impl DataPort {
    /// Accepts connections until told to drain, and then those that the kernel has accepted already: closing the listener
    /// would reset them.
    pub(crate) async fn serve(self, listener: TcpListener) {
        let slots = Arc::new(Semaphore::new(
            self.connections_max.min(Semaphore::MAX_PERMITS),
        ));
        let mut back_off = ACCEPT_BACK_OFF_MIN;
        let mut n_last = 0;
        while n_last < BACKLOG {
            // Beyond the cap nothing is accepted: the kernel's backlog waits.
            let next = async {
                let slot = Arc::clone(&slots).acquire_owned().await.ok();
                (slot, listener.accept().await)
            };
            let (slot, accepted) = tokio::select! {
                biased;
                next = next => next,
                () = self.draining.cancelled() => return,
            };
            match accepted {
                Ok((socket, _)) => {
                    back_off = ACCEPT_BACK_OFF_MIN;
                    n_last += usize::from(self.draining.is_cancelled());
                    let port = self.clone();
                    spawn_named(&self.tasks, "connection", async move {
                        port.serve_connection(socket).await;
                        drop(slot);
                    });
                }
                Err(error) if is_of_the_connection(&error) => {}
                Err(_) if self.draining.is_cancelled() => return,
                Err(error) => {
                    tracing::warn!(%error, "Cannot accept connections for now: {error}");
                    tokio::time::sleep(back_off).await;
                    back_off = (back_off * 2).min(ACCEPT_BACK_OFF_MAX);
                }
            }
        }
    }

    async fn serve_connection(self, socket: TcpStream) {
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "Cannot set TCP_NODELAY: {error}");
        }
        let socket = ClientSocket::new(socket, self.patience);
        let client = Client {
            reader: socket.reader(),
            activity: socket.activity(),
            stall: self.patience.stall,
            tasks: self.tasks,
        };
        let router = self.router;
        let service = service_fn(move |request| client.clone().answer(router.clone(), request));

        let mut builder = auto::Builder::new(hyper_util::rt::TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            // `ClientSocket` keeps the time of heads: hyper's clock would also close idle connections.
            .header_read_timeout(None)
            .max_buf_size(BUFFER_MAX);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(HEADER_LIST_MAX)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_INTERVAL);
        let mut connection = Box::pin(builder.serve_connection(TokioIo::new(socket), service));
        let last_chance = tokio::time::Instant::now() + self.last_chance;
        let is_over = async {
            self.draining.cancelled().await;
            tokio::time::sleep_until(last_chance).await;
        };

        let ended = tokio::select! {
            biased;
            ended = connection.as_mut() => ended,
            () = is_over => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    biased;
                    ended = connection.as_mut() => ended,
                    () = self.abandon.cancelled() => return,
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(error, "A connection ended early: {error}");
        }
    }
}

/// Errors of one connection that was gone before it was accepted; the next one may be fine.
fn is_of_the_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionRefused
            | ErrorKind::Interrupted
    )
}

/// Who is at the other end of a connection.
#[derive(Clone)]
struct Client {
    reader: Arc<ReadAhead>,
    activity: Arc<Activity>,
    stall: Duration,
    tasks: TaskTracker,
}

impl Client {
    /// Answers one request; drops the answer in the making when the client hangs up.
    async fn answer(
        self,
        router: Router,
        mut request: Request<Incoming>,
    ) -> Result<Response<ClientBody>, HungUp> {
        let is_http2 = request.version() >= Version::HTTP_2;
        let active = self.activity.begin(is_http2);
        // HTTP/2 carries many requests at once and resets single ones: hyper drops their answers then.
        let reader = (!is_http2).then_some(self.reader);
        let request_id = RequestId::of(request.headers());
        request.extensions_mut().insert(request_id.clone());
        let addressee = Addressee::of(&request);

        let answered = AssertUnwindSafe(router.oneshot(request.map(Body::new))).catch_unwind();
        let answered = match &reader {
            Some(reader) => tokio::select! {
                biased;
                answered = answered => answered,
                () = Arc::clone(reader).gone() => return Err(HungUp),
            },
            None => answered.await,
        };
        let mut response = match answered {
            Ok(response) => response.unwrap_or_else(|never: Infallible| match never {}),
            Err(_) => {
                tracing::error!(request.id = %request_id.name(), "Request {} panicked", request_id.name());
                problem_response(&Problem::Internal, &addressee)
            }
        };
        request_id.write(response.headers_mut(), addressee.dialect);
        Ok(response.map(|body| {
            let is_at_hand = body.size_hint().exact().is_some();
            match reader {
                _ if is_at_hand => ClientBody::whole(body, active),
                Some(reader) => ClientBody::watched(body, reader, active),
                None => ClientBody::whole(pumped(&self.tasks, body, self.stall), active),
            }
        }))
    }
}

#[cfg(test)]
mod tests;
