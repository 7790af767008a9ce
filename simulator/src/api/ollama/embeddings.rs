//! `/api/embed`, and `/api/embeddings` from before it.

use serde_json::json;

use crate::answer::Usage;
use crate::api::embeddings::{DIMENSIONS, DIMENSIONS_MAX, vector};
use crate::api::inference::{Call, JSON, Make, Received};
use crate::ask;
use crate::fields::{self, Item, Reading};

use super::options;

pub(in crate::api) fn read_embed(received: Received<'_>) -> Reading<Call> {
    let body = fields::json(received.body)?;
    Item::root(&body, received.dialect.manners()).object(|fields| {
        let model = fields.need_text("model")?.to_owned();
        let input = fields.need("input")?;
        let texts = match input.is_text() {
            true => vec![input.text()?],
            false => fields.texts("input")?.unwrap_or_default(),
        };
        fields.flag("truncate")?;
        options::read(fields)?;
        let dimensions = fields.whole("dimensions", 1..=DIMENSIONS_MAX)?;
        let dimensions = dimensions.and_then(|it| u32::try_from(it).ok());
        let dimensions = dimensions.unwrap_or(DIMENSIONS);
        let vectors: Vec<_> = (0..)
            .zip(&texts)
            .map(|(index, _)| vector(index, dimensions))
            .collect();
        let mut body = json!({"model": model, "embeddings": vectors, "total_duration": 2_000_000, "load_duration": 1_000_000});
        Ok(Call::Make(Make {
            model,
            prompt_tokens: ask::tokens_in(texts.iter().map(|text| text.len() as u64).sum()),
            content_type: JSON,
            body: Box::new(move |usage| {
                if let Some(tokens) = usage.map(Usage::total_tokens) {
                    body["prompt_eval_count"] = tokens.into();
                }
                body.to_string().into_bytes()
            }),
        }))
    })
}

pub(in crate::api) fn read_embeddings(received: Received<'_>) -> Reading<Call> {
    let body = fields::json(received.body)?;
    Item::root(&body, received.dialect.manners()).object(|fields| {
        let model = fields.need_text("model")?.to_owned();
        let prompt = fields.text("prompt")?.unwrap_or_default();
        options::read(fields)?;
        let body = json!({"embedding": vector(0, DIMENSIONS)});
        Ok(Call::Make(Make {
            model,
            prompt_tokens: ask::tokens_in(prompt.len() as u64),
            content_type: JSON,
            body: Box::new(move |_| body.to_string().into_bytes()),
        }))
    })
}
