//! The languages of providers, and the habits of those that share one.

/// A wire language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    OpenaiChat,
    OpenaiResponses,
    AnthropicMessages,
    GeminiGenerate,
    OllamaChat,
    BedrockConverse,
}

impl Dialect {
    pub const ALL: [Self; 6] = [
        Self::OpenaiChat,
        Self::OpenaiResponses,
        Self::AnthropicMessages,
        Self::GeminiGenerate,
        Self::OllamaChat,
        Self::BedrockConverse,
    ];

    /// As the configuration writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenaiChat => "openai_chat",
            Self::OpenaiResponses => "openai_responses",
            Self::AnthropicMessages => "anthropic_messages",
            Self::GeminiGenerate => "gemini_generate",
            Self::OllamaChat => "ollama_chat",
            Self::BedrockConverse => "bedrock_converse",
        }
    }
}

/// What a provider does differently from others of its dialect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Manners {
    /// None: exactly as the dialect's inventor.
    #[default]
    Plain,
    Azure,
    Groq,
    Vllm,
    LmStudio,
    OpenRouter,
    Zhipu,
    Baidu,
    DeepSeek,
    Mistral,
    LlamaCpp,
    /// Google's OpenAI-compatible endpoint.
    GeminiOpenai,
}

impl Manners {
    pub const ALL: [Self; 12] = [
        Self::Plain,
        Self::Azure,
        Self::Groq,
        Self::Vllm,
        Self::LmStudio,
        Self::OpenRouter,
        Self::Zhipu,
        Self::Baidu,
        Self::DeepSeek,
        Self::Mistral,
        Self::LlamaCpp,
        Self::GeminiOpenai,
    ];

    /// As the configuration writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Azure => "azure",
            Self::Groq => "groq",
            Self::Vllm => "vllm",
            Self::LmStudio => "lm_studio",
            Self::OpenRouter => "openrouter",
            Self::Zhipu => "zhipu",
            Self::Baidu => "baidu",
            Self::DeepSeek => "deepseek",
            Self::Mistral => "mistral",
            Self::LlamaCpp => "llama_cpp",
            Self::GeminiOpenai => "gemini_openai",
        }
    }

    /// Whether what such a provider sends and takes is what a client of its dialect expects, so that bytes go through.
    ///
    /// Google's endpoint leaves out indexes, ends tool calls with `stop` and puts its errors into an array.
    pub fn are_faithful(self) -> bool {
        self != Self::GeminiOpenai
    }

    /// Whether a provider of `dialect` can have these.
    pub fn go_with(self, dialect: Dialect) -> bool {
        match self {
            Self::Plain => true,
            Self::Azure => matches!(dialect, Dialect::OpenaiChat | Dialect::OpenaiResponses),
            _ => dialect == Dialect::OpenaiChat,
        }
    }
}
