//! `POST /v1/embeddings`: its request and its objects.

use serde::Serialize;

use crate::answer::Usage;
use crate::base64;
use crate::fields::{self, Item, Reading};
use crate::reply::write_json;
use crate::text::Texts;

use super::inference::{Call, JSON, Make, Received};

/// Numbers in a vector, unless the request says otherwise.
pub(super) const DIMENSIONS: u32 = 256;
pub(super) const DIMENSIONS_MAX: i64 = 4096;
const ITEMS_MAX: u32 = 2048;

#[derive(Clone, Copy, Debug)]
enum Encoding {
    Float,
    Base64,
}

/// The vectors that a request asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vectors {
    items: u32,
    dimensions: u32,
    encoding: Encoding,
}

#[derive(Serialize)]
struct EmbeddingList<'a> {
    object: &'static str,
    data: Vec<Embedding>,
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<EmbeddingUsage>,
}

#[derive(Serialize)]
struct Embedding {
    object: &'static str,
    index: u32,
    embedding: Numbers,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Numbers {
    Float(Vec<f32>),
    Base64(String),
}

#[derive(Serialize)]
struct EmbeddingUsage {
    prompt_tokens: u32,
    total_tokens: u32,
}

pub(super) fn read(received: Received<'_>) -> Reading<Call> {
    let body = fields::json(received.body)?;
    Item::root(&body, received.dialect.manners()).object(|fields| {
        let model = received.model_of(fields)?;
        let input = Texts::read(&fields.need("input")?)?;
        if input.items() > ITEMS_MAX {
            return Err(fields.wrong("input", "at most 2048 texts"));
        }
        let dimensions = fields.whole("dimensions", 1..=DIMENSIONS_MAX)?;
        let dimensions = dimensions.and_then(|it| u32::try_from(it).ok());
        let encoding = fields.one_of("encoding_format", &["float", "base64"])?;
        fields.text("user")?;
        let vectors = Vectors {
            items: input.items(),
            dimensions: dimensions.unwrap_or(DIMENSIONS),
            encoding: match encoding {
                Some("base64") => Encoding::Base64,
                _ => Encoding::Float,
            },
        };
        Ok(Call::Make(Make {
            prompt_tokens: input.tokens(),
            content_type: JSON,
            body: Box::new({
                let model = model.clone();
                move |usage| vectors.body(&model, usage.map(Usage::total_tokens))
            }),
            model,
        }))
    })
}

impl Vectors {
    /// The answer as JSON; `tokens` is `None` if the provider tells no usage.
    pub(super) fn body(self, model: &str, tokens: Option<u32>) -> Vec<u8> {
        let data = (0..self.items)
            .map(|index| {
                let vector = vector(index, self.dimensions);
                let embedding = match self.encoding {
                    Encoding::Float => Numbers::Float(vector),
                    Encoding::Base64 => Numbers::Base64(base64_of(&vector)),
                };
                Embedding {
                    object: "embedding",
                    index,
                    embedding,
                }
            })
            .collect();
        let list = EmbeddingList {
            object: "list",
            data,
            model,
            usage: tokens.map(|tokens| EmbeddingUsage {
                prompt_tokens: tokens,
                total_tokens: tokens,
            }),
        };
        let mut out = Vec::new();
        write_json(&mut out, &list);
        out
    }
}

/// The vector of the text at `index`: the same in each answer, another for each index.
pub(super) fn vector(index: u32, dimensions: u32) -> Vec<f32> {
    let mut chance = fastrand::Rng::with_seed(index.into());
    (0..dimensions).map(|_| chance.f32() * 2.0 - 1.0).collect()
}

/// Little-endian numbers in base64 (RFC 4648 §4), as OpenAI's clients read them.
fn base64_of(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect();
    base64::encode(&bytes)
}
