//! What an answer can be broken with.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;

use super::RetryAfterHeaders;

/// A failure instead of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Refusal(Refusal),
    /// Status 502 with the page of a proxy.
    Html,
    Reset,
}

/// An answer that was set by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// Of the error's body.
    pub(crate) code: Option<Arc<str>>,
    /// Instead of the error's body.
    pub(crate) body: Option<Arc<str>>,
    pub(crate) retry_after: Option<Duration>,
    /// `None` is what the API of the request does.
    pub(crate) retry_after_headers: Option<RetryAfterHeaders>,
}

/// After how many content chunks a stream breaks, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Breaks {
    pub(crate) cut_after: Option<u32>,
    pub(crate) reset_after: Option<u32>,
    pub(crate) end_after: Option<u32>,
    pub(crate) error_after: Option<u32>,
    pub(crate) stall_after: Option<u32>,
}

/// Where an answer breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Break {
    /// Content chunks before it.
    pub(crate) after: u32,
    pub(crate) kind: BreakKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BreakKind {
    /// The connection ends without the end of the body.
    Cut,
    /// The connection is reset: the same, by RST.
    Reset,
    /// The body ends in good order, but neither a reason to finish nor an end was said.
    End,
    /// The dialect's error, then the end of the body in good order.
    Error,
    /// Nothing more is sent.
    Stall,
}

/// A line between two content chunks that no client can read; the stream goes on after it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Garbage {
    /// Content chunks before it.
    pub(crate) after: u32,
    /// The whole line, `data:` included where wanted.
    pub(crate) line: Arc<str>,
    /// The line is filled up with `x` to this length.
    #[serde(default)]
    pub(crate) bytes: usize,
}

impl Breaks {
    pub(super) fn or(self, others: Self) -> Self {
        Self {
            cut_after: self.cut_after.or(others.cut_after),
            reset_after: self.reset_after.or(others.reset_after),
            end_after: self.end_after.or(others.end_after),
            error_after: self.error_after.or(others.error_after),
            stall_after: self.stall_after.or(others.stall_after),
        }
    }

    pub(super) fn earliest(&self, tokens: u32) -> Option<Break> {
        let kinds = [
            (self.cut_after, BreakKind::Cut),
            (self.reset_after, BreakKind::Reset),
            (self.end_after, BreakKind::End),
            (self.error_after, BreakKind::Error),
            (self.stall_after, BreakKind::Stall),
        ];
        kinds
            .into_iter()
            .filter_map(|(after, kind)| after.map(|after| Break { after, kind }))
            .filter(|place| place.after <= tokens)
            .min_by_key(|place| place.after)
    }
}

impl BreakKind {
    /// Whether an answer in one piece can break so: one with a length cannot end early in good order.
    pub(crate) fn is_for_whole_bodies(self) -> bool {
        match self {
            Self::Cut | Self::Reset | Self::Stall => true,
            Self::End | Self::Error => false,
        }
    }
}

impl Garbage {
    /// `frame_end` is what the stream ends its frames with.
    pub(crate) fn write(&self, out: &mut Vec<u8>, frame_end: &[u8]) {
        let length = self.bytes.max(self.line.len());
        let end = out.len() + length;
        out.extend_from_slice(self.line.as_bytes());
        out.resize(end, b'x');
        out.extend_from_slice(frame_end);
    }
}
