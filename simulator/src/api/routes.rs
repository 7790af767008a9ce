//! Which API a path belongs to: the path alone decides, as in the real world, where several share a host.
//!
//! Only `GET /v1/models` is everybody's; there the headers decide.

use std::borrow::Cow;

use http::request::Parts;

use super::catalog::Page;
use super::dialect::Dialect;

/// Where a request goes, and in whose form it is answered.
pub(super) struct Route<'a> {
    pub(super) dialect: Dialect,
    pub(super) target: Target<'a>,
}

pub(super) enum Target<'a> {
    /// A request that is counted; the model is the path's, where it has one.
    Infer(Endpoint, Option<Cow<'a, str>>),
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
    match path.strip_prefix("/v1") {
        Some(rest) => openai(match openai_endpoint(rest) {
            Some(endpoint) => Target::Infer(endpoint, None),
            None => Target::Nowhere,
        }),
        None => openai(Target::Oracle),
    }
}

/// An endpoint of OpenAI's API by its path behind `/v1`.
fn openai_endpoint(path: &str) -> Option<Endpoint> {
    Some(match path {
        "/chat/completions" => Endpoint::Chat,
        "/completions" => Endpoint::Completions,
        "/embeddings" => Endpoint::Embeddings,
        _ => return None,
    })
}

/// `/v1/models` and `rest`; ids may hold slashes.
fn models<'a>(head: &Parts, rest: &'a str) -> Route<'a> {
    let target = match rest.strip_prefix('/') {
        None if rest.is_empty() => Target::Look(Page::Models),
        Some(id) if !id.is_empty() => Target::Look(Page::Model(id.into())),
        _ => Target::Nowhere,
    };
    let dialect = match head.headers.contains_key("anthropic-version") {
        true => Dialect::Anthropic,
        false => Dialect::OpenAi,
    };
    Route { dialect, target }
}
