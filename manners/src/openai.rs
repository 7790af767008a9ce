//! OpenAI, and all who are asked as it is: the base URL includes the version, as in its SDKs.

use dialect::Endpoint;

/// Empty for what is asked of no such provider.
pub(super) fn path(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::ChatCompletions => "/chat/completions",
        Endpoint::Completions => "/completions",
        Endpoint::Embeddings => "/embeddings",
        Endpoint::Responses => "/responses",
        Endpoint::CountResponseTokens => "/responses/input_tokens",
        Endpoint::Moderations => "/moderations",
        Endpoint::ImageGenerations => "/images/generations",
        Endpoint::ImageEdits => "/images/edits",
        Endpoint::ImageVariations => "/images/variations",
        Endpoint::Speech => "/audio/speech",
        Endpoint::Transcriptions => "/audio/transcriptions",
        Endpoint::Translations => "/audio/translations",
        _ => "",
    }
}
