//! The canonical form → a whole answer for a client.

use crate::canon::{AnswerFacts, Reply};

pub(crate) fn write_reply(_reply: Reply, _facts: &AnswerFacts) -> Vec<u8> {
    Vec::new()
}
