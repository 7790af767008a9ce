//! Gemini's endpoints.

use super::{Grammar, NOTHING, Sign, StreamPlace};
use crate::ask::fields::FieldType;

pub(super) const GENERATE_CONTENT: Grammar = Grammar {
    holds_text: |name| {
        matches!(
            name,
            b"contents" | b"systemInstruction" | b"system_instruction"
        )
    },
    has_model: false,
    resource_models: &["model"],
    takes_snake_case: true,
    stream: StreamPlace::Path,
    required: &[("contents", FieldType::Array)],
    optional: &[
        ("systemInstruction", FieldType::Object),
        ("generationConfig", FieldType::Object),
        ("generationConfig.maxOutputTokens", FieldType::Integer),
        (
            "generationConfig.candidateCount",
            FieldType::PositiveInteger,
        ),
    ],
    output_limits: &["generationConfig.maxOutputTokens"],
    counts: &["generationConfig.candidateCount"],
    schemas: &[
        "tools",
        "generationConfig.responseSchema",
        "generationConfig.responseJsonSchema",
    ],
    tools: &["tools[].functionDeclarations"],
    answer_schemas: &[
        ("generationConfig.responseSchema", Sign::Object),
        ("generationConfig.responseJsonSchema", Sign::Object),
    ],
    routing: &[
        "model",
        "contents",
        "systemInstruction",
        "generationConfig",
        "generationConfig.maxOutputTokens",
        "generationConfig.candidateCount",
        "generationConfig.responseSchema",
        "generationConfig.responseJsonSchema",
        "tools",
    ],
    ..NOTHING
};

pub(super) const COUNT_CONTENT_TOKENS: Grammar = Grammar {
    holds_text: |name| {
        matches!(
            name,
            b"contents" | b"generateContentRequest" | b"generate_content_request"
        )
    },
    resource_models: &["generateContentRequest.model"],
    stream: StreamPlace::Never,
    required: &[],
    optional: &[
        ("contents", FieldType::Array),
        ("generateContentRequest", FieldType::Object),
    ],
    output_limits: &[],
    counts: &[],
    schemas: &[],
    tools: &["generateContentRequest.tools[].functionDeclarations"],
    answer_schemas: &[],
    routing: &[
        "contents",
        "generateContentRequest",
        "generateContentRequest.model",
        "generateContentRequest.tools",
    ],
    ..GENERATE_CONTENT
};

pub(super) const EMBED_CONTENT: Grammar = Grammar {
    holds_text: |name| name == b"content",
    has_model: false,
    resource_models: &["model"],
    takes_snake_case: true,
    required: &[("content", FieldType::Object)],
    routing: &["model", "content"],
    ..NOTHING
};

pub(super) const BATCH_EMBED_CONTENTS: Grammar = Grammar {
    holds_text: |name| name == b"requests",
    resource_models: &["requests[].model"],
    required: &[("requests", FieldType::Array)],
    routing: &["requests"],
    ..EMBED_CONTENT
};
