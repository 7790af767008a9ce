//! A stream in unusual dress: other line ends, a byte order mark, no spaces, small pieces, an encoding.

mod encoder;

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Frame;

use crate::behaviour::{Dress, Encoding};
use crate::reply::ConnectionCut;
use crate::stream::PacedStream;

use self::encoder::Encoder;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

pub(crate) struct TailoredStream {
    events: PacedStream,
    dress: Dress,
    is_begun: bool,
    encoder: Option<Encoder>,
    /// Dressed, and not sent yet.
    ready: Bytes,
    is_flushed: bool,
}

/// A whole body in `encoding`.
pub(crate) fn encode(encoding: Encoding, body: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(body.len() + 32);
    let mut encoder = Encoder::new(encoding);
    encoder.write(body, &mut out);
    encoder.finish(&mut out);
    out.into()
}

impl TailoredStream {
    pub(crate) fn new(events: PacedStream, dress: Dress) -> Self {
        Self {
            events,
            dress,
            is_begun: false,
            encoder: dress.encoding.map(Encoder::new),
            ready: Bytes::new(),
            is_flushed: true,
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.events.is_over() && self.ready.is_empty() && self.encoder.is_none()
    }

    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ConnectionCut>>> {
        loop {
            if !self.ready.is_empty() {
                // hyper flushes what it has when a body is not ready, so that each piece is a write of its own.
                if !self.is_flushed {
                    self.is_flushed = true;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                self.is_flushed = self.dress.piece.is_none();
                let length = self.dress.piece.map_or(usize::MAX, usize::from);
                let piece = self.ready.split_to(length.min(self.ready.len()));
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            match ready!(self.events.poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Ok(events) = frame.into_data() {
                        self.ready = self.dressed(&events);
                    }
                }
                Some(Err(cut)) => return Poll::Ready(Some(Err(cut))),
                None => {
                    let Some(encoder) = self.encoder.take() else {
                        return Poll::Ready(None);
                    };
                    let mut out = Vec::new();
                    encoder.finish(&mut out);
                    self.ready = out.into();
                }
            }
        }
    }

    /// Whole events, as the dress writes them.
    fn dressed(&mut self, events: &[u8]) -> Bytes {
        let mut out = Vec::with_capacity(events.len() + events.len() / 16);
        if !self.is_begun && self.dress.bom {
            out.extend_from_slice(BYTE_ORDER_MARK);
        }
        self.is_begun = true;
        match self.events.is_text() {
            true => self.dress_lines(events, &mut out),
            false => out.extend_from_slice(events),
        }
        let Some(encoder) = &mut self.encoder else {
            return out.into();
        };
        let mut encoded = Vec::with_capacity(out.len() + 32);
        encoder.write(&out, &mut encoded);
        encoded.into()
    }

    fn dress_lines(&self, events: &[u8], out: &mut Vec<u8>) {
        for line in events.split_inclusive(|byte| *byte == b'\n') {
            let bare = line.strip_suffix(b"\n").unwrap_or(line);
            let bare = bare.strip_suffix(b"\r").unwrap_or(bare);
            match bare.strip_prefix(b"data: ") {
                Some(data) if !self.dress.space => {
                    out.extend_from_slice(b"data:");
                    out.extend_from_slice(data);
                }
                _ => out.extend_from_slice(bare),
            }
            let own_end = line.get(bare.len()..).unwrap_or_default();
            match self.dress.line_end {
                Some(line_end) if !own_end.is_empty() => out.extend_from_slice(line_end.bytes()),
                _ => out.extend_from_slice(own_end),
            }
        }
    }
}
