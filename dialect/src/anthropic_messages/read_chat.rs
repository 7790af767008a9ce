//! A client's request → the canonical form.

use crate::canon::Chat;
use crate::{BadRequest, Endpoint};

/// Reads a whole request.
///
/// # Errors
///
/// A field that is not as this dialect has it; the message names it.
pub(crate) fn read_chat(_endpoint: Endpoint, _body: &[u8]) -> Result<Chat, BadRequest> {
    Err(BadRequest::new("not read yet"))
}
