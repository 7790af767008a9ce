//! What a client can ask for, and in which language.

use shared::config::Dialect;

/// One kind of request, as one dialect words it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    // OpenAI.
    ChatCompletions,
    Completions,
    Embeddings,
    Responses,
    CountResponseTokens,
    Moderations,
    ImageGenerations,
    ImageEdits,
    ImageVariations,
    Speech,
    Transcriptions,
    Translations,
    // Anthropic.
    Messages,
    CountMessageTokens,
    // Gemini.
    GenerateContent,
    CountContentTokens,
    EmbedContent,
    BatchEmbedContents,
    // Ollama.
    OllamaChat,
    OllamaGenerate,
    OllamaEmbed,
    OllamaEmbeddings,
    // Bedrock; upstreams only.
    Converse,
}

/// What is done with a response that a provider has stored, named by its id and by no model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredAction {
    Retrieve,
    Delete,
    Cancel,
    InputItems,
}

/// What is done, whatever the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    Chat,
    /// A text that is continued, without roles.
    Completion,
    Embedding,
    TokenCount,
    Moderation,
    Image,
    Audio,
}

impl Endpoint {
    pub const ALL: [Self; 23] = [
        Self::ChatCompletions,
        Self::Completions,
        Self::Embeddings,
        Self::Responses,
        Self::CountResponseTokens,
        Self::Moderations,
        Self::ImageGenerations,
        Self::ImageEdits,
        Self::ImageVariations,
        Self::Speech,
        Self::Transcriptions,
        Self::Translations,
        Self::Messages,
        Self::CountMessageTokens,
        Self::GenerateContent,
        Self::CountContentTokens,
        Self::EmbedContent,
        Self::BatchEmbedContents,
        Self::OllamaChat,
        Self::OllamaGenerate,
        Self::OllamaEmbed,
        Self::OllamaEmbeddings,
        Self::Converse,
    ];

    pub fn dialect(self) -> Dialect {
        match self {
            Self::ChatCompletions
            | Self::Completions
            | Self::Embeddings
            | Self::Moderations
            | Self::ImageGenerations
            | Self::ImageEdits
            | Self::ImageVariations
            | Self::Speech
            | Self::Transcriptions
            | Self::Translations => Dialect::OpenaiChat,
            Self::Responses | Self::CountResponseTokens => Dialect::OpenaiResponses,
            Self::Messages | Self::CountMessageTokens => Dialect::AnthropicMessages,
            Self::GenerateContent
            | Self::CountContentTokens
            | Self::EmbedContent
            | Self::BatchEmbedContents => Dialect::GeminiGenerate,
            Self::OllamaChat
            | Self::OllamaGenerate
            | Self::OllamaEmbed
            | Self::OllamaEmbeddings => Dialect::OllamaChat,
            Self::Converse => Dialect::BedrockConverse,
        }
    }

    pub fn operation(self) -> Operation {
        match self {
            Self::ChatCompletions
            | Self::Responses
            | Self::Messages
            | Self::GenerateContent
            | Self::OllamaChat
            | Self::OllamaGenerate
            | Self::Converse => Operation::Chat,
            Self::Completions => Operation::Completion,
            Self::Embeddings
            | Self::EmbedContent
            | Self::BatchEmbedContents
            | Self::OllamaEmbed
            | Self::OllamaEmbeddings => Operation::Embedding,
            Self::CountResponseTokens | Self::CountMessageTokens | Self::CountContentTokens => {
                Operation::TokenCount
            }
            Self::Moderations => Operation::Moderation,
            Self::ImageGenerations | Self::ImageEdits | Self::ImageVariations => Operation::Image,
            Self::Speech | Self::Transcriptions | Self::Translations => Operation::Audio,
        }
    }

    /// The endpoint at which an upstream that speaks `dialect` is asked; `None` if it does no such thing.
    pub fn at(self, dialect: Dialect) -> Option<Self> {
        if self.dialect() == dialect {
            return Some(self);
        }
        match (self.operation(), dialect) {
            (Operation::Chat, Dialect::OpenaiChat) => Some(Self::ChatCompletions),
            (Operation::Chat, Dialect::OpenaiResponses) => Some(Self::Responses),
            (Operation::Chat, Dialect::AnthropicMessages) => Some(Self::Messages),
            (Operation::Chat, Dialect::GeminiGenerate) => Some(Self::GenerateContent),
            (Operation::Chat, Dialect::OllamaChat) => Some(Self::OllamaChat),
            (Operation::Chat, Dialect::BedrockConverse) => Some(Self::Converse),
            // Whoever speaks OpenAI's newer language also has its older endpoints.
            (
                Operation::Completion
                | Operation::Embedding
                | Operation::Moderation
                | Operation::Image
                | Operation::Audio,
                Dialect::OpenaiResponses,
            ) if self.dialect() == Dialect::OpenaiChat => Some(self),
            (Operation::Embedding, Dialect::OpenaiChat | Dialect::OpenaiResponses) => {
                Some(Self::Embeddings)
            }
            (Operation::Embedding, Dialect::GeminiGenerate) => Some(Self::BatchEmbedContents),
            (Operation::Embedding, Dialect::OllamaChat) => Some(Self::OllamaEmbed),
            _ => None,
        }
    }

    /// As a label of metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat_completions",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Responses => "responses",
            Self::CountResponseTokens => "count_response_tokens",
            Self::Moderations => "moderations",
            Self::ImageGenerations => "image_generations",
            Self::ImageEdits => "image_edits",
            Self::ImageVariations => "image_variations",
            Self::Speech => "speech",
            Self::Transcriptions => "transcriptions",
            Self::Translations => "translations",
            Self::Messages => "messages",
            Self::CountMessageTokens => "count_message_tokens",
            Self::GenerateContent => "generate_content",
            Self::CountContentTokens => "count_content_tokens",
            Self::EmbedContent => "embed_content",
            Self::BatchEmbedContents => "batch_embed_contents",
            Self::OllamaChat => "ollama_chat",
            Self::OllamaGenerate => "ollama_generate",
            Self::OllamaEmbed => "ollama_embed",
            Self::OllamaEmbeddings => "ollama_embeddings",
            Self::Converse => "converse",
        }
    }
}

impl StoredAction {
    pub const ALL: [Self; 4] = [Self::Retrieve, Self::Delete, Self::Cancel, Self::InputItems];

    /// As a label of metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Retrieve => "retrieve_response",
            Self::Delete => "delete_response",
            Self::Cancel => "cancel_response",
            Self::InputItems => "list_response_items",
        }
    }
}
