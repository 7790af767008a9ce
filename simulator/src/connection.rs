//! One client's connection: HTTP/1.1 on a socket that can be made to end with a reset, or when it has been idle.

mod idle;

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::api::Simulator;
use crate::reply::{ConnectionCut, ReplyBody};

use self::idle::{Busy, Idleness};

/// Instead of an answer: the connection is reset.
#[derive(Debug, thiserror::Error)]
#[error("the simulated provider resets the connection")]
pub(crate) struct ConnectionReset;

/// An extension of an answer: how long its connection stays open after it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdleClose(pub(crate) Duration);

/// Serves `stream` until either side ends it.
///
/// hyper reads ahead while a handler or a body runs, so a client that leaves drops them at once: the flights they hold
/// count as aborted then.
pub(crate) async fn run(simulator: Arc<Simulator>, stream: TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "Could not disable Nagle's algorithm");
    }
    let resets = Arc::new(AtomicBool::new(false));
    let idleness = Idleness::default();
    let socket = Socket {
        stream,
        resets: Arc::clone(&resets),
    };
    let service = service_fn(|request| {
        let simulator = Arc::clone(&simulator);
        let resets = Arc::clone(&resets);
        let busy = idleness.begin();
        async move {
            let answer = simulator.answer(request).await;
            if answer.is_err() {
                resets.store(true, Ordering::Relaxed);
            }
            answer.map(|reply| {
                busy.set_patience(
                    reply
                        .extensions()
                        .get()
                        .map(|IdleClose(patience)| *patience),
                );
                reply.map(|body| OpenBody { body, resets, busy })
            })
        }
    });
    let served = http1::Builder::new()
        // Idle connections are the client's business: load tests hold thousands of them.
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(socket), service);
    tokio::select! {
        served = pin!(served) => if let Err(error) = served {
            tracing::debug!(%error, "A connection ended early");
        },
        // Without a look at what may be arriving just now, as providers do it.
        () = idleness.over() => {}
    }
}

/// A body that keeps its connection from being idle, and can end it with a reset.
struct OpenBody {
    body: ReplyBody,
    resets: Arc<AtomicBool>,
    #[expect(dead_code, reason = "its drop tells that the body has ended")]
    busy: Busy,
}

impl Body for OpenBody {
    type Data = Bytes;
    type Error = ConnectionCut;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ConnectionCut>>> {
        let open = self.get_mut();
        let frame = ready!(Pin::new(&mut open.body).poll_frame(cx));
        if let Some(Err(ConnectionCut { is_reset: true })) = frame {
            open.resets.store(true, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A socket that ends with RST instead of FIN once `resets` is set.
struct Socket {
    stream: TcpStream,
    resets: Arc<AtomicBool>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.resets.load(Ordering::Relaxed)
            && let Err(error) = self.stream.set_zero_linger()
        {
            tracing::debug!(%error, "Could not reset a connection");
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
