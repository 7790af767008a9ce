//! AWS's binary event stream: length-prefixed messages with headers and two CRCs.

use super::FrameError;

#[derive(Debug, Default)]
pub(crate) struct Cursor;

impl Cursor {
    pub(super) fn frame_end(&mut self, buffer: &[u8]) -> Result<Option<usize>, FrameError> {
        let Some(prefix) = buffer.first_chunk::<4>() else {
            return Ok(None);
        };
        let len = usize::try_from(u32::from_be_bytes(*prefix)).unwrap_or(usize::MAX);
        // Prelude, its CRC and the message's CRC make 16 bytes.
        if len < 16 {
            return Err(FrameError::Malformed);
        }
        if len > super::FRAME_BYTES_MAX {
            return Err(FrameError::TooLong);
        }
        Ok((buffer.len() >= len).then_some(len))
    }
}

/// One message, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub struct AwsMessage<'a> {
    /// `:event-type`, or `:exception-type` of an exception.
    pub kind: &'a str,
    pub is_exception: bool,
    pub payload: &'a [u8],
}
