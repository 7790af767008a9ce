//! A body on its way to a client, which ends when the client hangs up or takes nothing any more.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::{StreamExt as _, unfold};
use http_body::{Frame, SizeHint};
use shared::tasks::spawn_named;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use crate::http::hang_up::ReadAhead;
use crate::http::socket::ActiveRequest;

pub(crate) struct ClientBody {
    inner: Body,
    gone: Option<BoxFuture<'static, ()>>,
    _active: ActiveRequest,
}

impl ClientBody {
    /// Of an answer that is there already.
    pub(crate) fn whole(inner: Body, active: ActiveRequest) -> Self {
        Self {
            inner,
            gone: None,
            _active: active,
        }
    }

    /// Of an answer that takes its time, on a connection of its own.
    pub(crate) fn watched(inner: Body, reader: Arc<ReadAhead>, active: ActiveRequest) -> Self {
        Self {
            inner,
            gone: Some(reader.gone().boxed()),
            _active: active,
        }
    }
}

impl http_body::Body for ClientBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(gone) = &mut self.gone
            && gone.poll_unpin(cx).is_ready()
        {
            self.gone = None;
            return Poll::Ready(Some(Err(axum::Error::new(HungUp))));
        }
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the client hung up")]
pub(crate) struct HungUp;

#[derive(Debug, thiserror::Error)]
#[error("the client takes nothing of its answer")]
struct Stalled;

/// Moves a body along in a task of its own, so that it ends when nobody takes its frames for `stall`.
///
/// hyper asks for no frame of an HTTP/2 stream while the client's window is shut, and such a client would hold its slot
/// for as long as it likes. (An HTTP/1 connection's socket sees that by itself.)
pub(crate) fn pumped(tasks: &TaskTracker, inner: Body, stall: Duration) -> Body {
    let (sender, receiver) = mpsc::channel::<Option<Result<Bytes, axum::Error>>>(1);
    spawn_named(tasks, "http2 stream", async move {
        let mut frames = inner.into_data_stream();
        loop {
            let frame = tokio::select! {
                biased;
                () = sender.closed() => return,
                frame = frames.next() => frame,
            };
            let is_last = frame.is_none();
            let is_taken = sender.send_timeout(frame, stall).await.is_ok();
            if is_last || !is_taken {
                return;
            }
        }
    });
    Body::from_stream(unfold(Some(receiver), |receiver| async move {
        let mut receiver = receiver?;
        match receiver.recv().await {
            Some(frame) => Some((frame?, Some(receiver))),
            None => Some((Err(axum::Error::new(Stalled)), None)),
        }
    }))
}

#[cfg(test)]
mod tests {
    use futures_util::stream::{iter, pending};

    use super::*;

    const STALL: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_pumped_body_arrives_whole() {
        let pieces = ["a", "b", "c"].map(|piece| Ok::<_, HungUp>(Bytes::from(piece)));

        let body = pumped(&TaskTracker::new(), Body::from_stream(iter(pieces)), STALL);

        assert_eq!(axum::body::to_bytes(body, 10).await.unwrap(), "abc");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pumped_body_that_nobody_takes_ends_and_says_so() {
        let tasks = TaskTracker::new();
        tasks.close();
        let pieces = ["a"; 10].map(|piece| Ok::<_, HungUp>(Bytes::from(piece)));

        let body = pumped(&tasks, Body::from_stream(iter(pieces)), STALL);
        tasks.wait().await;

        assert!(axum::body::to_bytes(body, 100).await.is_err());
    }

    #[tokio::test]
    async fn a_pumped_body_that_is_dropped_drops_its_source() {
        let tasks = TaskTracker::new();
        tasks.close();
        let source = pending::<Result<Bytes, HungUp>>();

        drop(pumped(&tasks, Body::from_stream(source), STALL));

        tasks.wait().await;
    }
}
