//! Answers and their bodies; a body owns the request's flight and ends it with its last byte.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use serde::Serialize;
use tokio::time::Sleep;

use crate::behaviour::BreakKind;
use crate::flight::Flight;
use crate::stream::PacedStream;
use crate::tailor::TailoredStream;

/// How long a stalled answer stays silent before the provider gives up on its client.
const SILENCE: Duration = Duration::from_secs(10 * 60);

pub(crate) type Reply = Response<ReplyBody>;

/// What goes over the wire after the head.
pub(crate) enum ReplyBody {
    Whole(WholeBody),
    Broken(BrokenBody),
    Stream(Box<PacedStream>),
    Tailored(Box<TailoredStream>),
}

/// A body in one piece.
pub(crate) struct WholeBody {
    bytes: Bytes,
    flight: Option<Flight>,
}

/// A body that announces its full length and breaks half-way.
pub(crate) struct BrokenBody {
    announced: u64,
    half: Bytes,
    breaking: Breaking,
    flight: Option<Flight>,
}

/// Ends the connection in the middle of a body.
#[derive(Debug, thiserror::Error)]
#[error("the simulated provider cuts the connection")]
pub(crate) struct ConnectionCut {
    /// By RST instead of FIN.
    pub(crate) is_reset: bool,
}

/// An answer of JSON with `status`.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Reply {
    let mut bytes = Vec::new();
    write_json(&mut bytes, body);
    with_bytes(status, "application/json", bytes.into(), None)
}

/// An answer of `bytes`; `flight` ends when they are handed over.
pub(crate) fn with_bytes(
    status: StatusCode,
    content_type: &'static str,
    bytes: Bytes,
    flight: Option<Flight>,
) -> Reply {
    let body = ReplyBody::Whole(WholeBody { bytes, flight });
    with_body(status, content_type, body)
}

pub(crate) fn with_body(status: StatusCode, content_type: &'static str, body: ReplyBody) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    reply.headers_mut().insert(CONTENT_TYPE, content_type);
    reply
}

#[expect(
    clippy::expect_used,
    reason = "plain structs written to memory cannot fail to serialize"
)]
pub(crate) fn write_json(out: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(out, value).expect("plain structs serialize");
}

impl BrokenBody {
    /// Half of `bytes`, then what `kind` says.
    pub(crate) fn new(bytes: &Bytes, kind: BreakKind, flight: Flight) -> Self {
        Self {
            announced: bytes.len() as u64,
            half: bytes.slice(..bytes.len() / 2),
            breaking: Breaking::new(kind),
            flight: Some(flight),
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = ConnectionCut;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ConnectionCut>>> {
        match self.get_mut() {
            Self::Whole(body) => {
                // Ended before the client can have read it, so that its next request never meets this one.
                if let Some(flight) = body.flight.take() {
                    flight.finish();
                }
                let bytes = std::mem::take(&mut body.bytes);
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Self::Broken(body) => {
                if !body.half.is_empty() {
                    let half = std::mem::take(&mut body.half);
                    return Poll::Ready(Some(Ok(Frame::data(half))));
                }
                let cut = ready!(body.breaking.poll_cut(cx));
                if let Some(flight) = body.flight.take() {
                    flight.finish();
                }
                Poll::Ready(Some(Err(cut)))
            }
            Self::Stream(stream) => stream.poll_frame(cx),
            Self::Tailored(stream) => stream.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.bytes.is_empty() && body.flight.is_none(),
            Self::Broken(_) => false,
            Self::Stream(stream) => stream.is_over(),
            Self::Tailored(stream) => stream.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => SizeHint::with_exact(body.bytes.len() as u64),
            Self::Broken(body) => SizeHint::with_exact(body.announced),
            Self::Stream(_) | Self::Tailored(_) => SizeHint::new(),
        }
    }
}

/// The end of an answer that breaks: what was said before reaches the client, then silence or the cut.
pub(crate) struct Breaking {
    kind: BreakKind,
    flushed: bool,
    silence: Option<Pin<Box<Sleep>>>,
}

impl Breaking {
    pub(crate) fn new(kind: BreakKind) -> Self {
        Self {
            kind,
            flushed: false,
            silence: None,
        }
    }

    pub(crate) fn poll_cut(&mut self, cx: &mut Context<'_>) -> Poll<ConnectionCut> {
        match self.kind {
            BreakKind::Stall => {
                let silence = self
                    .silence
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep(SILENCE)));
                ready!(silence.as_mut().poll(cx));
            }
            _ if !self.flushed => {
                // hyper flushes what it has when a body is not ready, and drops it when a body fails.
                self.flushed = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            BreakKind::Cut | BreakKind::Reset | BreakKind::End | BreakKind::Error => {}
        }
        let is_reset = self.kind == BreakKind::Reset;
        Poll::Ready(ConnectionCut { is_reset })
    }
}
