//! A request in flight: from its arrival to its last byte, or until its client leaves.

use std::sync::Arc;

use crate::keys::KeyState;
use crate::oracle::{ArrivalId, Ending};

/// Holds a request's place in the oracle's `in_flight`.
///
/// hyper drops the handler or the body that owns it when the client leaves, so a flight dropped before it ended counts
/// as aborted.
#[derive(Debug)]
pub(crate) struct Flight {
    key: Arc<KeyState>,
    arrival: ArrivalId,
    status: u16,
    ended: bool,
}

impl Flight {
    pub(crate) fn new(key: Arc<KeyState>, arrival: ArrivalId) -> Self {
        Self {
            key,
            arrival,
            status: 200,
            ended: false,
        }
    }

    /// The last byte is handed over, or the provider itself breaks off.
    pub(crate) fn finish(mut self) {
        self.end(Ending::Answered);
    }

    /// As [`Self::finish`], with another status than 200.
    pub(crate) fn finish_with(mut self, status: u16) {
        self.status = status;
        self.end(Ending::Answered);
    }

    /// A limit or a wrong key keeps it out.
    pub(crate) fn refuse(mut self, status: u16) {
        self.status = status;
        self.end(Ending::Refused);
    }

    fn end(&mut self, ending: Ending) {
        if !self.ended {
            self.ended = true;
            self.key.end(self.arrival, ending, self.status);
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.end(Ending::Aborted);
    }
}
