//! NDJSON: one JSON text per line.

use std::borrow::Cow;

use memchr::memchr;

#[derive(Debug, Default)]
pub(crate) struct Cursor {
    /// The bytes before were looked at.
    searched: usize,
}

impl Cursor {
    pub(super) fn frame_end(&mut self, buffer: &[u8]) -> Option<usize> {
        let rest = buffer.get(self.searched..).unwrap_or_default();
        match memchr(b'\n', rest) {
            Some(offset) => Some(self.searched + offset + 1),
            None => {
                self.searched = buffer.len();
                None
            }
        }
    }
}

/// The line without its end; `None` for a blank one.
pub(super) fn payload(line: &[u8]) -> Option<Cow<'_, [u8]>> {
    let line = line.trim_ascii();
    (!line.is_empty()).then_some(Cow::Borrowed(line))
}
