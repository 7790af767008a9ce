//! What of a buffer goes on.

use bytes::{Bytes, BytesMut};

/// Cuts a buffer of events into what passes and what does not.
pub(super) struct Output {
    buffer: Bytes,
    /// Of the bytes before `at`, those from `start` on pass, after what is in `joined`.
    start: usize,
    at: usize,
    /// What passed before something was taken out.
    joined: BytesMut,
}

impl Output {
    pub(super) fn new(buffer: Bytes) -> Self {
        Self {
            buffer,
            start: 0,
            at: 0,
            joined: BytesMut::new(),
        }
    }

    pub(super) fn rest(&self) -> &[u8] {
        self.buffer.get(self.at..).unwrap_or_default()
    }

    pub(super) fn pass(&mut self, len: usize) {
        self.at += len;
    }

    /// Puts `other` in the place of the next `len` bytes.
    pub(super) fn replace(&mut self, len: usize, other: &[u8]) {
        self.take_out(len);
        self.joined.extend_from_slice(other);
    }

    pub(super) fn take_out(&mut self, len: usize) {
        let passing = self.passing();
        self.joined.extend_from_slice(&passing);
        self.at += len;
        self.start = self.at;
    }

    fn passing(&self) -> Bytes {
        self.buffer.slice(self.start..self.at)
    }

    pub(super) fn finish(mut self) -> Bytes {
        let passing = self.passing();
        if self.joined.is_empty() {
            return passing;
        }
        self.joined.extend_from_slice(&passing);
        self.joined.freeze()
    }
}
