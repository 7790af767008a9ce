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
    below(place.base_url, path)
}

/// `path`, but for its `/api` where the base URL ends with that.
pub(super) fn below<'a>(base_url: &str, path: &'a str) -> &'a str {
    match segments(base_url).last() {
        Some("api") => path.strip_prefix("/api").unwrap_or(path),
        _ => path,
    }
}
