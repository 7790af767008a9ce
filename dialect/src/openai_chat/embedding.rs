//! Embeddings, all four ways.

use crate::canon::{AnswerFacts, EmbeddingAsk, EmbeddingReply, Losses};
use crate::{BadRequest, Endpoint, ReplyFault, Target};

pub(crate) fn read_ask(_endpoint: Endpoint, _body: &[u8]) -> Result<EmbeddingAsk, BadRequest> {
    Err(BadRequest::new("not read yet"))
}

pub(crate) fn write_ask(
    _ask: &EmbeddingAsk,
    _target: &Target<'_>,
    _losses: &Losses,
) -> Result<Vec<u8>, BadRequest> {
    Err(BadRequest::new("not written yet"))
}

pub(crate) fn read_reply(_body: &[u8]) -> Result<EmbeddingReply, ReplyFault> {
    Err(ReplyFault::NoAnswer)
}

/// `ask` is the client's, which says in which form it wants the vectors.
pub(crate) fn write_reply(
    _endpoint: Endpoint,
    _reply: &EmbeddingReply,
    _ask: &EmbeddingAsk,
    _facts: &AnswerFacts,
) -> Vec<u8> {
    Vec::new()
}
