//! Stand-in.
use super::{Endpoint, tokens::TokenCounter};
use bytes::Bytes;
use serde_json::{Map, Value};
#[derive(Debug)]
pub struct BadRequest {
    pub message: String,
    pub param: Option<String>,
    pub code: Option<&'static str>,
}
#[derive(Debug)]
pub struct Ask {
    endpoint: Endpoint,
    body: Bytes,
    value: Value,
}
impl Ask {
    pub fn parse(endpoint: Endpoint, body: Bytes) -> Result<Self, BadRequest> {
        let value = serde_json::from_slice(&body).map_err(|error| BadRequest {
            message: error.to_string(),
            param: None,
            code: None,
        })?;
        Ok(Self {
            endpoint,
            body,
            value,
        })
    }
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint
    }
    pub fn model(&self) -> &str {
        self.value["model"].as_str().unwrap_or_default()
    }
    pub fn check(&self) -> Result<(), BadRequest> {
        Ok(())
    }
    pub fn is_stream(&self) -> bool {
        self.value["stream"] == true
    }
    pub fn wants_usage(&self) -> bool {
        false
    }
    pub fn estimate(&self, _counter: &TokenCounter) -> u32 {
        100
    }
    pub fn prompt_tokens(&self, _counter: &TokenCounter) -> u32 {
        10
    }
    pub fn for_upstream(&self, _model: &str, _overrides: &Map<String, Value>) -> Bytes {
        self.body.clone()
    }
}
