//! Embeddings, all four ways: `/api/embed`, and `/api/embeddings`, which takes one text and came before.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::answer::fault_of;
use super::read_chat::place::{Place, count, texts};
use super::read_chat::{is_default, read_object, set_fields};
use crate::canon::{AnswerFacts, EmbeddingAsk, EmbeddingReply, Input, Losses};
use crate::error::UpstreamError;
use crate::{BadRequest, Endpoint, ReplyFault, Target, Usage};

pub(crate) fn read_ask(endpoint: Endpoint, body: &[u8]) -> Result<EmbeddingAsk, BadRequest> {
    let input_name = match endpoint {
        Endpoint::OllamaEmbeddings => "prompt",
        _ => "input",
    };
    let mut ask = EmbeddingAsk::default();
    let mut has_input = false;
    for (name, value) in set_fields(read_object(body)?) {
        let place = Place::Top.field(&name);
        match name.as_str() {
            "model" | "keep_alive" => {}
            name if name == input_name => {
                ask.inputs = read_inputs(endpoint, value, place)?;
                has_input = true;
            }
            "dimensions" => ask.dimensions = Some(count(&value, place)?),
            "options" => {
                let options = set_fields(place.object(value)?);
                let others = options.map(|(name, value)| (place.field(&name).to_string(), value));
                ask.others.extend(others);
            }
            _ if is_default(&name, &value) => {}
            _ => ask.others.push((name, value)),
        }
    }
    match has_input {
        true => Ok(ask),
        false => Err(BadRequest::missing(input_name)),
    }
}

fn read_inputs(
    endpoint: Endpoint,
    value: Value,
    place: Place<'_>,
) -> Result<Vec<Input>, BadRequest> {
    let texts = match value {
        Value::String(text) => vec![text],
        value if endpoint == Endpoint::OllamaEmbeddings => vec![place.text(value)?],
        value @ Value::Array(_) => texts(value, place)?,
        _ => return Err(place.invalid("a string or an array of strings")),
    };
    Ok(texts.into_iter().map(Input::Text).collect())
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    input: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u32>,
}

/// `user` and the encoding of the vectors concern the client's side only.
pub(crate) fn write_ask(
    ask: &EmbeddingAsk,
    target: &Target<'_>,
    losses: &Losses,
) -> Result<Vec<u8>, BadRequest> {
    losses.lose_others(&ask.others)?;
    if ask.task.is_some() {
        losses.lose_key("taskType")?;
    }
    if ask.title.is_some() {
        losses.lose_key("title")?;
    }
    let inputs = ask.inputs.iter();
    let input = inputs
        .map(|input| match input {
            Input::Text(text) => Ok(text.as_str()),
            Input::Tokens(_) => Err(BadRequest::invalid(
                "input",
                "texts, since the model's upstream takes no token ids",
            )),
        })
        .collect::<Result<_, _>>()?;
    let request = Request {
        model: target.model,
        input,
        dimensions: ask.dimensions,
    };
    serde_json::to_vec(&request)
        .map_err(|error| BadRequest::new(format!("The request cannot be told as JSON: {error}.")))
}

#[derive(Deserialize)]
struct Answer {
    model: Option<String>,
    embeddings: Option<Vec<Vec<f32>>>,
    /// The older endpoint's.
    embedding: Option<Vec<f32>>,
    prompt_eval_count: Option<Value>,
    error: Option<Value>,
}

pub(crate) fn read_reply(body: &[u8]) -> Result<EmbeddingReply, ReplyFault> {
    let answer: Answer = serde_json::from_slice(body).map_err(|_| fault_of(body))?;
    if let Some(error) = answer.error.as_ref().and_then(UpstreamError::of_error) {
        return Err(ReplyFault::from(error));
    }
    let vectors = match (answer.embeddings, answer.embedding) {
        (Some(vectors), _) => vectors,
        (None, Some(vector)) => vec![vector],
        (None, None) => return Err(ReplyFault::NoAnswer),
    };
    let prompt_tokens = Usage::count(answer.prompt_eval_count.as_ref());
    let usage = prompt_tokens.and_then(|prompt_tokens| {
        let usage = Usage {
            prompt_tokens,
            ..Usage::default()
        };
        usage.believed()
    });
    Ok(EmbeddingReply {
        model: answer.model,
        vectors,
        usage,
    })
}

#[derive(Serialize)]
struct Vectors<'a> {
    model: &'a str,
    embeddings: &'a [Vec<f32>],
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_eval_count: Option<u32>,
}

#[derive(Serialize)]
struct Vector<'a> {
    embedding: &'a [f32],
}

/// Vectors are always numbers here.
pub(crate) fn write_reply(
    endpoint: Endpoint,
    reply: &EmbeddingReply,
    _ask: &EmbeddingAsk,
    facts: &AnswerFacts,
) -> Vec<u8> {
    let written = match endpoint {
        Endpoint::OllamaEmbeddings => serde_json::to_vec(&Vector {
            embedding: reply.vectors.first().map(Vec::as_slice).unwrap_or_default(),
        }),
        _ => serde_json::to_vec(&Vectors {
            model: reply.model.as_ref().unwrap_or(&facts.model),
            embeddings: &reply.vectors,
            prompt_eval_count: reply.usage.map(|usage| usage.prompt_tokens),
        }),
    };
    // Names and numbers can always be written.
    written.unwrap_or_default()
}

#[cfg(test)]
mod tests;
