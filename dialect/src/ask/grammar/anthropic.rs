//! Anthropic's endpoints.

use super::{Grammar, NOTHING, Sign, StreamPlace};
use crate::ask::fields::FieldType;

pub(super) const MESSAGES: Grammar = Grammar {
    holds_text: |name| matches!(name, b"messages" | b"system"),
    stream: StreamPlace::Body { default: false },
    required: &[
        ("messages", FieldType::Array),
        ("max_tokens", FieldType::PositiveInteger),
    ],
    optional: &[
        ("stream", FieldType::Boolean),
        ("system", FieldType::StringOrArray),
    ],
    output_limits: &["max_tokens"],
    schemas: &["tools", "output_config", "output_format"],
    tools: &["tools"],
    answer_schemas: &[
        ("output_config.format", Sign::Object),
        // Its name in the beta.
        ("output_format", Sign::Object),
    ],
    routing: &[
        "model",
        "stream",
        "messages",
        "system",
        "max_tokens",
        "tools",
        "output_config",
        "output_config.format",
        "output_format",
    ],
    ..NOTHING
};

pub(super) const COUNT_MESSAGE_TOKENS: Grammar = Grammar {
    stream: StreamPlace::Never,
    required: &[("messages", FieldType::Array)],
    optional: &[("system", FieldType::StringOrArray)],
    output_limits: &[],
    ..MESSAGES
};
