//! Which API a path belongs to: the path alone decides, as in the real world, where several share a host.
//!
//! Only `GET /v1/models` is everybody's; there the headers decide.

use std::borrow::Cow;

use http::request::Parts;

use super::catalog::Page;
use super::dialect::Dialect;
use super::query;
use super::responses::StoredPage;

/// Where a request goes, and in whose form it is answered.
pub(super) struct Route<'a> {
    pub(super) dialect: Dialect,
    pub(super) target: Target<'a>,
}

pub(super) enum Target<'a> {
    /// A request that is counted; the model is the path's, where it has one.
    Infer(Endpoint, Option<Cow<'a, str>>),
    /// A response that was stored, or the like.
    Stored(StoredPage<'a>),
    /// What a client may look up.
    Look(Page<'a>),
    Oracle,
    Nowhere,
}

/// An endpoint whose requests are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Chat,
    Completions,
    Embeddings,
    Messages,
    MessageTokens,
    Generate,
    GenerateStream,
    GeminiTokens,
    EmbedContent,
    BatchEmbedContents,
    OllamaChat,
    OllamaGenerate,
    OllamaEmbed,
    OllamaEmbeddings,
    Responses,
    ResponseTokens,
    Converse,
    ConverseStream,
    Moderations,
    Images,
    Speech,
    Transcriptions,
}

pub(super) fn of(head: &Parts) -> Route<'_> {
    let path = head.uri.path();
    let openai = |target| Route {
        dialect: Dialect::OpenAi,
        target,
    };
    if let Some(rest) = path.strip_prefix("/v1/models") {
        return models(head, rest);
    }
    if let Some(rest) = path.strip_prefix("/v1/messages") {
        return Route {
            dialect: Dialect::Anthropic,
            target: match rest {
                "" => Target::Infer(Endpoint::Messages, None),
                "/count_tokens" => Target::Infer(Endpoint::MessageTokens, None),
                _ => Target::Nowhere,
            },
        };
    }
    if let Some(rest) = path.strip_prefix("/v1beta") {
        return gemini(head, rest);
    }
    if let Some(page) = path.strip_prefix("/api/") {
        return ollama(page);
    }
    if let Some(rest) = path.strip_prefix("/openai/") {
        return azure(head, rest);
    }
    if let Some(rest) = path.strip_prefix("/model/") {
        return bedrock(rest);
    }
    if path == "/" {
        return looking(Dialect::Ollama, Page::Running);
    }
    match path.strip_prefix("/v1") {
        Some(rest) => openai(openai_target(rest).unwrap_or(Target::Nowhere)),
        None => openai(Target::Oracle),
    }
}

/// What is at a path behind `/v1` in OpenAI's API.
fn openai_target(path: &str) -> Option<Target<'_>> {
    let stored = path.strip_prefix("/responses/").map(StoredPage::of);
    match openai_endpoint(path) {
        Some(endpoint) => Some(Target::Infer(endpoint, None)),
        None => stored.map(Target::Stored),
    }
}

/// An endpoint of OpenAI's API by its path behind `/v1`.
fn openai_endpoint(path: &str) -> Option<Endpoint> {
    Some(match path {
        "/chat/completions" => Endpoint::Chat,
        "/completions" => Endpoint::Completions,
        "/embeddings" => Endpoint::Embeddings,
        "/responses" => Endpoint::Responses,
        "/responses/input_tokens" => Endpoint::ResponseTokens,
        "/moderations" => Endpoint::Moderations,
        "/images/generations" => Endpoint::Images,
        "/audio/speech" => Endpoint::Speech,
        "/audio/transcriptions" => Endpoint::Transcriptions,
        _ => return None,
    })
}

/// `/v1/models` and `rest`; ids may hold slashes and colons.
fn models<'a>(head: &'a Parts, rest: &'a str) -> Route<'a> {
    if let Some(route) = gemini_method(head, rest) {
        return route;
    }
    let target = match rest.strip_prefix('/') {
        None if rest.is_empty() => Target::Look(Page::Models),
        Some(id) if !id.is_empty() => Target::Look(Page::Model(id.into())),
        _ => Target::Nowhere,
    };
    let has_google_key = head.headers.contains_key("x-goog-api-key")
        || query::field(head.uri.query(), "key").is_some();
    let dialect = match has_google_key {
        _ if head.headers.contains_key("anthropic-version") => Dialect::Anthropic,
        true => Dialect::Gemini,
        false => Dialect::OpenAi,
    };
    Route { dialect, target }
}

/// What follows `/v1beta`.
fn gemini<'a>(head: &'a Parts, rest: &'a str) -> Route<'a> {
    let models = rest.strip_prefix("/models");
    if let Some(route) = models.and_then(|rest| gemini_method(head, rest)) {
        return route;
    }
    let target = match models {
        Some("" | "/") => Target::Look(Page::Models),
        Some(rest) => match rest.strip_prefix('/') {
            Some(id) => Target::Look(Page::Model(query::decoded(id))),
            None => Target::Nowhere,
        },
        None => Target::Nowhere,
    };
    Route {
        dialect: Dialect::Gemini,
        target,
    }
}

/// What follows `/model/`; ids may be whole resource names.
fn bedrock(rest: &str) -> Route<'_> {
    let target = match rest.rsplit_once('/') {
        Some((model, "converse")) => Target::Infer(Endpoint::Converse, Some(query::decoded(model))),
        Some((model, "converse-stream")) => {
            Target::Infer(Endpoint::ConverseStream, Some(query::decoded(model)))
        }
        _ => Target::Nowhere,
    };
    Route {
        dialect: Dialect::Bedrock,
        target,
    }
}

/// What follows `/openai/`: deployments and responses with a version, or paths as OpenAI's own without.
fn azure<'a>(head: &'a Parts, rest: &'a str) -> Route<'a> {
    let target = match rest.strip_prefix("deployments/") {
        Some(rest) => deployment(head, rest),
        None if rest == "responses" || rest.starts_with("responses/") => {
            let path = head.uri.path().strip_prefix("/openai");
            query::field(head.uri.query(), "api-version").and_then(|_| openai_target(path?))
        }
        None if rest == "v1/models" => Some(Target::Look(Page::Models)),
        None => match rest.strip_prefix("v1") {
            Some(rest) => openai_target(rest),
            None => None,
        },
    };
    Route {
        dialect: Dialect::Azure,
        target: target.unwrap_or(Target::Nowhere),
    }
}

fn deployment<'a>(head: &'a Parts, rest: &'a str) -> Option<Target<'a>> {
    query::field(head.uri.query(), "api-version")?;
    let (deployment, _) = rest.split_once('/')?;
    let endpoint = match openai_endpoint(rest.strip_prefix(deployment)?)? {
        Endpoint::Responses | Endpoint::ResponseTokens | Endpoint::Moderations => return None,
        endpoint => endpoint,
    };
    Some(Target::Infer(endpoint, Some(query::decoded(deployment))))
}

/// What follows `/api/`.
fn ollama(path: &str) -> Route<'_> {
    let endpoint = match path {
        "chat" => Endpoint::OllamaChat,
        "generate" => Endpoint::OllamaGenerate,
        "embed" => Endpoint::OllamaEmbed,
        "embeddings" => Endpoint::OllamaEmbeddings,
        "tags" => return looking(Dialect::Ollama, Page::Models),
        "ps" => return looking(Dialect::Ollama, Page::Loaded),
        "version" => return looking(Dialect::Ollama, Page::Version),
        "show" => return looking(Dialect::Ollama, Page::Show),
        _ => {
            return Route {
                dialect: Dialect::Ollama,
                target: Target::Nowhere,
            };
        }
    };
    Route {
        dialect: Dialect::Ollama,
        target: Target::Infer(endpoint, None),
    }
}

fn looking(dialect: Dialect, page: Page<'_>) -> Route<'_> {
    Route {
        dialect,
        target: Target::Look(page),
    }
}

/// `/{model}:{method}`, if the method is one of Gemini's.
fn gemini_method<'a>(head: &'a Parts, rest: &'a str) -> Option<Route<'a>> {
    let (model, method) = rest.strip_prefix('/')?.rsplit_once(':')?;
    let is_sse = query::field(head.uri.query(), "alt").as_deref() == Some("sse");
    let (endpoint, dialect) = match method {
        "generateContent" => (Endpoint::Generate, Dialect::Gemini),
        "streamGenerateContent" if is_sse => (Endpoint::GenerateStream, Dialect::Gemini),
        "streamGenerateContent" => (Endpoint::GenerateStream, Dialect::GeminiArray),
        "countTokens" => (Endpoint::GeminiTokens, Dialect::Gemini),
        "embedContent" => (Endpoint::EmbedContent, Dialect::Gemini),
        "batchEmbedContents" => (Endpoint::BatchEmbedContents, Dialect::Gemini),
        _ => return None,
    };
    Some(Route {
        dialect,
        target: Target::Infer(endpoint, Some(query::decoded(model))),
    })
}
