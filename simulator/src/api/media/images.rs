//! Images: the same dot each time, as an address or in base64.

use serde_json::{Value, json};

use crate::api::inference::{Call, JSON, Make, Received};
use crate::ask;
use crate::fields::{self, Fields, Item, Reading};

const MODEL: &str = "dall-e-2";

/// A PNG of one transparent pixel.
const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

pub(in crate::api) fn read(received: Received<'_>) -> Reading<Call> {
    let body = fields::json(received.body)?;
    Item::root(&body, received.dialect.manners()).object(|fields| {
        let model = received.model.or(fields.text("model")?).unwrap_or(MODEL);
        let prompt = fields.need_text("prompt")?;
        let n_images = fields.whole("n", 1..=10)?.unwrap_or(1);
        let format = fields.one_of("response_format", &["url", "b64_json"])?;
        check_others(fields)?;
        // The newer models know no addresses.
        let is_data = format == Some("b64_json") || model.starts_with("gpt-image");
        let image = match is_data {
            true => json!({"b64_json": PIXEL}),
            false => json!({"url": "https://example.com/simulated.png", "revised_prompt": prompt}),
        };
        let data: Vec<Value> = (0..n_images).map(|_| image.clone()).collect();
        let mut body = json!({"created": 1_704_067_200, "data": data});
        Ok(Call::Make(Make {
            model: model.to_owned(),
            prompt_tokens: ask::tokens_in(prompt.len() as u64),
            content_type: JSON,
            body: Box::new(move |usage| {
                if let Some(usage) = usage {
                    let tokens = usage.total_tokens();
                    body["usage"] = json!({
                        "input_tokens": tokens,
                        "input_tokens_details": {"text_tokens": tokens, "image_tokens": 0},
                        "output_tokens": 0,
                        "total_tokens": tokens,
                    });
                }
                body.to_string().into_bytes()
            }),
        }))
    })
}

/// What is checked and changes nothing.
fn check_others(fields: &mut Fields<'_>) -> Reading<()> {
    fields.text("size")?;
    fields.text("user")?;
    let qualities = ["standard", "hd", "low", "medium", "high", "auto"];
    fields.one_of("quality", &qualities)?;
    fields.one_of("style", &["vivid", "natural"])?;
    fields.one_of("background", &["transparent", "opaque", "auto"])?;
    fields.one_of("moderation", &["low", "auto"])?;
    fields.one_of("output_format", &["png", "jpeg", "webp"])?;
    fields.whole("output_compression", 0..=100)?;
    fields.whole("partial_images", 0..=3)?;
    match fields.flag("stream")? {
        Some(true) => Err(fields.against("stream", "Streaming of images is not available.")),
        _ => Ok(()),
    }
}
