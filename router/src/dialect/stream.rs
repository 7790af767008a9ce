//! Stand-in.
use super::{Endpoint, tokens::TokenCounter, usage::Usage};
use bytes::Bytes;
#[derive(Debug)]
pub struct StreamFault;
impl std::fmt::Display for StreamFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("fault")
    }
}
#[derive(Debug)]
pub struct StreamRelay {
    seen: usize,
}
impl StreamRelay {
    pub fn new(_endpoint: Endpoint, _keep_usage_chunk: bool) -> Self {
        Self { seen: 0 }
    }
    pub fn feed(&mut self, bytes: Bytes) -> Result<Bytes, StreamFault> {
        self.seen += bytes.len();
        Ok(bytes)
    }
    pub fn has_content(&self) -> bool {
        self.seen > 0
    }
    pub fn is_finished(&self) -> bool {
        true
    }
    pub fn usage(&self) -> Option<Usage> {
        None
    }
    pub fn completion_tokens_estimate(&self, _counter: &TokenCounter) -> u32 {
        0
    }
}
pub fn cut_stream_event(message: &str) -> Bytes {
    format!("data: {message}\n\n").into()
}
