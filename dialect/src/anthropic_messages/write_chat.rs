//! The canonical form → a request for an upstream.

use crate::canon::{Chat, Losses};
use crate::{BadRequest, Target};

/// Writes a whole request.
///
/// # Errors
///
/// What this dialect has no words for, unless `losses` says to drop it; and what cannot be told at all, such as a tool
/// call whose arguments are no JSON.
pub(crate) fn write_chat(
    _chat: &Chat,
    _target: &Target<'_>,
    _losses: &Losses,
) -> Result<Vec<u8>, BadRequest> {
    Err(BadRequest::new("not written yet"))
}
