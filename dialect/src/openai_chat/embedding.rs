//! Embeddings, all four ways.

mod base64;

use std::fmt;

use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::said;
use crate::canon::{AnswerFacts, EmbeddingAsk, EmbeddingReply, Input, Losses};
use crate::{BadRequest, Endpoint, ReplyFault, Target};

/// # Errors
///
/// A field that is not as this dialect has it; the message names it.
pub(crate) fn read_ask(_endpoint: Endpoint, body: &[u8]) -> Result<EmbeddingAsk, BadRequest> {
    let Value::Object(fields) = super::parse(body)? else {
        return Err(BadRequest::new("The request body must be a JSON object."));
    };
    let mut ask = EmbeddingAsk::default();
    let mut has_input = false;
    for (name, value) in fields {
        match (name.as_str(), value) {
            (_, Value::Null) | ("model", _) => {}
            ("input", value) => {
                ask.inputs = read_inputs(value)
                    .ok_or_else(|| BadRequest::invalid("input", "strings or arrays of tokens"))?;
                has_input = true;
            }
            ("dimensions", value) => {
                let dimensions = value.as_u64().and_then(|count| u32::try_from(count).ok());
                let expected = || BadRequest::invalid("dimensions", "an integer of at least 0");
                ask.dimensions = Some(dimensions.ok_or_else(expected)?);
            }
            ("encoding_format", value) => {
                ask.is_base64 = match value.as_str() {
                    Some("base64") => true,
                    Some("float") => false,
                    _ => {
                        return Err(BadRequest::invalid(
                            "encoding_format",
                            "`float` or `base64`",
                        ));
                    }
                };
            }
            ("user", Value::String(user)) => ask.user = Some(user),
            ("user", _) => return Err(BadRequest::invalid("user", "a string")),
            (_, value) => ask.others.push((name, value)),
        }
    }
    match has_input {
        true => Ok(ask),
        false => Err(BadRequest::missing("input")),
    }
}

/// A string, strings, tokens, or arrays of tokens.
fn read_inputs(value: Value) -> Option<Vec<Input>> {
    match value {
        Value::String(text) => Some(vec![Input::Text(text)]),
        Value::Array(items) if items.first().is_some_and(Value::is_number) => {
            Some(vec![Input::Tokens(read_tokens(&items)?)])
        }
        Value::Array(items) => items
            .into_iter()
            .map(|item| match item {
                Value::String(text) => Some(Input::Text(text)),
                Value::Array(tokens) => read_tokens(&tokens).map(Input::Tokens),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}

fn read_tokens(items: &[Value]) -> Option<Vec<u32>> {
    let tokens = items.iter().map(|item| u32::try_from(item.as_u64()?).ok());
    tokens.collect()
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    input: Vec<InputShape<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum InputShape<'a> {
    Text(&'a str),
    Tokens(&'a [u32]),
}

/// Asks for numbers, which every provider has.
///
/// # Errors
///
/// What this dialect has no words for, unless `losses` says to drop it.
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
    let inputs = ask.inputs.iter().map(|input| match input {
        Input::Text(text) => InputShape::Text(text),
        Input::Tokens(tokens) => InputShape::Tokens(tokens),
    });
    let request = Request {
        model: target.model,
        input: inputs.collect(),
        dimensions: ask.dimensions,
        user: ask.user.as_deref(),
    };
    Ok(serde_json::to_vec(&request).unwrap_or_default())
}

#[derive(Deserialize)]
struct Item {
    index: Option<u32>,
    embedding: Vector,
}

/// Numbers, or their packing in base64.
struct Vector(Vec<f32>);

impl<'de> Deserialize<'de> for Vector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(VectorVisitor)
    }
}

struct VectorVisitor;

impl<'de> Visitor<'de> for VectorVisitor {
    type Value = Vector;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("numbers or base64")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Vector, E> {
        let numbers = base64::read(text).map(Vector);
        numbers.ok_or_else(|| E::custom("no base64 of 32-bit numbers"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vector, A::Error> {
        let mut numbers = Vec::with_capacity(items.size_hint().unwrap_or_default());
        while let Some(number) = items.next_element()? {
            numbers.push(number);
        }
        Ok(Vector(numbers))
    }
}

/// # Errors
///
/// What is no answer.
pub(crate) fn read_reply(body: &[u8]) -> Result<EmbeddingReply, ReplyFault> {
    let (body, mut items) = super::read_reply::open::<Item>(body)?;
    items.sort_by_key(|item| item.index);
    let vectors = items.into_iter().map(|item| item.embedding.0);
    Ok(EmbeddingReply {
        vectors: vectors.collect(),
        model: said::word(body.model),
        usage: super::read_reply::usage(body.usage),
    })
}

#[derive(Serialize)]
struct Body<'a> {
    object: &'static str,
    data: Vec<ItemShape<'a>>,
    model: &'a str,
    usage: UsageShape,
}

#[derive(Serialize)]
struct ItemShape<'a> {
    object: &'static str,
    index: usize,
    embedding: VectorShape<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum VectorShape<'a> {
    Numbers(&'a [f32]),
    Base64(String),
}

#[derive(Serialize)]
struct UsageShape {
    prompt_tokens: u32,
    total_tokens: u32,
}

/// `ask` is the client's, which says in which form it wants the vectors.
pub(crate) fn write_reply(
    _endpoint: Endpoint,
    reply: &EmbeddingReply,
    ask: &EmbeddingAsk,
    facts: &AnswerFacts,
) -> Vec<u8> {
    let vectors = reply.vectors.iter().enumerate();
    let data = vectors.map(|(index, vector)| ItemShape {
        object: "embedding",
        index,
        embedding: match ask.is_base64 {
            true => VectorShape::Base64(base64::write(vector)),
            false => VectorShape::Numbers(vector),
        },
    });
    // The dialect demands a count; the router's own is nearer than none.
    let prompt_tokens = reply
        .usage
        .map_or(facts.prompt_tokens, |usage| usage.prompt_tokens);
    let body = Body {
        object: "list",
        data: data.collect(),
        model: reply.model.as_deref().unwrap_or(&facts.model),
        usage: UsageShape {
            prompt_tokens,
            total_tokens: prompt_tokens,
        },
    };
    serde_json::to_vec(&body).unwrap_or_default()
}

#[cfg(test)]
mod tests;
