//! The switchboard from answers to the objects of the endpoint that asked.

use crate::answer::Answer;
use crate::stream::StreamWriter;

use super::anthropic;
use super::bedrock;
use super::completions::{self, CompletionForm};
use super::gemini::{self, Framing};
use super::ollama;
use super::openai_chat::{self, ChatForm};
use super::responses::{self, ResponsesForm};

pub(super) const EVENTS: &str = "text/event-stream; charset=utf-8";

/// Which objects an answer is made of.
#[derive(Debug)]
pub(super) enum Form {
    Chat(ChatForm),
    Completion(CompletionForm),
    Messages,
    Generate(Framing),
    Ollama(ollama::Kind),
    Responses(Box<ResponsesForm>),
    Converse,
}

impl Form {
    /// The whole answer.
    pub(super) fn body(&self, answer: &Answer) -> Vec<u8> {
        match self {
            Self::Chat(form) => openai_chat::body(form, answer),
            Self::Completion(_) => completions::body(answer),
            Self::Messages => anthropic::body(answer),
            Self::Generate(_) => gemini::body(answer),
            Self::Ollama(kind) => ollama::body(*kind, answer),
            Self::Responses(form) => responses::body(form, answer),
            Self::Converse => bedrock::body(answer),
        }
    }

    /// What makes a stream of `answer`.
    pub(super) fn writer(&self, answer: &Answer) -> Box<dyn StreamWriter> {
        match self {
            Self::Chat(form) => Box::new(openai_chat::Writer::new(*form, answer)),
            Self::Completion(form) => Box::new(completions::Writer::new(*form)),
            Self::Messages => Box::new(anthropic::Writer::default()),
            Self::Generate(framing) => Box::new(gemini::Writer::new(*framing)),
            Self::Ollama(kind) => Box::new(ollama::Writer::new(*kind)),
            Self::Responses(form) => Box::new(responses::Writer::new(form)),
            Self::Converse => Box::new(bedrock::Writer::default()),
        }
    }

    /// Of a stream.
    pub(super) fn content_type(&self) -> &'static str {
        match self {
            Self::Chat(_) | Self::Completion(_) | Self::Messages | Self::Responses(_) => EVENTS,
            Self::Ollama(_) => "application/x-ndjson",
            Self::Converse => "application/vnd.amazon.eventstream",
            Self::Generate(Framing::Events) => "text/event-stream",
            Self::Generate(Framing::Array) => "application/json; charset=UTF-8",
        }
    }
}
