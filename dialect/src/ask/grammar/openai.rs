//! OpenAI's endpoints.

use super::{Grammar, NOTHING, Sign, StreamPlace};
use crate::ask::fields::FieldType;

const OPENAI_OPTIONAL: &[(&str, FieldType)] = &[
    ("stream", FieldType::Boolean),
    ("stream_options", FieldType::Object),
    ("stream_options.include_usage", FieldType::Boolean),
    ("max_tokens", FieldType::Integer),
    ("max_completion_tokens", FieldType::Integer),
    ("n", FieldType::PositiveInteger),
    ("best_of", FieldType::PositiveInteger),
];

pub(super) const CHAT_COMPLETIONS: Grammar = Grammar {
    holds_text: |name| name == b"messages",
    stream: StreamPlace::Body { default: false },
    has_stream_options: true,
    required: &[("messages", FieldType::Array)],
    optional: OPENAI_OPTIONAL,
    output_limits: &["max_completion_tokens", "max_tokens"],
    counts: &["n"],
    schemas: &["tools", "functions", "response_format"],
    tools: &["tools", "functions"],
    answer_schemas: &[("response_format.type", Sign::Text("json_schema"))],
    routing: &[
        "model",
        "stream",
        "stream_options",
        "stream_options.include_usage",
        "max_tokens",
        "max_completion_tokens",
        "n",
        "best_of",
        "messages",
        "tools",
        "functions",
        "response_format",
        "response_format.type",
    ],
    ..NOTHING
};

pub(super) const COMPLETIONS: Grammar = Grammar {
    holds_text: |name| name == b"prompt",
    required: &[("prompt", FieldType::StringOrArray)],
    counts: &["n", "best_of"],
    schemas: &[],
    tools: &[],
    answer_schemas: &[],
    routing: &[
        "model",
        "stream",
        "stream_options",
        "stream_options.include_usage",
        "max_tokens",
        "max_completion_tokens",
        "n",
        "best_of",
        "prompt",
    ],
    ..CHAT_COMPLETIONS
};

pub(super) const EMBEDDINGS: Grammar = Grammar {
    holds_text: |name| name == b"input",
    required: &[("input", FieldType::StringOrArray)],
    routing: &["model", "input"],
    ..NOTHING
};

pub(super) const RESPONSES: Grammar = Grammar {
    holds_text: |name| matches!(name, b"input" | b"instructions"),
    stream: StreamPlace::Body { default: false },
    required: &[("input", FieldType::StringOrArray)],
    required_unless: &["prompt", "previous_response_id", "conversation"],
    optional: &[
        ("stream", FieldType::Boolean),
        ("instructions", FieldType::StringOrArray),
        ("max_output_tokens", FieldType::Integer),
    ],
    output_limits: &["max_output_tokens"],
    schemas: &["tools", "text"],
    tools: &["tools"],
    answer_schemas: &[("text.format.type", Sign::Text("json_schema"))],
    routing: &[
        "model",
        "stream",
        "input",
        "instructions",
        "prompt",
        "previous_response_id",
        "conversation",
        "max_output_tokens",
        "tools",
        "text",
        "text.format",
        "text.format.type",
    ],
    ..NOTHING
};

pub(super) const COUNT_RESPONSE_TOKENS: Grammar = Grammar {
    stream: StreamPlace::Never,
    required: &[],
    required_unless: &[],
    optional: &[
        ("input", FieldType::StringOrArray),
        ("instructions", FieldType::StringOrArray),
    ],
    output_limits: &[],
    ..RESPONSES
};

/// `prompt` or `input` is read by a model; the answers are counted as requests.
pub(super) const MEDIA: Grammar = Grammar {
    holds_text: |name| matches!(name, b"prompt" | b"input"),
    stream: StreamPlace::Body { default: false },
    optional: &[("stream", FieldType::Boolean)],
    routing: &["model", "stream", "prompt", "input"],
    ..NOTHING
};

pub(super) const MODERATIONS: Grammar = Grammar {
    stream: StreamPlace::Never,
    required: &[("input", FieldType::StringOrArray)],
    optional: &[],
    ..MEDIA
};
