//! `POST /v1/moderations`: nothing is ever flagged.

use serde_json::{Map, Value, json};

use crate::ask;
use crate::fields::{self, Fields, Item, Reading};

use super::inference::{Call, JSON, Make, Received};
use super::openai_chat::check_url;

const MODEL: &str = "omni-moderation-latest";

const CATEGORIES: [&str; 13] = [
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/intent",
    "self-harm/instructions",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
];

pub(super) fn read(received: Received<'_>) -> Reading<Call> {
    let body = fields::json(received.body)?;
    Item::root(&body, received.dialect.manners()).object(|fields| {
        let model = fields.text("model")?.or(received.model).unwrap_or(MODEL);
        let (n_results, bytes) = read_input(&fields.need("input")?)?;
        let results = vec![result(); n_results];
        let body = json!({"id": "modr-simulated", "model": model, "results": results});
        Ok(Call::Make(Make {
            model: model.to_owned(),
            prompt_tokens: ask::tokens_in(bytes),
            content_type: JSON,
            body: Box::new(move |_| body.to_string().into_bytes()),
        }))
    })
}

/// How many results there will be, and the bytes of all texts: parts are judged together, texts one by one.
fn read_input(input: &Item<'_>) -> Reading<(usize, u64)> {
    if input.is_text() {
        return Ok((1, input.text()?.len() as u64));
    }
    let list = input.some()?;
    let mut bytes = 0;
    if list.iter().all(Item::is_text) {
        for text in &list {
            bytes += text.text()?.len() as u64;
        }
        return Ok((list.len(), bytes));
    }
    for part in &list {
        bytes += part.object(read_part)?;
    }
    Ok((1, bytes))
}

fn read_part(part: &mut Fields<'_>) -> Reading<u64> {
    match part.need_one_of("type", &["text", "image_url"])? {
        "text" => Ok(part.need_text("text")?.len() as u64),
        _ => {
            let check = |image: &mut Fields<'_>| check_url(&image.need("url")?, &["image/"]);
            part.need("image_url")?.object(check)?;
            Ok(0)
        }
    }
}

fn result() -> Value {
    let each = |value: Value| -> Map<String, Value> {
        let categories = CATEGORIES.iter();
        categories
            .map(|name| ((*name).to_owned(), value.clone()))
            .collect()
    };
    json!({
        "flagged": false,
        "categories": each(false.into()),
        "category_scores": each(0.0.into()),
        "category_applied_input_types": each(json!(["text"])),
    })
}
