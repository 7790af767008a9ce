//! `POST /v1/chat/completions`.

mod messages;
mod reply;
mod request;
mod stream;
mod tools;

pub(super) use self::messages::{check_base64, check_url};
pub(super) use self::reply::{body, write_error};
pub(super) use self::request::{ChatForm, read, read_stop, read_stream_options};
pub(super) use self::stream::Writer;
pub(super) use self::tools::{checked_parameters, read_named};

pub(super) const FINGERPRINT: &str = "fp_simulated";

/// Choices that one request may ask for, as at OpenAI.
pub(super) const CHOICES_MAX: i64 = 128;

/// The ids of calls: the request's number and the call's.
pub(super) fn call_id(id: u64, call: usize) -> String {
    format!("call_{id:022x}{call:02}")
}
