//! `:embedContent` and `:batchEmbedContents`.

use serde_json::{Value, json};

use crate::api::embeddings::{DIMENSIONS, DIMENSIONS_MAX, vector};
use crate::api::inference::{Call, JSON, Make, Received};
use crate::ask;
use crate::fields::{self, Fields, Item, Reading};

use super::request::check_model;

/// One text to embed.
struct Embedding {
    bytes: u64,
    dimensions: u32,
}

pub(in crate::api) fn read_embed(received: Received<'_>) -> Reading<Call> {
    let model = received.model.unwrap_or_default();
    let body = fields::json(received.body)?;
    Item::root(&body, received.dialect.manners()).object(|fields| {
        let embedding = read_one(fields, model)?;
        let body = json!({"embedding": values(0, &embedding)});
        Ok(call(model, embedding.bytes, body))
    })
}

pub(in crate::api) fn read_batch_embed(received: Received<'_>) -> Reading<Call> {
    let model = received.model.unwrap_or_default();
    let body = fields::json(received.body)?;
    Item::root(&body, received.dialect.manners()).object(|fields| {
        let mut bytes = 0;
        let mut embeddings = Vec::new();
        for (index, request) in (0..).zip(fields.need("requests")?.some()?) {
            let embedding = request.object(|fields| {
                if fields.value("model").is_none() {
                    return Err(fields.missing("model"));
                }
                read_one(fields, model)
            })?;
            bytes += embedding.bytes;
            embeddings.push(values(index, &embedding));
        }
        Ok(call(model, bytes, json!({"embeddings": embeddings})))
    })
}

fn read_one(fields: &mut Fields<'_>, model: &str) -> Reading<Embedding> {
    check_model(fields, model)?;
    let bytes = fields.need("content")?.object(|content| {
        content.text("role")?;
        let mut bytes = 0;
        for part in content.need("parts")?.some()? {
            bytes += part.object(|part| Ok(part.need_text("text")?.len() as u64))?;
        }
        Ok(bytes)
    })?;
    fields.text("taskType")?;
    fields.text("title")?;
    let dimensions = fields.whole("outputDimensionality", 1..=DIMENSIONS_MAX)?;
    let dimensions = dimensions.and_then(|it| u32::try_from(it).ok());
    Ok(Embedding {
        bytes,
        dimensions: dimensions.unwrap_or(DIMENSIONS),
    })
}

fn values(index: u32, embedding: &Embedding) -> Value {
    json!({"values": vector(index, embedding.dimensions)})
}

fn call(model: &str, bytes: u64, body: Value) -> Call {
    Call::Make(Make {
        model: model.to_owned(),
        prompt_tokens: ask::tokens_in(bytes),
        content_type: JSON,
        body: Box::new(move |_| body.to_string().into_bytes()),
    })
}
