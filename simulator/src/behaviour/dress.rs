//! How the bytes of a right answer are written: all of it is allowed, and little of it is usual.

use std::num::NonZeroUsize;

use serde::Deserialize;

/// The form of a stream's bytes, and the encoding of all bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dress {
    /// Instead of the dialect's own.
    pub(crate) line_end: Option<LineEnd>,
    /// Begins with a byte order mark.
    pub(crate) bom: bool,
    /// Whether a space follows `data:`.
    pub(crate) space: bool,
    /// Bytes per write; without, whole events.
    pub(crate) piece: Option<NonZeroUsize>,
    /// Sent whatever the request accepts.
    pub(crate) encoding: Option<Encoding>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LineEnd {
    Lf,
    CrLf,
    Cr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Encoding {
    Gzip,
    Br,
}

impl Default for Dress {
    fn default() -> Self {
        Self {
            line_end: None,
            bom: false,
            space: true,
            piece: None,
            encoding: None,
        }
    }
}

impl Dress {
    /// Whether events go out as they are made.
    pub(crate) fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

impl LineEnd {
    pub(crate) fn bytes(self) -> &'static [u8] {
        match self {
            Self::Lf => b"\n",
            Self::CrLf => b"\r\n",
            Self::Cr => b"\r",
        }
    }
}

impl Encoding {
    /// As `content-encoding` names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Br => "br",
        }
    }
}
