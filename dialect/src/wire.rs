//! The switchboard: which module speaks which dialect.

use bytes::Bytes;
use shared::config::{Dialect, Manners};

use crate::canon::{
    AnswerFacts, Chat, EmbeddingAsk, EmbeddingReply, Losses, Reply, StreamReader, StreamVariant,
    StreamWriter,
};
use crate::{
    BadRequest, Endpoint, ErrorBody, Framing, ReplyFault, Target, anthropic_messages,
    bedrock_converse, gemini_generate, ollama_chat, openai_chat, openai_responses,
};

pub use crate::listing::{
    ListedModel, anthropic_model, anthropic_models, gemini_model, gemini_models, lm_studio_model,
    lm_studio_models, openai_model, openai_models,
};
pub use crate::ollama_chat::rfc3339;
pub use crate::ollama_chat::{Load, load_reply, ollama_ps, ollama_show, ollama_tags};

/// Reads what a client asks at `endpoint`.
///
/// # Errors
///
/// A field that is not as the dialect has it.
pub fn read_chat(endpoint: Endpoint, body: &[u8]) -> Result<Chat, BadRequest> {
    match endpoint.dialect() {
        Dialect::OpenaiChat => openai_chat::read_chat(endpoint, body),
        Dialect::OpenaiResponses => openai_responses::read_chat(endpoint, body),
        Dialect::AnthropicMessages => anthropic_messages::read_chat(endpoint, body),
        Dialect::GeminiGenerate => gemini_generate::read_chat(endpoint, body),
        Dialect::OllamaChat => ollama_chat::read_chat(endpoint, body),
        Dialect::BedrockConverse => Err(no_client(endpoint)),
    }
}

/// Writes the request for an upstream.
///
/// # Errors
///
/// What the upstream's dialect cannot express.
pub fn write_chat(
    chat: &Chat,
    target: &Target<'_>,
    losses: &Losses,
) -> Result<Vec<u8>, BadRequest> {
    match target.dialect {
        Dialect::OpenaiChat => openai_chat::write_chat(chat, target, losses),
        Dialect::OpenaiResponses => openai_responses::write_chat(chat, target, losses),
        Dialect::AnthropicMessages => anthropic_messages::write_chat(chat, target, losses),
        Dialect::GeminiGenerate => gemini_generate::write_chat(chat, target, losses),
        Dialect::OllamaChat => ollama_chat::write_chat(chat, target, losses),
        Dialect::BedrockConverse => bedrock_converse::write_chat(chat, target, losses),
    }
}

/// Whether `target` can be told who of several with a role speaks.
pub(crate) fn knows_names(target: &Target<'_>) -> bool {
    target.dialect == Dialect::OpenaiChat && openai_chat::knows_names(target.manners)
}

/// Reads the body of an upstream's 200.
///
/// # Errors
///
/// What is no answer.
pub fn read_reply(dialect: Dialect, manners: Manners, body: &[u8]) -> Result<Reply, ReplyFault> {
    match dialect {
        Dialect::OpenaiChat => openai_chat::read_reply(body, manners),
        Dialect::OpenaiResponses => openai_responses::read_reply(body),
        Dialect::AnthropicMessages => anthropic_messages::read_reply(body),
        Dialect::GeminiGenerate => gemini_generate::read_reply(body),
        Dialect::OllamaChat => ollama_chat::read_reply(body),
        Dialect::BedrockConverse => bedrock_converse::read_reply(body),
    }
}

/// Reads the body of an upstream's 200 that goes to a client of its own dialect as it is.
///
/// # Errors
///
/// What is no answer to such a client.
pub(crate) fn observe_reply(
    dialect: Dialect,
    manners: Manners,
    body: &[u8],
) -> Result<Reply, ReplyFault> {
    match dialect {
        Dialect::GeminiGenerate => gemini_generate::observe_reply(body),
        _ => read_reply(dialect, manners, body),
    }
}

/// Writes the whole answer for a client that asked at `endpoint`.
pub fn write_reply(endpoint: Endpoint, reply: Reply, facts: &AnswerFacts) -> Vec<u8> {
    match endpoint.dialect() {
        Dialect::OpenaiChat | Dialect::BedrockConverse => openai_chat::write_reply(reply, facts),
        Dialect::OpenaiResponses => openai_responses::write_reply(reply, facts),
        Dialect::AnthropicMessages => anthropic_messages::write_reply(reply, facts),
        Dialect::GeminiGenerate => gemini_generate::write_reply(reply, facts),
        Dialect::OllamaChat => ollama_chat::write_reply(reply, facts),
    }
}

/// Reads an upstream's stream.
pub fn reader(dialect: Dialect, manners: Manners) -> Box<dyn StreamReader> {
    match dialect {
        Dialect::OpenaiChat => Box::new(openai_chat::Reader::new(manners)),
        Dialect::OpenaiResponses => Box::new(openai_responses::Reader::default()),
        Dialect::AnthropicMessages => Box::new(anthropic_messages::Reader::default()),
        Dialect::GeminiGenerate => Box::new(gemini_generate::Reader::default()),
        Dialect::OllamaChat => Box::new(ollama_chat::Reader::default()),
        Dialect::BedrockConverse => Box::new(bedrock_converse::Reader::default()),
    }
}

/// Reads an upstream's stream that goes to a client of its own dialect as it is.
pub(crate) fn observer(dialect: Dialect, manners: Manners) -> Box<dyn StreamReader> {
    match dialect {
        Dialect::GeminiGenerate => Box::new(gemini_generate::Reader::observing()),
        _ => reader(dialect, manners),
    }
}

/// Writes the stream for a client that asked at `endpoint`.
pub fn writer(endpoint: Endpoint, facts: AnswerFacts) -> Box<dyn StreamWriter> {
    match endpoint.dialect() {
        Dialect::OpenaiChat | Dialect::BedrockConverse => Box::new(openai_chat::Writer::new(facts)),
        Dialect::OpenaiResponses => Box::new(openai_responses::Writer::new(facts)),
        Dialect::AnthropicMessages => Box::new(anthropic_messages::Writer::new(facts)),
        Dialect::GeminiGenerate => Box::new(gemini_generate::Writer::new(facts)),
        Dialect::OllamaChat => Box::new(ollama_chat::Writer::new(facts)),
    }
}

/// How a dialect's streams are cut into frames. Upstreams of Gemini are asked for the usual variant, unless the
/// client's bytes go through.
pub fn framing(dialect: Dialect, variant: StreamVariant) -> Framing {
    match (dialect, variant) {
        (Dialect::GeminiGenerate, StreamVariant::Array) => Framing::Array,
        (Dialect::OllamaChat, _) => Framing::Lines,
        (Dialect::BedrockConverse, _) => Framing::EventStream,
        _ => Framing::Sse,
    }
}

/// What keeps a waiting client's connection alive between two frames, in a form that its SDKs tolerate.
pub fn keep_alive(dialect: Dialect) -> Bytes {
    Bytes::from_static(match dialect {
        Dialect::OpenaiChat | Dialect::OpenaiResponses | Dialect::BedrockConverse => {
            b": keep-alive\n\n"
        }
        Dialect::AnthropicMessages => b"event: ping\ndata: {\"type\": \"ping\"}\n\n",
        // Google's SDK takes a comment for a broken answer.
        Dialect::GeminiGenerate => b"\n",
        // Ollama's parses every line; white space before one is allowed.
        Dialect::OllamaChat => b" ",
    })
}

/// An error as the clients of `dialect` know it, to be sent with `status`.
pub fn error_body(dialect: Dialect, error: &ErrorBody<'_>, status: u16, request_id: &str) -> Bytes {
    Bytes::from(match dialect {
        Dialect::OpenaiChat | Dialect::BedrockConverse => {
            openai_chat::error_body(error, status, request_id)
        }
        Dialect::OpenaiResponses => openai_responses::error_body(error, status, request_id),
        Dialect::AnthropicMessages => anthropic_messages::error_body(error, status, request_id),
        Dialect::GeminiGenerate => gemini_generate::error_body(error, status, request_id),
        Dialect::OllamaChat => ollama_chat::error_body(error, status, request_id),
    })
}

/// How many tokens a client's prompt has, for a client that asked at `endpoint`.
pub fn token_count_reply(endpoint: Endpoint, n: u32) -> Vec<u8> {
    let json = match endpoint.dialect() {
        Dialect::OpenaiResponses => {
            format!("{{\"object\":\"response.input_tokens\",\"input_tokens\":{n}}}")
        }
        Dialect::AnthropicMessages => format!("{{\"input_tokens\":{n}}}"),
        _ => format!("{{\"totalTokens\":{n}}}"),
    };
    json.into_bytes()
}

/// Reads what a client wants embedded.
///
/// # Errors
///
/// A field that is not as the dialect has it.
pub fn read_embedding_ask(endpoint: Endpoint, body: &[u8]) -> Result<EmbeddingAsk, BadRequest> {
    match endpoint.dialect() {
        Dialect::OpenaiChat => openai_chat::read_embedding_ask(endpoint, body),
        Dialect::GeminiGenerate => gemini_generate::read_embedding_ask(endpoint, body),
        Dialect::OllamaChat => ollama_chat::read_embedding_ask(endpoint, body),
        Dialect::OpenaiResponses | Dialect::AnthropicMessages | Dialect::BedrockConverse => {
            Err(no_client(endpoint))
        }
    }
}

/// Writes the request for an upstream that embeds.
///
/// # Errors
///
/// What the upstream's dialect cannot express.
pub fn write_embedding_ask(
    ask: &EmbeddingAsk,
    target: &Target<'_>,
    losses: &Losses,
) -> Result<Vec<u8>, BadRequest> {
    match target.dialect {
        Dialect::OpenaiChat | Dialect::OpenaiResponses => {
            openai_chat::write_embedding_ask(ask, target, losses)
        }
        Dialect::GeminiGenerate => gemini_generate::write_embedding_ask(ask, target, losses),
        Dialect::OllamaChat => ollama_chat::write_embedding_ask(ask, target, losses),
        Dialect::AnthropicMessages | Dialect::BedrockConverse => Err(BadRequest::new(
            "The model's upstream does not make embeddings.",
        )),
    }
}

/// Reads the body of an upstream's 200.
///
/// # Errors
///
/// What is no answer.
pub fn read_embedding_reply(dialect: Dialect, body: &[u8]) -> Result<EmbeddingReply, ReplyFault> {
    match dialect {
        Dialect::OpenaiChat | Dialect::OpenaiResponses => openai_chat::read_embedding_reply(body),
        Dialect::GeminiGenerate => gemini_generate::read_embedding_reply(body),
        Dialect::OllamaChat => ollama_chat::read_embedding_reply(body),
        Dialect::AnthropicMessages | Dialect::BedrockConverse => Err(ReplyFault::NoAnswer),
    }
}

/// Writes the vectors for a client that sent `ask` to `endpoint`.
pub fn write_embedding_reply(
    endpoint: Endpoint,
    reply: &EmbeddingReply,
    ask: &EmbeddingAsk,
    facts: &AnswerFacts,
) -> Vec<u8> {
    match endpoint.dialect() {
        Dialect::GeminiGenerate => {
            gemini_generate::write_embedding_reply(endpoint, reply, ask, facts)
        }
        Dialect::OllamaChat => ollama_chat::write_embedding_reply(endpoint, reply, ask, facts),
        _ => openai_chat::write_embedding_reply(endpoint, reply, ask, facts),
    }
}

/// Routes do not lead here.
fn no_client(endpoint: Endpoint) -> BadRequest {
    BadRequest::new(format!("Clients cannot ask at `{}`.", endpoint.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_of_tokens_is_told_in_the_clients_words() {
        let reply = |endpoint| String::from_utf8(token_count_reply(endpoint, 7)).unwrap();

        assert_eq!(reply(Endpoint::CountContentTokens), r#"{"totalTokens":7}"#);
        assert_eq!(reply(Endpoint::CountMessageTokens), r#"{"input_tokens":7}"#);
        assert_eq!(
            reply(Endpoint::CountResponseTokens),
            r#"{"object":"response.input_tokens","input_tokens":7}"#
        );
    }
}
