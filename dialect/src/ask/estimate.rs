//! How many tokens a request may cost, before anyone counted them.

use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use shared::units::clamp_tokens;

use super::{Ask, FieldValue, attachments};
use crate::tokens::{TOKENIZED_BYTES_MAX, clamp_length, estimate_tokens};
use crate::{Endpoint, Operation, TokenCounter};

/// Output of a request that sets no limit on it.
const OUTPUT_TOKENS_DEFAULT: i64 = 1024;

/// What a chat costs beside its text: role and delimiters of each message, and the beginning of the answer.
const TOKENS_PER_MESSAGE: u32 = 4;
const TOKENS_PER_CHAT: u32 = 3;

/// Prompt + answers × (the output limit | 1024).
pub(super) fn tokens(ask: &Ask, tokens: &TokenCounter, overrides: &Map<String, Value>) -> u32 {
    if ask.endpoint.operation() == Operation::TokenCount {
        // Providers count for nothing.
        return 0;
    }
    let prompt = i64::from(ask.prompt_tokens(tokens));
    let is_generating = matches!(
        ask.endpoint.operation(),
        Operation::Chat | Operation::Completion
    );
    if !is_generating {
        return clamp_tokens(prompt);
    }
    let output = output_limit(ask, overrides).unwrap_or(OUTPUT_TOKENS_DEFAULT);
    let counts = ask.grammar.counts.iter();
    let n_drafts = counts
        .filter_map(|path| integer(ask, path, overrides))
        .fold(1, i64::max);
    let output = output
        .saturating_mul(n_drafts)
        .saturating_mul(n_prompts(ask));
    clamp_tokens(prompt.saturating_add(output))
}

/// Prompt and one answer, as far as its length is said: what has to fit into a model's context. `None` where several
/// texts are sent that need not fit together, and where nothing is generated.
pub(super) fn context(
    ask: &Ask,
    tokens: &TokenCounter,
    overrides: &Map<String, Value>,
) -> Option<u32> {
    let is_one_text = match ask.endpoint.operation() {
        Operation::Chat => true,
        Operation::Completion => n_prompts(ask) == 1,
        _ => false,
    };
    is_one_text.then(|| {
        let prompt = i64::from(ask.prompt_tokens(tokens));
        let output = output_limit(ask, overrides).unwrap_or_default();
        clamp_tokens(prompt.saturating_add(output))
    })
}

/// The first limit of the output that is set.
fn output_limit(ask: &Ask, overrides: &Map<String, Value>) -> Option<i64> {
    let limits = ask.grammar.output_limits.iter();
    // LM Studio and llama.cpp take -1 for no limit.
    limits
        .filter_map(|path| integer(ask, path, overrides))
        .find(|&limit| limit > 0)
}

pub(super) fn prompt_tokens(ask: &Ask, tokens: &TokenCounter) -> u32 {
    let text = &ask.object.text;
    let n_strings = clamp_length(text.strings.len());

    let mut total = clamp_length(text.n_numbers);
    total = total.saturating_add(match text.n_bytes > TOKENIZED_BYTES_MAX {
        true => estimate_tokens(text.n_bytes),
        false => count_strings(ask, tokens),
    });
    let dialect = ask.endpoint.dialect();
    total = total.saturating_add(attachments::tokens(dialect, text, &ask.body));
    let is_chat = matches!(
        ask.endpoint.operation(),
        Operation::Chat | Operation::TokenCount
    );
    if is_chat {
        total = total
            .saturating_add(n_strings.saturating_mul(TOKENS_PER_MESSAGE))
            .saturating_add(TOKENS_PER_CHAT);
        // Providers put the schemas into the prompt in a shorter form of their own.
        for name in ask.grammar.schemas {
            let raw = ask.field(name).map(FieldValue::raw).unwrap_or_default();
            total = total.saturating_add(tokens.count(&String::from_utf8_lossy(raw)));
        }
    }
    clamp_tokens(i64::from(total))
}

fn count_strings(ask: &Ask, tokens: &TokenCounter) -> u32 {
    let spans = ask.object.text.strings.iter();
    let raws = spans.filter_map(|span| ask.body.get(span.clone()));
    raws.fold(0, |total: u32, raw| {
        total.saturating_add(tokens.count_json_string(raw))
    })
}

/// The answers to a request: `n` to each of its prompts.
pub(super) fn n_choices(ask: &Ask, overrides: &Map<String, Value>) -> i64 {
    let path = ask.grammar.counts.first();
    let n = path
        .and_then(|path| integer(ask, path, overrides))
        .unwrap_or(1)
        .max(1);
    n.saturating_mul(n_prompts(ask))
}

/// A field's whole number, as the upstream will see it.
fn integer(ask: &Ask, path: &str, overrides: &Map<String, Value>) -> Option<i64> {
    let forced = overrides
        .iter()
        .find(|(name, _)| ask.place_of(name) == path);
    match forced {
        Some((_, value)) => value.as_i64(),
        None => ask.field(path).and_then(FieldValue::integer),
    }
}

/// Completions take several prompts at once, and answer each: texts, or lists of token ids.
fn n_prompts(ask: &Ask) -> i64 {
    if ask.endpoint != Endpoint::Completions {
        return 1;
    }
    let raw = ask.field("prompt").map(FieldValue::raw).unwrap_or_default();
    let Some(inside) = raw.strip_prefix(b"[") else {
        return 1;
    };
    if !matches!(inside.trim_ascii_start().first(), Some(b'"' | b'[')) {
        // One list of token ids.
        return 1;
    }
    let prompts = serde_json::from_slice::<Vec<IgnoredAny>>(raw).unwrap_or_default();
    i64::try_from(prompts.len()).unwrap_or(i64::MAX).max(1)
}

#[cfg(test)]
mod tests;
