//! A request's body, once it is read.

use bytes::Bytes;

use crate::upstream::Form;

/// What a client sent: a JSON object, or a form and its plain fields as an object.
#[derive(Debug)]
pub(crate) struct Payload {
    pub(crate) json: Bytes,
    pub(crate) form: Option<Form>,
    /// Of all that came.
    pub(crate) len: usize,
}
