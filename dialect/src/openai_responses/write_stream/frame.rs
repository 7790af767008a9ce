//! One event of the stream.

use serde::Serialize;
use serde_json::Value;

use crate::ErrorBody;
use crate::openai_responses::item::{Content, Item, Summary};
use crate::openai_responses::output::Response;

/// What any event may have; each has a few of these.
#[derive(Debug, Serialize)]
pub(super) struct Frame<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    /// Set when it is written.
    pub(super) sequence_number: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response: Option<&'a Response<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) item_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) output_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) summary_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) item: Option<&'a Item>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) part: Option<Part<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delta: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) arguments: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logprobs: Option<&'a [Value]>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Part<'a> {
    Content(&'a Content),
    Summary(&'a Summary),
}

/// All of it is always there.
#[derive(Debug, Serialize)]
struct ErrorFrame<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    code: &'a str,
    message: &'a str,
    param: Option<&'a str>,
    sequence_number: u64,
}

/// Writes events, and counts them.
#[derive(Debug, Default)]
pub(super) struct Frames {
    n_written: u64,
}

impl Frame<'_> {
    pub(super) fn of(kind: &'static str) -> Self {
        Self {
            kind,
            sequence_number: 0,
            response: None,
            item_id: None,
            output_index: None,
            content_index: None,
            summary_index: None,
            item: None,
            part: None,
            delta: None,
            text: None,
            refusal: None,
            name: None,
            arguments: None,
            logprobs: None,
        }
    }
}

impl Frames {
    pub(super) fn write(&mut self, frame: Frame<'_>, out: &mut Vec<u8>) {
        let frame = Frame {
            sequence_number: self.n_written,
            ..frame
        };
        self.put(frame.kind, &frame, out);
    }

    pub(super) fn write_error(&mut self, error: &ErrorBody<'_>, out: &mut Vec<u8>) {
        let kind = "error";
        let frame = ErrorFrame {
            kind,
            // There is no field for the error's type.
            code: error.code.unwrap_or(error.kind.as_str()),
            message: error.message,
            param: error.param,
            sequence_number: self.n_written,
        };
        self.put(kind, &frame, out);
    }

    fn put(&mut self, kind: &str, frame: &impl Serialize, out: &mut Vec<u8>) {
        self.n_written += 1;
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\ndata: ");
        // Nothing in it can fail to be written into memory.
        let _written = serde_json::to_writer(&mut *out, frame);
        out.extend_from_slice(b"\n\n");
    }
}
