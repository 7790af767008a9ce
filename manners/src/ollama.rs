//! Ollama: the base URL is the host.

use dialect::Endpoint;

use super::{Place, segments};

/// Empty for what is asked of no such provider.
pub(super) fn path(place: &Place<'_>) -> &'static str {
    let path = match place.endpoint {
        Endpoint::OllamaChat => "/api/chat",
        Endpoint::OllamaGenerate => "/api/generate",
        Endpoint::OllamaEmbed => "/api/embed",
        Endpoint::OllamaEmbeddings => "/api/embeddings",
        _ => "",
    };
    match segments(place.base_url).last() {
        Some("api") => path.strip_prefix("/api").unwrap_or(path),
        _ => path,
    }
}
