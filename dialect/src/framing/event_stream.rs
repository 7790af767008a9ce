//! AWS's binary event stream: length-prefixed messages with headers and two checksums.
//!
//! ```text
//! total length 4 · headers length 4 · CRC-32 of both 4 · headers · payload · CRC-32 of all before 4
//! ```
//!
//! All numbers are big-endian. A wrong checksum or length is not repaired and nothing is searched for behind it: the
//! stream is broken there.

mod headers;

use self::headers::Headers;
use super::FrameError;

/// Both lengths and their checksum.
const PRELUDE_BYTES: usize = 12;
const CHECKSUM_BYTES: usize = 4;

/// The position after the first message; `None` until its end has arrived.
///
/// Nothing is believed of a prelude before its checksum is there: text in the place of a stream, such as a web page,
/// reads as the length of a very long message.
pub(super) fn frame_end(buffer: &[u8]) -> Result<Option<usize>, FrameError> {
    let Some(prelude) = buffer.first_chunk::<PRELUDE_BYTES>() else {
        return Ok(None);
    };
    let len = Prelude::parse(prelude).ok_or(FrameError::Malformed)?.len;
    match len > super::FRAME_BYTES_MAX {
        true => Err(FrameError::TooLong),
        false => Ok((buffer.len() >= len).then_some(len)),
    }
}

/// One message, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AwsMessage<'a> {
    /// `:event-type`, or `:exception-type` of an exception, or `:error-code` of an error that no model knows.
    pub kind: &'a str,
    /// Also of such an error.
    pub is_exception: bool,
    /// JSON; of an error without a payload, the text of its `:error-message`.
    pub payload: &'a [u8],
}

impl<'a> AwsMessage<'a> {
    /// Takes apart what is exactly one message.
    ///
    /// `None` if a length or a checksum is wrong, or it does not say what it is.
    pub fn parse(frame: &'a [u8]) -> Option<Self> {
        let prelude = Prelude::parse(frame.first_chunk()?)?;
        if prelude.len != frame.len() {
            return None;
        }
        let (message, checksum) = frame.split_last_chunk::<CHECKSUM_BYTES>()?;
        if crc32fast::hash(message) != u32::from_be_bytes(*checksum) {
            return None;
        }
        let body = message.get(PRELUDE_BYTES..)?;
        let (headers, payload) = body.split_at_checked(prelude.headers_len)?;
        let headers = Headers::parse(headers)?;
        match headers.message_type? {
            "event" => Some(Self {
                kind: headers.event_type?,
                is_exception: false,
                payload,
            }),
            "exception" => Some(Self {
                kind: headers.exception_type?,
                is_exception: true,
                payload,
            }),
            "error" => Some(Self {
                kind: headers.error_code?,
                is_exception: true,
                payload: match payload {
                    [] => headers.error_message.unwrap_or_default().as_bytes(),
                    payload => payload,
                },
            }),
            _ => None,
        }
    }

    /// The message as bytes, for whoever plays the upstream. An exception is written as one, never as an error.
    pub fn encode(&self) -> Vec<u8> {
        let (message_type, kind_header) = match self.is_exception {
            true => ("exception", ":exception-type"),
            false => ("event", ":event-type"),
        };
        let mut headers = Vec::with_capacity(96);
        headers::put(&mut headers, kind_header, self.kind);
        headers::put(&mut headers, ":content-type", "application/json");
        headers::put(&mut headers, ":message-type", message_type);

        let len = PRELUDE_BYTES + headers.len() + self.payload.len() + CHECKSUM_BYTES;
        let mut frame = Vec::with_capacity(len);
        frame.extend(length(len));
        frame.extend(length(headers.len()));
        put_checksum(&mut frame);
        frame.extend(headers);
        frame.extend(self.payload);
        put_checksum(&mut frame);
        frame
    }
}

struct Prelude {
    /// Of the whole message.
    len: usize,
    headers_len: usize,
}

impl Prelude {
    /// `None` if the checksum is wrong, or the parts do not fit into the whole.
    fn parse(prelude: &[u8; PRELUDE_BYTES]) -> Option<Self> {
        let (lengths, checksum) = prelude.split_last_chunk::<CHECKSUM_BYTES>()?;
        if crc32fast::hash(lengths) != u32::from_be_bytes(*checksum) {
            return None;
        }
        let (len, headers_len) = lengths.split_first_chunk::<4>()?;
        let headers_len = headers_len.first_chunk::<4>()?;
        let number = |bytes: [u8; 4]| usize::try_from(u32::from_be_bytes(bytes)).ok();
        let prelude = Self {
            len: number(*len)?,
            headers_len: number(*headers_len)?,
        };
        let body = prelude.len.checked_sub(PRELUDE_BYTES + CHECKSUM_BYTES)?;
        (prelude.headers_len <= body).then_some(prelude)
    }
}

/// What is too long for a length is too long for any reader.
fn length(len: usize) -> [u8; 4] {
    u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes()
}

fn put_checksum(frame: &mut Vec<u8>) {
    let checksum = crc32fast::hash(frame);
    frame.extend(checksum.to_be_bytes());
}

#[cfg(test)]
mod tests;
