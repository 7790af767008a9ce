//! Embeddings, all four ways.

mod read_ask;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

pub(crate) use self::read_ask::read_ask;
use super::outgoing::Part;
use super::usage::UsageMetadata;
use super::{incoming, usage};
use crate::canon::{AnswerFacts, EmbeddingAsk, EmbeddingReply, Input, Losses};
use crate::{BadRequest, Endpoint, ReplyFault, Target, UpstreamError};

#[derive(Serialize)]
struct Batch<'a> {
    requests: Vec<Request<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    model: &'a str,
    content: Content<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimensionality: Option<u32>,
}

#[derive(Serialize)]
struct Content<'a> {
    parts: [Part<'a>; 1],
}

/// Upstreams are asked for a batch, whatever the number of texts.
pub(crate) fn write_ask(
    ask: &EmbeddingAsk,
    target: &Target<'_>,
    losses: &Losses,
) -> Result<Vec<u8>, BadRequest> {
    losses.lose_others(&ask.others)?;
    // Each request of a batch names the model again, as a resource.
    let model = match target.model.starts_with("models/") {
        true => target.model.to_owned(),
        false => format!("models/{}", target.model),
    };
    let mut requests = Vec::with_capacity(ask.inputs.len());
    for input in &ask.inputs {
        let Input::Text(text) = input else {
            return Err(BadRequest::invalid(
                "input",
                "texts: the upstream does not take tokens",
            ));
        };
        requests.push(Request {
            model: &model,
            content: Content {
                parts: [Part::text(text)],
            },
            task_type: ask.task.as_deref(),
            title: ask.title.as_deref(),
            output_dimensionality: ask.dimensions,
        });
    }
    serde_json::to_vec(&Batch { requests })
        .map_err(|error| BadRequest::new(format!("The request cannot be written: {error}.")))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    /// Of a batch.
    embeddings: Option<Vec<Vector>>,
    /// Of a single content.
    embedding: Option<Vector>,
    #[serde(borrow)]
    usage_metadata: Option<&'a RawValue>,
    error: Option<Value>,
}

#[derive(Deserialize, Serialize)]
struct Vector {
    values: Vec<f32>,
}

pub(crate) fn read_reply(body: &[u8]) -> Result<EmbeddingReply, ReplyFault> {
    let Ok(answer) = serde_json::from_slice::<Answer<'_>>(body) else {
        return Err(incoming::fault_of(body));
    };
    if let Some(error) = answer.error.as_ref().and_then(UpstreamError::of_error) {
        return Err(ReplyFault::from(error));
    }
    let batch = answer.embeddings.unwrap_or_default().into_iter();
    let vectors = batch.chain(answer.embedding).map(|vector| vector.values);
    let vectors: Vec<Vec<f32>> = vectors.collect();
    if vectors.is_empty() {
        return Err(ReplyFault::NoAnswer);
    }
    Ok(EmbeddingReply {
        model: None,
        vectors,
        usage: answer
            .usage_metadata
            .map(RawValue::get)
            .and_then(usage::read_usage),
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    embeddings: Option<Vec<Values<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embedding: Option<Values<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_metadata: Option<UsageMetadata>,
}

#[derive(Serialize)]
struct Values<'a> {
    values: &'a [f32],
}

/// One vector for one content, a list of them for a batch.
pub(crate) fn write_reply(
    endpoint: Endpoint,
    reply: &EmbeddingReply,
    _ask: &EmbeddingAsk,
    _facts: &AnswerFacts,
) -> Vec<u8> {
    let mut vectors = reply.vectors.iter().map(|values| Values { values });
    let (embedding, embeddings) = match endpoint {
        Endpoint::EmbedContent => (vectors.next(), None),
        _ => (None, Some(vectors.collect())),
    };
    let told = Told {
        embeddings,
        embedding,
        usage_metadata: reply.usage.map(UsageMetadata::from),
    };
    serde_json::to_vec(&told).unwrap_or_default()
}

#[cfg(test)]
mod tests;
