//! Stand-in until the real module arrives.

pub mod error;
pub mod reply;
pub mod request;
pub mod stream;
pub mod tokens;
pub mod usage;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    ChatCompletions,
    Completions,
    Embeddings,
}
