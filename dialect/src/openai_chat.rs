//! OpenAI's chat completions, and all who speak it.

mod chunk;
mod embedding;
mod error;
mod history;
mod manners;
mod read_chat;
mod read_reply;
mod read_stream;
mod said;
mod shapes;
mod write_chat;
mod write_reply;
mod write_stream;

use serde_json::Value;
use shared::config::{Dialect, Manners};

use crate::BadRequest;
use crate::canon::{AnswerFacts, Finish};

pub(crate) use chunk::{ChunkReader, has_content};
pub(crate) use embedding::{
    read_ask as read_embedding_ask, read_reply as read_embedding_reply,
    write_ask as write_embedding_ask, write_reply as write_embedding_reply,
};
pub(crate) use error::error_body;
pub(crate) use history::fit as fit_history;
pub(crate) use read_chat::{read_chat, set_field};
pub(crate) use read_reply::read_reply;
pub(crate) use read_stream::Reader;
pub(crate) use write_chat::write_chat;
pub(crate) use write_reply::write_reply;
pub(crate) use write_stream::Writer;

/// Who signs thinking blocks that nobody else put his name on: they have the form of this one's.
const BLOCKS_ARE_OF: Dialect = Dialect::AnthropicMessages;

/// Who signs tool calls, in `extra_content.google`.
const SIGNED_CALLS_ARE_OF: Dialect = Dialect::GeminiGenerate;

/// Whether messages say who of several with a role speaks.
pub(crate) fn knows_names(manners: Manners) -> bool {
    manners::Habits::of(manners).knows_names
}

fn parse(body: &[u8]) -> Result<Value, BadRequest> {
    serde_json::from_slice(body)
        .map_err(|error| BadRequest::new(format!("The request body is not valid JSON: {error}.")))
}

/// The upstream's id, if it looks as clients of this dialect expect; else one of ours.
fn answer_id(id: Option<&str>, facts: &AnswerFacts) -> String {
    match id {
        Some(id) if id.starts_with("chatcmpl-") => id.to_owned(),
        _ => format!("chatcmpl-{}", facts.request_id),
    }
}

/// An id for the `n`th tool call of an answer.
fn call_id(n: usize, facts: &AnswerFacts) -> String {
    format!("call_{}_{n}", facts.request_id)
}

fn finish_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
        Finish::ToolCalls => "tool_calls",
        Finish::ContentFilter => "content_filter",
    }
}

#[cfg(test)]
mod pass_tests;
