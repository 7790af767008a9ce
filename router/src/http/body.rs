//! Reads a request's body: not more than is allowed, and not longer than it should take.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout_at};

use crate::pipeline::payload::Payload;
use crate::pipeline::problem::Problem;

/// How long a body may take, whatever its length.
const BODY_TIME: Duration = Duration::from_secs(30);

/// And the least that has to come per second beyond that.
const BYTES_PER_SECOND_MIN: usize = 16 * 1024;

/// How fast a body has to come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    started: Instant,
}

impl Pace {
    pub(crate) fn begin() -> Self {
        Self {
            started: Instant::now(),
        }
    }

    /// Until when more has to come after the first `n_read` bytes.
    pub(crate) fn deadline(self, n_read: usize) -> Instant {
        let seconds = u64::try_from(n_read / BYTES_PER_SECOND_MIN).unwrap_or(u64::MAX);
        self.started + BODY_TIME + Duration::from_secs(seconds)
    }
}

/// Reads a JSON request, as [`read_body`] does.
pub(crate) async fn read_json(
    declared: Option<usize>,
    body: Body,
    limit: usize,
) -> Result<Payload, Problem> {
    let json = read_body(declared, body, limit).await?;
    Ok(Payload {
        len: json.len(),
        json,
        form: None,
    })
}

/// Reads `body` to its end, refusing it early where `content-length` already says that it is too large.
async fn read_body(
    declared: Option<usize>,
    mut body: Body,
    limit: usize,
) -> Result<Bytes, Problem> {
    let too_large = || Problem::BodyTooLarge { limit };
    if declared.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let pace = Pace::begin();
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    loop {
        let n_read = first.len() + rest.len();
        let frame = match timeout_at(pace.deadline(n_read), body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => {
                return Err(Problem::bad_request("The request's body broke off.", None));
            }
            Ok(None) => break,
            Err(_) => return Err(Problem::BodyTimeout),
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if n_read + data.len() > limit {
            return Err(too_large());
        }
        // Nearly all bodies come in one piece, which is not copied.
        if n_read == 0 {
            first = data;
            continue;
        }
        if rest.is_empty() {
            rest.reserve(declared.unwrap_or(n_read + data.len()));
            rest.extend_from_slice(&std::mem::take(&mut first));
        }
        rest.extend_from_slice(&data);
    }
    Ok(if rest.is_empty() {
        first
    } else {
        rest.freeze()
    })
}

/// What `content-length` says.
pub(crate) fn declared_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    async fn read(pieces: &[&'static str], limit: usize) -> Result<Bytes, Problem> {
        let pieces: Vec<_> = pieces
            .iter()
            .map(|piece| Ok::<_, std::io::Error>(Bytes::from_static(piece.as_bytes())))
            .collect();
        read_body(None, Body::from_stream(stream::iter(pieces)), limit).await
    }

    #[tokio::test]
    async fn a_body_in_pieces_is_put_together() {
        assert_eq!(read(&["a", "bc", "", "d"], 4).await.unwrap(), "abcd");
        assert_eq!(read(&[], 4).await.unwrap(), "");
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused_while_it_comes() {
        let read = read(&["abc", "de"], 4).await;

        assert!(matches!(read, Err(Problem::BodyTooLarge { limit: 4 })));
    }

    #[tokio::test]
    async fn a_declared_length_over_the_limit_is_refused_unread() {
        let never = Body::from_stream(stream::pending::<std::io::Result<Bytes>>());

        let read = read_body(Some(5), never, 4).await;

        assert!(matches!(read, Err(Problem::BodyTooLarge { limit: 4 })));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_is_given_up() {
        let never = Body::from_stream(stream::pending::<std::io::Result<Bytes>>());

        let read = read_body(None, never, 4).await;

        assert!(matches!(read, Err(Problem::BodyTimeout)));
    }
}
