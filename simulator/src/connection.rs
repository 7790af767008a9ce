//! One client's connection: HTTP/1.1 on a socket that can be made to end with a reset.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::api::Simulator;

/// Instead of an answer: the connection is reset.
#[derive(Debug, thiserror::Error)]
#[error("the simulated provider resets the connection")]
pub(crate) struct ConnectionReset;

/// Serves `stream` until either side ends it.
///
/// hyper reads ahead while a handler or a body runs, so a client that leaves drops them at once: the flights they hold
/// count as aborted then.
pub(crate) async fn run(simulator: Arc<Simulator>, stream: TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "Could not disable Nagle's algorithm");
    }
    let resets = Arc::new(AtomicBool::new(false));
    let socket = Socket {
        stream,
        resets: Arc::clone(&resets),
    };
    let service = service_fn(move |request| {
        let simulator = Arc::clone(&simulator);
        let resets = Arc::clone(&resets);
        async move {
            let answer = simulator.answer(request).await;
            if answer.is_err() {
                resets.store(true, Ordering::Relaxed);
            }
            answer
        }
    });
    let served = http1::Builder::new()
        // Idle connections are the client's business: load tests hold thousands of them.
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(socket), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "A connection ended early");
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
