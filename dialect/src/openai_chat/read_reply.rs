//! An upstream's whole answer → the canonical form.

use crate::ReplyFault;
use crate::canon::Reply;

/// Reads the body of a 200.
///
/// # Errors
///
/// What is no answer: an error in spite of the status, a web page, half a document.
pub(crate) fn read_reply(_body: &[u8]) -> Result<Reply, ReplyFault> {
    Err(ReplyFault::NoAnswer)
}
