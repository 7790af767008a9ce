//! Where one piece of a stream ends: server-sent events, lines, array elements, AWS messages.

pub(crate) mod array;
pub(crate) mod event_stream;
pub(crate) mod lines;
pub(crate) mod sse;

use std::borrow::Cow;

pub use self::event_stream::AwsMessage;

/// The longest frame that is waited for; a provider that sends more is broken.
pub(crate) const FRAME_BYTES_MAX: usize = 1024 * 1024;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FrameError {
    TooLong,
    /// The bytes cannot be of this framing at all.
    Malformed,
}

/// How a dialect's stream is cut into frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// `text/event-stream`.
    Sse,
    /// `application/x-ndjson`.
    Lines,
    /// One JSON array of objects.
    Array,
    /// `application/vnd.amazon.eventstream`.
    EventStream,
}

/// Finds the end of the first frame in a buffer that begins with it and only grows.
#[derive(Debug)]
pub(crate) enum Cursor {
    Sse(sse::Cursor),
    Lines(lines::Cursor),
    Array(array::Cursor),
    /// A message tells its length.
    EventStream,
}

impl Framing {
    pub(crate) fn cursor(self) -> Cursor {
        match self {
            Self::Sse => Cursor::Sse(sse::Cursor::default()),
            Self::Lines => Cursor::Lines(lines::Cursor::default()),
            Self::Array => Cursor::Array(array::Cursor::default()),
            Self::EventStream => Cursor::EventStream,
        }
    }

    /// What the frame carries; `None` for one that carries nothing, such as a keep-alive.
    pub(crate) fn payload(self, frame: &[u8]) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::Sse => sse::data(frame),
            Self::Lines => lines::payload(frame),
            Self::Array => array::payload(frame),
            Self::EventStream => Some(Cow::Borrowed(frame)),
        }
    }
}

impl Cursor {
    /// The position after the first frame, of at most `len_max` bytes; `None` until its end has arrived.
    pub(crate) fn frame_end(
        &mut self,
        buffer: &[u8],
        len_max: usize,
    ) -> Result<Option<usize>, FrameError> {
        let end = match self {
            Self::Sse(cursor) => cursor.frame_end(buffer),
            Self::Lines(cursor) => cursor.frame_end(buffer),
            Self::Array(cursor) => cursor.frame_end(buffer)?,
            Self::EventStream => event_stream::frame_end(buffer)?,
        };
        match end.unwrap_or(buffer.len()) > len_max {
            true => Err(FrameError::TooLong),
            false => Ok(end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_of_a_megabyte_is_waited_for_and_no_longer_one() {
        let long = vec![b'x'; FRAME_BYTES_MAX];
        let too_long = vec![b'x'; FRAME_BYTES_MAX + 1];

        for framing in [Framing::Sse, Framing::Lines, Framing::Array] {
            assert_eq!(framing.cursor().frame_end(&long, FRAME_BYTES_MAX), Ok(None));
            assert_eq!(
                framing.cursor().frame_end(&too_long, FRAME_BYTES_MAX),
                Err(FrameError::TooLong)
            );
        }
    }
}
