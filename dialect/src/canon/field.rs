//! The fields that dialects share, by what each calls them.

use shared::config::Dialect;

/// A setting of a request that several dialects have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    Tools,
    ToolChoice,
    ParallelToolCalls,
    Format,
    MaxTokens,
    Temperature,
    TopP,
    TopK,
    MinP,
    FrequencyPenalty,
    PresencePenalty,
    Seed,
    Stop,
    N,
    Logprobs,
    TopLogprobs,
    LogitBias,
    Reasoning,
    User,
    Verbosity,
    Dimensions,
}

/// A field's path in OpenAI chat, Responses, Anthropic, Gemini, Ollama and Bedrock; empty where it has none.
type Names = [&'static str; 6];

const NAMES: [(Field, Names); 21] = [
    (
        Field::Tools,
        [
            "tools",
            "tools",
            "tools",
            "tools",
            "tools",
            "toolConfig.tools",
        ],
    ),
    (
        Field::ToolChoice,
        [
            "tool_choice",
            "tool_choice",
            "tool_choice",
            "toolConfig.functionCallingConfig",
            "",
            "toolConfig.toolChoice",
        ],
    ),
    (
        Field::ParallelToolCalls,
        [
            "parallel_tool_calls",
            "parallel_tool_calls",
            "tool_choice.disable_parallel_tool_use",
            "",
            "",
            "",
        ],
    ),
    (
        Field::Format,
        [
            "response_format",
            "text.format",
            "output_config.format",
            "generationConfig.responseJsonSchema",
            "format",
            "outputConfig.textFormat",
        ],
    ),
    (
        Field::MaxTokens,
        [
            "max_completion_tokens",
            "max_output_tokens",
            "max_tokens",
            "generationConfig.maxOutputTokens",
            "options.num_predict",
            "inferenceConfig.maxTokens",
        ],
    ),
    (
        Field::Temperature,
        [
            "temperature",
            "temperature",
            "temperature",
            "generationConfig.temperature",
            "options.temperature",
            "inferenceConfig.temperature",
        ],
    ),
    (
        Field::TopP,
        [
            "top_p",
            "top_p",
            "top_p",
            "generationConfig.topP",
            "options.top_p",
            "inferenceConfig.topP",
        ],
    ),
    (
        Field::TopK,
        [
            "top_k",
            "",
            "top_k",
            "generationConfig.topK",
            "options.top_k",
            "",
        ],
    ),
    (Field::MinP, ["min_p", "", "", "", "options.min_p", ""]),
    (
        Field::FrequencyPenalty,
        [
            "frequency_penalty",
            "",
            "",
            "generationConfig.frequencyPenalty",
            "options.frequency_penalty",
            "",
        ],
    ),
    (
        Field::PresencePenalty,
        [
            "presence_penalty",
            "",
            "",
            "generationConfig.presencePenalty",
            "options.presence_penalty",
            "",
        ],
    ),
    (
        Field::Seed,
        ["seed", "", "", "generationConfig.seed", "options.seed", ""],
    ),
    (
        Field::Stop,
        [
            "stop",
            "",
            "stop_sequences",
            "generationConfig.stopSequences",
            "options.stop",
            "inferenceConfig.stopSequences",
        ],
    ),
    (
        Field::N,
        ["n", "", "", "generationConfig.candidateCount", "", ""],
    ),
    (
        Field::Logprobs,
        [
            "logprobs",
            "include",
            "",
            "generationConfig.responseLogprobs",
            "logprobs",
            "",
        ],
    ),
    (
        Field::TopLogprobs,
        [
            "top_logprobs",
            "top_logprobs",
            "",
            "generationConfig.logprobs",
            "top_logprobs",
            "",
        ],
    ),
    (Field::LogitBias, ["logit_bias", "", "", "", "", ""]),
    (
        Field::Reasoning,
        [
            "reasoning_effort",
            "reasoning",
            "thinking",
            "generationConfig.thinkingConfig",
            "think",
            "outputConfig.effort",
        ],
    ),
    (
        Field::User,
        ["user", "user", "metadata.user_id", "", "", ""],
    ),
    (
        Field::Verbosity,
        ["verbosity", "text.verbosity", "", "", "", ""],
    ),
    (
        Field::Dimensions,
        [
            "dimensions",
            "",
            "",
            "outputDimensionality",
            "dimensions",
            "",
        ],
    ),
];

impl Field {
    /// Its path in a request of `dialect`; `None` if that has no such field.
    pub fn path(self, dialect: Dialect) -> Option<&'static str> {
        let (_, names) = NAMES.iter().find(|(field, _)| *field == self)?;
        let name = names[position(dialect)];
        (!name.is_empty()).then_some(name)
    }

    /// All paths that it may have in a request of `dialect`, the usual one first.
    pub fn words(self, dialect: Dialect) -> impl Iterator<Item = &'static str> {
        let others: &[&str] = match (self, dialect) {
            (Self::Format, Dialect::GeminiGenerate) => &[
                "generationConfig.responseSchema",
                "generationConfig.responseMimeType",
            ],
            (Self::MaxTokens, Dialect::OpenaiChat) => &["max_tokens"],
            (Self::Logprobs, Dialect::OpenaiChat | Dialect::OpenaiResponses) => &["top_logprobs"],
            (Self::Reasoning, Dialect::AnthropicMessages) => &["output_config.effort"],
            _ => &[],
        };
        self.path(dialect).into_iter().chain(others.iter().copied())
    }

    /// What to call it towards a client that speaks `dialect`.
    pub fn name(self, dialect: Dialect) -> &'static str {
        self.path(dialect)
            .or_else(|| self.path(Dialect::OpenaiChat))
            .unwrap_or_default()
    }

    /// The field that OpenAI chat calls `name`.
    pub fn of_openai(name: &str) -> Option<Self> {
        let name = match name {
            "max_tokens" => "max_completion_tokens",
            name => name,
        };
        let (field, _) = NAMES.iter().find(|(_, names)| names[0] == name)?;
        Some(*field)
    }
}

fn position(dialect: Dialect) -> usize {
    match dialect {
        Dialect::OpenaiChat => 0,
        Dialect::OpenaiResponses => 1,
        Dialect::AnthropicMessages => 2,
        Dialect::GeminiGenerate => 3,
        Dialect::OllamaChat => 4,
        Dialect::BedrockConverse => 5,
    }
}
