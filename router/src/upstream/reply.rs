//! A provider's response while its body comes in.

use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use dialect::Framing;
use http::{HeaderMap, StatusCode};
use shared::lease::Reported;
use thiserror::Error;
use tokio::time::Instant;

use super::{FailureClass, causes, headers, limits, retry_after};

/// A response whose headers have arrived; dropping it before its end closes the connection.
pub struct UpstreamReply {
    pub status: StatusCode,
    /// Those that may go to the client, under the names that it may see.
    pub headers: HeaderMap,
    /// When the provider said to come back.
    pub retry_after: Option<Duration>,
    /// What kind of error it is, where Amazon's header tells.
    pub error_kind: Option<String>,
    /// What it said of its own limits for the key.
    pub reported: Vec<Reported>,
    media_type: String,
    response: reqwest::Response,
    deadlines: Deadlines,
    has_begun: bool,
    /// When the last bytes came, or the headers.
    last_at: Instant,
}

/// Until when to wait for the body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadlines {
    pub(super) first_byte: Instant,
    /// Between two chunks.
    pub(super) idle: Duration,
    pub(super) total: Instant,
}

/// Why a body did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BodyError {
    #[error("no first byte in time")]
    FirstByteTimeout,
    #[error("nothing came for {0:?}")]
    IdleTimeout(Duration),
    #[error("the answer took too long as a whole")]
    TotalTimeout,
    #[error("the connection broke: {0}")]
    Reset(String),
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
}

impl BodyError {
    pub fn class(&self) -> FailureClass {
        match self {
            Self::FirstByteTimeout | Self::IdleTimeout(_) | Self::TotalTimeout => {
                FailureClass::TimedOut
            }
            Self::Reset(_) => FailureClass::BrokenOff,
            Self::TooLong(_) => FailureClass::BadAnswer,
        }
    }
}

impl UpstreamReply {
    pub(super) fn new(response: reqwest::Response, deadlines: Deadlines) -> Self {
        let mut reported = limits::reported(response.headers(), response.url().host_str());
        let status = response.status();
        let mut retry_after = retry_after::retry_after(response.headers());
        if status == StatusCode::TOO_MANY_REQUESTS {
            match retry_after {
                Some(wait) => limits::end_by(&mut reported, wait),
                None => retry_after = limits::exhausted_for(&reported),
            }
        }
        Self {
            status,
            headers: headers::for_client(response.headers()),
            retry_after,
            error_kind: headers::error_kind(response.headers()),
            reported,
            media_type: headers::media_type(response.headers()),
            response,
            deadlines,
            has_begun: false,
            last_at: Instant::now(),
        }
    }

    /// Whether the body is a stream that is cut like this. A provider may answer a request for one with a plain document,
    /// which then mostly is an error.
    pub fn is_stream_of(&self, framing: Framing) -> bool {
        match framing {
            Framing::Sse => self.media_type == "text/event-stream",
            Framing::EventStream => self.media_type == "application/vnd.amazon.eventstream",
            // Proxies before Ollama rename its type.
            Framing::Lines => !self.media_type.starts_with("text/html"),
            Framing::Array => self.media_type == "application/json",
        }
    }

    /// Whether the body is one of the kind that `media_type` begins with.
    pub fn is_of_type(&self, media_type: &str) -> bool {
        self.media_type.starts_with(media_type)
    }

    /// The next bytes of the body; `None` after its proper end.
    ///
    /// May be dropped and called again: no bytes are lost.
    pub async fn next_chunk(&mut self) -> Option<Result<Bytes, BodyError>> {
        let Deadlines {
            first_byte,
            idle,
            total,
        } = self.deadlines;
        let (deadline, error) = match self.has_begun {
            false => (first_byte, BodyError::FirstByteTimeout),
            true => (self.last_at + idle, BodyError::IdleTimeout(idle)),
        };
        let (deadline, error) = match deadline >= total {
            true => (total, BodyError::TotalTimeout),
            false => (deadline, error),
        };
        match tokio::time::timeout_at(deadline, self.response.chunk()).await {
            Err(_) => Some(Err(error)),
            Ok(Ok(chunk)) => {
                self.has_begun = true;
                self.last_at = Instant::now();
                chunk.map(Ok)
            }
            Ok(Err(error)) => Some(Err(BodyError::Reset(causes(&error.without_url())))),
        }
    }

    /// The whole body, of at most `len_max` bytes.
    ///
    /// # Errors
    ///
    /// A body that is longer, late, or cut.
    pub async fn read_all(mut self, len_max: usize) -> Result<Bytes, BodyError> {
        let mut first = Bytes::new();
        let mut rest = BytesMut::new();
        while let Some(chunk) = self.next_chunk().await {
            let chunk = chunk?;
            if first.len() + rest.len() + chunk.len() > len_max {
                return Err(BodyError::TooLong(len_max));
            }
            match first.is_empty() {
                true => first = chunk,
                false => rest.extend_from_slice(&chunk),
            }
        }
        // Most bodies arrive in one piece, which is not copied.
        if rest.is_empty() {
            return Ok(first);
        }
        let mut body = BytesMut::with_capacity(first.len() + rest.len());
        body.extend_from_slice(&first);
        body.extend_from_slice(&rest);
        Ok(body.freeze())
    }
}

impl fmt::Debug for UpstreamReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamReply")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}
