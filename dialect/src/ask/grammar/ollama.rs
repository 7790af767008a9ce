//! Ollama's endpoints.

use super::{Grammar, NOTHING, Sign, StreamPlace};
use crate::ask::fields::FieldType;

pub(super) const OLLAMA_CHAT: Grammar = Grammar {
    holds_text: |name| name == b"messages",
    stream: StreamPlace::Body { default: true },
    optional: &[
        ("stream", FieldType::Boolean),
        // Without any, a model is loaded or unloaded.
        ("messages", FieldType::Array),
        ("options", FieldType::Object),
        ("options.num_predict", FieldType::Integer),
    ],
    output_limits: &["options.num_predict"],
    schemas: &["tools", "format"],
    tools: &["tools"],
    answer_schemas: &[("format", Sign::Object)],
    routing: &[
        "model",
        "stream",
        "messages",
        "options",
        "options.num_predict",
        "tools",
        "format",
    ],
    ..NOTHING
};

pub(super) const OLLAMA_GENERATE: Grammar = Grammar {
    holds_text: |name| {
        matches!(
            name,
            b"prompt" | b"system" | b"images" | b"suffix" | b"context"
        )
    },
    optional: &[
        ("stream", FieldType::Boolean),
        ("prompt", FieldType::String),
        ("system", FieldType::String),
        ("images", FieldType::Array),
        ("options", FieldType::Object),
        ("options.num_predict", FieldType::Integer),
    ],
    schemas: &["format"],
    tools: &[],
    routing: &[
        "model",
        "stream",
        "prompt",
        "system",
        "images",
        "suffix",
        "context",
        "options",
        "options.num_predict",
        "format",
    ],
    ..OLLAMA_CHAT
};

pub(super) const OLLAMA_EMBED: Grammar = Grammar {
    holds_text: |name| name == b"input",
    optional: &[("input", FieldType::StringOrArray)],
    routing: &["model", "input"],
    ..NOTHING
};

pub(super) const OLLAMA_EMBEDDINGS: Grammar = Grammar {
    holds_text: |name| name == b"prompt",
    optional: &[("prompt", FieldType::String)],
    routing: &["model", "prompt"],
    ..NOTHING
};
