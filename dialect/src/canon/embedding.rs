//! Texts → vectors.

use crate::Usage;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct EmbeddingAsk {
    pub inputs: Vec<Input>,
    pub dimensions: Option<u32>,
    /// Whether the client wants base64 of little-endian `f32`s instead of numbers.
    pub is_base64: bool,
    /// Gemini's `taskType`: `RETRIEVAL_QUERY`.
    pub task: Option<String>,
    /// Of the document, for retrieval.
    pub title: Option<String>,
    pub user: Option<String>,
    /// As in [`super::Chat::others`].
    pub others: Vec<(String, serde_json::Value)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    Text(String),
    Tokens(Vec<u32>),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct EmbeddingReply {
    /// As the provider names it.
    pub model: Option<String>,
    /// In the order of the inputs.
    pub vectors: Vec<Vec<f32>>,
    pub usage: Option<Usage>,
}
