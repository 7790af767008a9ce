//! Where each endpoint's requests have what routing reads.

use super::fields::FieldType;
use crate::Endpoint;

/// One endpoint's fields; paths are dotted.
#[derive(Debug)]
pub(super) struct Grammar {
    /// Whether a language model reads the strings in the field of this name.
    pub(super) holds_text: fn(&[u8]) -> bool,
    /// Whether `model` is a field of the body, and not only a part of the path.
    pub(super) has_model: bool,
    pub(super) stream: StreamPlace,
    /// Whether a stream's usage has to be asked for.
    pub(super) has_stream_options: bool,
    pub(super) required: &'static [(&'static str, FieldType)],
    pub(super) optional: &'static [(&'static str, FieldType)],
    /// Limits of the output, the first that is set counting.
    pub(super) output_limits: &'static [&'static str],
    /// How many answers, the largest counting.
    pub(super) counts: &'static [&'static str],
    /// Fields whose JSON is part of the prompt.
    pub(super) schemas: &'static [&'static str],
    /// Fields that may come only once.
    pub(super) routing: &'static [&'static str],
}

#[derive(Debug, Clone, Copy)]
pub(super) enum StreamPlace {
    Body { default: bool },
    Path,
    Never,
}

const NOTHING: Grammar = Grammar {
    holds_text: |_| false,
    has_model: true,
    stream: StreamPlace::Never,
    has_stream_options: false,
    required: &[],
    optional: &[],
    output_limits: &[],
    counts: &[],
    schemas: &[],
    routing: &["model"],
};

const OPENAI_STREAM: StreamPlace = StreamPlace::Body { default: false };

const OPENAI_OPTIONAL: &[(&str, FieldType)] = &[
    ("stream", FieldType::Boolean),
    ("stream_options", FieldType::Object),
    ("stream_options.include_usage", FieldType::Boolean),
    ("max_tokens", FieldType::Integer),
    ("max_completion_tokens", FieldType::Integer),
    ("n", FieldType::PositiveInteger),
    ("best_of", FieldType::PositiveInteger),
];

const CHAT_COMPLETIONS: Grammar = Grammar {
    holds_text: |name| name == b"messages",
    stream: OPENAI_STREAM,
    has_stream_options: true,
    required: &[("messages", FieldType::Array)],
    optional: OPENAI_OPTIONAL,
    output_limits: &["max_completion_tokens", "max_tokens"],
    counts: &["n"],
    schemas: &["tools", "functions", "response_format"],
    routing: &[
        "model",
        "stream",
        "stream_options",
        "max_tokens",
        "max_completion_tokens",
        "n",
        "best_of",
        "messages",
        "tools",
        "functions",
        "response_format",
    ],
    ..NOTHING
};

const COMPLETIONS: Grammar = Grammar {
    holds_text: |name| name == b"prompt",
    required: &[("prompt", FieldType::StringOrArray)],
    counts: &["n", "best_of"],
    schemas: &[],
    routing: &[
        "model",
        "stream",
        "stream_options",
        "max_tokens",
        "max_completion_tokens",
        "n",
        "best_of",
        "prompt",
    ],
    ..CHAT_COMPLETIONS
};

const EMBEDDINGS: Grammar = Grammar {
    holds_text: |name| name == b"input",
    required: &[("input", FieldType::StringOrArray)],
    routing: &["model", "input"],
    ..NOTHING
};

const RESPONSES: Grammar = Grammar {
    holds_text: |name| matches!(name, b"input" | b"instructions"),
    stream: OPENAI_STREAM,
    required: &[("input", FieldType::StringOrArray)],
    optional: &[
        ("stream", FieldType::Boolean),
        ("instructions", FieldType::StringOrArray),
        ("max_output_tokens", FieldType::Integer),
    ],
    output_limits: &["max_output_tokens"],
    schemas: &["tools", "text"],
    routing: &[
        "model",
        "stream",
        "input",
        "instructions",
        "max_output_tokens",
        "tools",
        "text",
    ],
    ..NOTHING
};

/// `prompt` or `input` is read by a model; the answers are counted as requests.
const MEDIA: Grammar = Grammar {
    holds_text: |name| matches!(name, b"prompt" | b"input"),
    stream: OPENAI_STREAM,
    counts: &[],
    routing: &["model", "stream", "prompt", "input"],
    ..NOTHING
};

const MODERATIONS: Grammar = Grammar {
    stream: StreamPlace::Never,
    required: &[],
    ..MEDIA
};

const MESSAGES: Grammar = Grammar {
    holds_text: |name| matches!(name, b"messages" | b"system"),
    stream: OPENAI_STREAM,
    required: &[
        ("messages", FieldType::Array),
        ("max_tokens", FieldType::PositiveInteger),
    ],
    optional: &[
        ("stream", FieldType::Boolean),
        ("system", FieldType::StringOrArray),
    ],
    output_limits: &["max_tokens"],
    schemas: &["tools", "output_config"],
    routing: &[
        "model",
        "stream",
        "messages",
        "system",
        "max_tokens",
        "tools",
        "output_config",
    ],
    ..NOTHING
};

const COUNT_MESSAGE_TOKENS: Grammar = Grammar {
    stream: StreamPlace::Never,
    required: &[("messages", FieldType::Array)],
    output_limits: &[],
    ..MESSAGES
};

const GENERATE_CONTENT: Grammar = Grammar {
    holds_text: |name| {
        matches!(
            name,
            b"contents" | b"systemInstruction" | b"system_instruction"
        )
    },
    has_model: false,
    stream: StreamPlace::Path,
    required: &[("contents", FieldType::Array)],
    optional: &[("generationConfig", FieldType::Object)],
    output_limits: &[
        "generationConfig.maxOutputTokens",
        "generation_config.max_output_tokens",
    ],
    counts: &[
        "generationConfig.candidateCount",
        "generation_config.candidate_count",
    ],
    schemas: &["tools"],
    routing: &["contents", "systemInstruction", "generationConfig", "tools"],
    ..NOTHING
};

const COUNT_CONTENT_TOKENS: Grammar = Grammar {
    holds_text: |name| matches!(name, b"contents" | b"generateContentRequest"),
    stream: StreamPlace::Never,
    required: &[],
    optional: &[],
    output_limits: &[],
    counts: &[],
    ..GENERATE_CONTENT
};

const EMBED_CONTENT: Grammar = Grammar {
    holds_text: |name| matches!(name, b"content" | b"requests"),
    has_model: false,
    routing: &["content", "requests"],
    ..NOTHING
};

const OLLAMA_CHAT: Grammar = Grammar {
    holds_text: |name| name == b"messages",
    stream: StreamPlace::Body { default: true },
    required: &[],
    optional: &[
        ("stream", FieldType::Boolean),
        ("messages", FieldType::Array),
        ("options", FieldType::Object),
    ],
    output_limits: &["options.num_predict"],
    schemas: &["tools", "format"],
    routing: &["model", "stream", "messages", "options", "tools", "format"],
    ..NOTHING
};

const OLLAMA_GENERATE: Grammar = Grammar {
    holds_text: |name| matches!(name, b"prompt" | b"system" | b"images" | b"suffix"),
    optional: &[
        ("stream", FieldType::Boolean),
        ("prompt", FieldType::String),
        ("options", FieldType::Object),
    ],
    schemas: &["format"],
    routing: &["model", "stream", "prompt", "system", "options", "format"],
    ..OLLAMA_CHAT
};

const OLLAMA_EMBED: Grammar = Grammar {
    holds_text: |name| matches!(name, b"input" | b"prompt"),
    routing: &["model", "input", "prompt"],
    ..NOTHING
};

impl Grammar {
    pub(super) fn of(endpoint: Endpoint) -> &'static Self {
        match endpoint {
            Endpoint::ChatCompletions => &CHAT_COMPLETIONS,
            Endpoint::Completions => &COMPLETIONS,
            Endpoint::Embeddings => &EMBEDDINGS,
            Endpoint::Responses => &RESPONSES,
            Endpoint::Moderations => &MODERATIONS,
            Endpoint::ImageGenerations
            | Endpoint::ImageEdits
            | Endpoint::ImageVariations
            | Endpoint::Speech
            | Endpoint::Transcriptions
            | Endpoint::Translations => &MEDIA,
            Endpoint::Messages => &MESSAGES,
            Endpoint::CountMessageTokens => &COUNT_MESSAGE_TOKENS,
            Endpoint::GenerateContent => &GENERATE_CONTENT,
            Endpoint::CountContentTokens => &COUNT_CONTENT_TOKENS,
            Endpoint::EmbedContent | Endpoint::BatchEmbedContents => &EMBED_CONTENT,
            Endpoint::OllamaChat => &OLLAMA_CHAT,
            Endpoint::OllamaGenerate => &OLLAMA_GENERATE,
            Endpoint::OllamaEmbed | Endpoint::OllamaEmbeddings => &OLLAMA_EMBED,
            // No client speaks it.
            Endpoint::Converse => &NOTHING,
        }
    }
}
