//! Where each provider is asked.

use dialect::Endpoint;

use super::Attempt;

pub(super) fn path(attempt: &Attempt<'_>) -> String {
    match attempt.exchange.upstream() {
        Endpoint::Completions => "/completions",
        Endpoint::Embeddings => "/embeddings",
        _ => "/chat/completions",
    }
    .to_owned()
}
