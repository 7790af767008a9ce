//! A body on its way to a client, which ends when the client hangs up.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};
use http_body::{Body as _, Frame, SizeHint};

use crate::http::hang_up::ReadAhead;
use crate::http::socket::ActiveRequest;

pub(crate) struct ClientBody {
    inner: Body,
    /// Only where the body may take its time.
    gone: Option<BoxFuture<'static, ()>>,
    _active: ActiveRequest,
}

impl ClientBody {
    /// `reader` is the connection's, unless it carries several requests at once: HTTP/2 resets single streams.
    pub(crate) fn new(inner: Body, reader: Option<Arc<ReadAhead>>, active: ActiveRequest) -> Self {
        let is_at_hand = inner.size_hint().exact().is_some();
        Self {
            inner,
            gone: reader
                .filter(|_| !is_at_hand)
                .map(|reader| reader.gone().boxed()),
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
