//! What pictures, sounds and documents cost, by the published rule of whoever speaks the client's dialect.
//!
//! The estimate is made before an upstream is chosen, so its own rule cannot be known; that of the client's dialect is
//! the best guess, since most requests stay in it. What is settled in the end is what the upstream reports.

use shared::config::Dialect;

use super::image_size::{ImageSize, image_size};
use crate::scan::{Attachment, AttachmentKind, Text};
use crate::tokens::clamp_length;

/// A picture of 1024 × 1024 at high detail, by OpenAI's rule: what stands for a picture whose size is not told, such as
/// one that is only named by its address; for every picture to Ollama, whose models each have a rule of their own; for
/// a sound, whose length its bytes do not tell before they are decoded; and for a document, which is paid for by the
/// page (258 tokens with Gemini, some 1500 to 3000 with Anthropic), and whose pages cannot be counted without reading it.
const TOKENS_UNKNOWN: u32 = 765;

/// OpenAI: "Calculating costs" in its guide to images, for the models that count in tiles.
mod openai {
    pub(super) const TOKENS_AT_LEAST: u32 = 85;
    pub(super) const TOKENS_PER_TILE: u32 = 170;
    pub(super) const TILE: u32 = 512;
    pub(super) const LONG_SIDE_MAX: u32 = 2048;
    pub(super) const SHORT_SIDE_MAX: u32 = 768;
}

/// Anthropic: "Evaluate image size" in its guide to vision. The newest models look at larger pictures, up to three
/// times as dear.
mod anthropic {
    pub(super) const LONG_SIDE_MAX: u32 = 1568;
    pub(super) const PIXELS_PER_TOKEN: u64 = 750;
    pub(super) const TOKENS_MAX: u64 = 1600;
}

/// Google: "Understand and count tokens" in its documentation of Gemini.
mod gemini {
    pub(super) const TOKENS_PER_TILE: u32 = 258;
    pub(super) const SMALL_SIDE_MAX: u32 = 384;
    pub(super) const TILE: u32 = 768;
    /// Larger ones are scaled down.
    pub(super) const SIDE_MAX: u32 = 3072;
}

/// The tokens of all attachments in `text`, whose spans lie in `body`.
pub(super) fn tokens(dialect: Dialect, text: &Text, body: &[u8]) -> u32 {
    let mut total: u32 = 0;
    for attachment in &text.attachments {
        total = total.saturating_add(attachment_tokens(dialect, attachment, body));
    }
    use AttachmentKind::{Document, Image, Sound};
    let kinds = [Image, Sound, Document].into_iter();
    let n_attachments: usize = kinds.map(|kind| text.n_attachments(kind)).sum();
    let n_unknown = clamp_length(n_attachments.saturating_sub(text.attachments.len()));
    total.saturating_add(n_unknown.saturating_mul(TOKENS_UNKNOWN))
}

fn attachment_tokens(dialect: Dialect, attachment: &Attachment, body: &[u8]) -> u32 {
    if attachment.kind() != AttachmentKind::Image {
        return TOKENS_UNKNOWN;
    }
    let speaks_openai = matches!(dialect, Dialect::OpenaiChat | Dialect::OpenaiResponses);
    if speaks_openai && attachment.is_low_detail {
        return openai::TOKENS_AT_LEAST;
    }
    let raw = body.get(attachment.value.clone()).unwrap_or_default();
    let Some(size) = image_size(raw) else {
        return TOKENS_UNKNOWN;
    };
    match dialect {
        Dialect::OpenaiChat | Dialect::OpenaiResponses => openai_tokens(size),
        Dialect::AnthropicMessages | Dialect::BedrockConverse => anthropic_tokens(size),
        Dialect::GeminiGenerate => gemini_tokens(size),
        Dialect::OllamaChat => TOKENS_UNKNOWN,
    }
}

fn openai_tokens(size: ImageSize) -> u32 {
    let size = size.within(openai::LONG_SIDE_MAX);
    let short_side = size.width.min(size.height);
    let size = match short_side > openai::SHORT_SIDE_MAX {
        true => size.scaled(openai::SHORT_SIDE_MAX, short_side),
        false => size,
    };
    openai::TOKENS_AT_LEAST + openai::TOKENS_PER_TILE * size.n_tiles(openai::TILE)
}

fn anthropic_tokens(size: ImageSize) -> u32 {
    let size = size.within(anthropic::LONG_SIDE_MAX);
    let n_pixels = u64::from(size.width) * u64::from(size.height);
    let n_tokens = n_pixels.div_ceil(anthropic::PIXELS_PER_TOKEN);
    u32::try_from(n_tokens.min(anthropic::TOKENS_MAX)).unwrap_or(TOKENS_UNKNOWN)
}

fn gemini_tokens(size: ImageSize) -> u32 {
    if size.width.max(size.height) <= gemini::SMALL_SIDE_MAX {
        return gemini::TOKENS_PER_TILE;
    }
    gemini::TOKENS_PER_TILE * size.within(gemini::SIDE_MAX).n_tiles(gemini::TILE)
}

impl ImageSize {
    /// Scaled down until no side is longer.
    fn within(self, side_max: u32) -> Self {
        let long_side = self.width.max(self.height);
        match long_side > side_max {
            true => self.scaled(side_max, long_side),
            false => self,
        }
    }

    /// Times `to` / `from`, which is less than one.
    fn scaled(self, to: u32, from: u32) -> Self {
        let scale = |side: u32| {
            let side = u64::from(side) * u64::from(to) / u64::from(from.max(1));
            u32::try_from(side).unwrap_or(u32::MAX).max(1)
        };
        Self {
            width: scale(self.width),
            height: scale(self.height),
        }
    }

    fn n_tiles(self, tile: u32) -> u32 {
        self.width.div_ceil(tile) * self.height.div_ceil(tile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(tokens: fn(ImageSize) -> u32, width: u32, height: u32, expected: u32) {
        assert_eq!(tokens(ImageSize { width, height }), expected);
        assert_eq!(
            tokens(ImageSize {
                width: height,
                height: width
            }),
            expected
        );
    }

    #[test]
    fn openai_counts_tiles_after_scaling() {
        check(openai_tokens, 1, 1, 255);
        check(openai_tokens, 512, 512, 255);
        check(openai_tokens, 513, 512, 425);
        // Both are examples of OpenAI's own.
        check(openai_tokens, 1024, 1024, 765);
        check(openai_tokens, 2048, 4096, 1105);
        check(openai_tokens, 1920, 1080, 1105);
        check(openai_tokens, u32::MAX, 1, 85 + 4 * 170);
        check(openai_tokens, u32::MAX, u32::MAX, 765);
    }

    #[test]
    fn anthropic_counts_pixels_up_to_a_bound() {
        check(anthropic_tokens, 1, 1, 1);
        // Examples of Anthropic's own, which rounds.
        check(anthropic_tokens, 200, 200, 54);
        check(anthropic_tokens, 1000, 1000, 1334);
        check(anthropic_tokens, 1092, 1092, 1590);
        check(anthropic_tokens, 3136, 784, 820);
        check(anthropic_tokens, u32::MAX, u32::MAX, 1600);
    }

    #[test]
    fn gemini_counts_large_tiles() {
        check(gemini_tokens, 384, 384, 258);
        check(gemini_tokens, 385, 384, 258);
        check(gemini_tokens, 769, 768, 516);
        check(gemini_tokens, 1980, 1380, 1548);
        check(gemini_tokens, u32::MAX, u32::MAX, 16 * 258);
    }
}
