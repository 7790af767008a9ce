//! `POST /v1/embeddings`: its request and its objects.

use serde::{Deserialize, Serialize};

use crate::reply::write_json;
use crate::text::Texts;

use super::errors::ApiError;
use super::inference::{Call, Output, parse_json};

/// Numbers in a vector, unless the request says otherwise.
const DIMENSIONS: u32 = 256;
const DIMENSIONS_MAX: u32 = 4096;
const ITEMS_MAX: u32 = 2048;

#[derive(Deserialize)]
struct EmbeddingsRequest {
    model: Option<String>,
    input: Option<Texts>,
    dimensions: Option<u32>,
    encoding_format: Option<Encoding>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    #[default]
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

pub(super) fn parse(body: &[u8]) -> Result<Call, ApiError> {
    let request: EmbeddingsRequest = parse_json(body)?;
    let model = request.model.ok_or(ApiError::missing("model"))?;
    let input = request.input.ok_or(ApiError::missing("input"))?;
    let dimensions = request.dimensions.unwrap_or(DIMENSIONS);
    if !(1..=DIMENSIONS_MAX).contains(&dimensions) {
        return Err(ApiError::out_of_range("dimensions", "1 to 4096"));
    }
    if input.items() > ITEMS_MAX {
        return Err(ApiError::out_of_range("input", "at most 2048 texts"));
    }
    Ok(Call {
        model,
        prompt_tokens: input.tokens(),
        output: Output::Vectors(Vectors {
            items: input.items(),
            dimensions,
            encoding: request.encoding_format.unwrap_or_default(),
        }),
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
fn vector(index: u32, dimensions: u32) -> Vec<f32> {
    let mut chance = fastrand::Rng::with_seed(index.into());
    (0..dimensions).map(|_| chance.f32() * 2.0 - 1.0).collect()
}

/// Little-endian numbers in base64 (RFC 4648 §4), as OpenAI's clients read them.
fn base64_of(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect();
    base64(&bytes)
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let mut bits = 0_u32;
        for position in 0..3 {
            bits = bits << 8 | u32::from(group.get(position).copied().unwrap_or_default());
        }
        for position in 0..4 {
            if position > group.len() {
                text.push('=');
            } else {
                let index = bits >> (18 - 6 * position) & 63;
                text.push(ALPHABET[index as usize].into());
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        let encoded = ["", "f", "fo", "foo", "foob", "fooba", "foobar"]
            .map(|text| base64(text.as_bytes()))
            .join(" ");

        assert_eq!(encoded, " Zg== Zm8= Zm9v Zm9vYg== Zm9vYmE= Zm9vYmFy");
    }
}
