//! Token counts where a provider reports none, and for estimates before it can.

use std::sync::{LazyLock, OnceLock};

use shared::units::clamp_tokens;
use thiserror::Error;
use tiktoken_rs::CoreBPE;

use crate::scan;

/// Longer texts are not tokenized: it would hold a thread for more than some ten milliseconds.
pub(crate) const TOKENIZED_BYTES_MAX: usize = 256 * 1024;

/// Texts are tokenized in segments, so that no input comes near the tokenizer's limit on backtracking, beyond
/// which it panics. A cut costs at most one token.
const SEGMENT_BYTES: usize = 8 * 1024;

/// English prose in tiktoken's vocabularies.
const BYTES_PER_TOKEN: usize = 4;

/// Made once for a process and never given back: its half a million pieces take longer to free than a client waits.
static O200K: LazyLock<Result<CoreBPE, TokenizerError>> =
    LazyLock::new(|| tiktoken_rs::o200k_base().map_err(|error| TokenizerError(error.to_string())));

/// Counts tokens as `o200k_base` does, once that is loaded; until then, a token is four bytes.
///
/// One vocabulary for all models: this is an estimate where the model's own is unknown anyway.
#[derive(Default)]
pub struct TokenCounter {
    vocabulary: OnceLock<&'static CoreBPE>,
}

#[derive(Clone, Debug, Error)]
#[error("cannot load the tokenizer: {0}")]
pub struct TokenizerError(String);

impl TokenCounter {
    /// Returns at once, with nothing loaded.
    pub fn new() -> Self {
        Self::default()
    }

    /// Loads the vocabulary. Blocks for some 150 ms, the first time in a process.
    ///
    /// # Errors
    ///
    /// When the vocabulary built into this binary is damaged; counts then stay estimates.
    pub fn load(&self) -> Result<(), TokenizerError> {
        let vocabulary = O200K.as_ref().map_err(TokenizerError::clone)?;
        // A second load finds it set already.
        self.vocabulary.get_or_init(|| vocabulary);
        Ok(())
    }

    pub fn count(&self, text: &str) -> u32 {
        self.tokenize(text)
            .unwrap_or_else(|| estimate_tokens(text.len()))
    }

    /// Counts the string that stands as `raw`, without its quotes, in a JSON document.
    pub(crate) fn count_json_string(&self, raw: &[u8]) -> u32 {
        let has_escapes = raw.contains(&b'\\');
        match has_escapes.then(|| scan::unescape(raw)).flatten() {
            Some(text) => self.count(&text),
            None => self.count(&String::from_utf8_lossy(raw)),
        }
    }

    /// `None` until loaded, and for what is too long.
    fn tokenize(&self, text: &str) -> Option<u32> {
        if text.len() > TOKENIZED_BYTES_MAX {
            return None;
        }
        let vocabulary = self.vocabulary.get()?;
        let mut n_tokens = 0;
        let mut rest = text;
        while !rest.is_empty() {
            let (segment, after) = rest.split_at(rest.floor_char_boundary(SEGMENT_BYTES));
            n_tokens += vocabulary.count_ordinary(segment);
            rest = after;
        }
        Some(clamp_length(n_tokens))
    }
}

/// Tokens in a text of `n_bytes`, rounded up.
pub(crate) fn estimate_tokens(n_bytes: usize) -> u32 {
    clamp_length(n_bytes.div_ceil(BYTES_PER_TOKEN))
}

/// A count of things as a number of tokens.
pub(crate) fn clamp_length(n: usize) -> u32 {
    clamp_tokens(i64::try_from(n).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded() -> TokenCounter {
        let counter = TokenCounter::new();
        counter.load().unwrap();
        counter
    }

    #[test]
    fn a_token_is_four_bytes_until_the_vocabulary_is_loaded() {
        let counter = TokenCounter::new();

        assert_eq!(counter.count(""), 0);
        assert_eq!(counter.count("abcde"), 2);
    }

    #[test]
    fn a_loaded_counter_counts_as_o200k_does() {
        let counter = loaded();

        // The example of OpenAI's own documentation of its tokenizer.
        assert_eq!(counter.count("tiktoken is great!"), 6);
    }

    #[test]
    fn texts_too_long_to_tokenize_are_estimated() {
        let counter = loaded();

        assert_eq!(counter.count(&"a ".repeat(TOKENIZED_BYTES_MAX)), 131_072);
    }

    #[test]
    fn no_text_makes_the_tokenizer_panic() {
        let counter = loaded();

        for unit in [
            "a",
            "A",
            " ",
            "\n",
            "é",
            "字",
            "e\u{301}",
            "\u{1f9d1}\u{200d}",
            " A",
            "\r\n ",
            "1",
            "'s",
        ] {
            let text = unit.repeat(TOKENIZED_BYTES_MAX / unit.len());
            assert!(counter.count(&text) > 0, "{unit:?}");
        }
    }
}
