//! Stand-in until the real module arrives.
use crate::dialect::Endpoint;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use shared::config::Timeouts;
use shared::lease::Outcome;
use shared::secret::Secret;
use std::time::Duration;

#[derive(Debug)]
pub struct UpstreamClient {
    client: reqwest::Client,
}
#[derive(Debug)]
pub struct Attempt<'a> {
    pub base_url: &'a str,
    pub headers: &'a [(String, Secret<String>)],
    pub secret: &'a Secret<String>,
    pub endpoint: Endpoint,
    pub body: Bytes,
    pub is_stream: bool,
}
#[derive(Debug)]
pub struct UpstreamReply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub retry_after: Option<Duration>,
    response: reqwest::Response,
}
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SendError(reqwest::Error);
impl SendError {
    pub fn is_unsent(&self) -> bool {
        self.0.is_connect()
    }
}
#[derive(Debug)]
pub struct Disposition {
    pub outcome: Outcome,
    pub retryable: bool,
}
pub fn classify(status: StatusCode, _body: &[u8]) -> Disposition {
    let retryable = status.is_server_error() || matches!(status.as_u16(), 401 | 403 | 408 | 429);
    Disposition {
        outcome: if retryable {
            Outcome::Failed
        } else {
            Outcome::BadRequest
        },
        retryable,
    }
}
impl UpstreamClient {
    pub fn new(_timeouts: &Timeouts) -> Result<Self, reqwest::Error> {
        Ok(Self {
            client: reqwest::Client::new(),
        })
    }
    pub async fn send(&self, attempt: Attempt<'_>) -> Result<UpstreamReply, SendError> {
        let response = self
            .client
            .post(attempt.base_url)
            .body(attempt.body)
            .send()
            .await
            .map_err(SendError)?;
        Ok(UpstreamReply {
            status: response.status(),
            headers: response.headers().clone(),
            retry_after: None,
            response,
        })
    }
}
impl UpstreamReply {
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>, SendError> {
        self.response.chunk().await.map_err(SendError)
    }
    pub async fn read_all(mut self, _cap: usize) -> Result<Bytes, SendError> {
        let mut all = Vec::new();
        while let Some(chunk) = self.next_chunk().await? {
            all.extend_from_slice(&chunk);
        }
        Ok(all.into())
    }
}
