//! Reported token usage, and what to believe of it.

use serde_json::{Map, Value};
use shared::units::{TOKENS_MAX, clamp_tokens};

/// Tokens as the provider counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub prompt_tokens: u32,
    /// Thoughts included; 0 for embeddings.
    pub completion_tokens: u32,
    /// Of the prompt's, those that were read from a cache.
    pub cached_tokens: u32,
    /// Of the prompt's, those that were written to a cache.
    pub cache_write_tokens: u32,
    /// Of the completion's, those that were thoughts.
    pub reasoning_tokens: u32,
}

impl Usage {
    /// Prompt and completion together, at most [`TOKENS_MAX`].
    pub fn total(self) -> u32 {
        let total = i64::from(self.prompt_tokens) + i64::from(self.completion_tokens);
        clamp_tokens(total)
    }

    /// Reads the value of a `usage` field; `None` if it cannot be believed, and the estimate stands.
    ///
    /// A report is believed as a whole or not at all: a negative, textual or absurd count would credit a quota, or
    /// close it for a day; and all zeros is how some servers say that they did not count.
    pub(crate) fn parse(raw: &[u8]) -> Option<Self> {
        let report: Map<String, Value> = serde_json::from_slice(raw).ok()?;
        // Images and sounds are counted in the words of the Responses API.
        let named = |name: &str, other: &str| report.get(name).or_else(|| report.get(other));
        let usage = Self {
            prompt_tokens: count(named("prompt_tokens", "input_tokens")?)?,
            completion_tokens: match named("completion_tokens", "output_tokens") {
                None | Some(Value::Null) => 0,
                Some(completion_tokens) => count(completion_tokens)?,
            },
            ..Self::default()
        };
        let details = |pointer: &str, name: &str| {
            let details = report.get(pointer)?.get(name)?;
            count(details)
        };
        let prompt = |name| details("prompt_tokens_details", name).unwrap_or_default();
        let usage = Self {
            cached_tokens: prompt("cached_tokens"),
            cache_write_tokens: prompt("cache_write_tokens"),
            reasoning_tokens: details("completion_tokens_details", "reasoning_tokens")
                .unwrap_or_default(),
            ..usage
        };
        usage.believed()
    }

    /// `None` if it counts nothing, which is how some servers say that they did not count. Parts are held within their
    /// whole.
    pub(crate) fn believed(self) -> Option<Self> {
        let counts_something = self.prompt_tokens > 0 || self.completion_tokens > 0;
        counts_something.then_some(Self {
            cached_tokens: self.cached_tokens.min(self.prompt_tokens),
            cache_write_tokens: self.cache_write_tokens.min(self.prompt_tokens),
            reasoning_tokens: self.reasoning_tokens.min(self.completion_tokens),
            ..self
        })
    }

    /// Reads one count of a report in another dialect: absent is 0.
    ///
    /// `None` for a count that cannot be believed; then none of the report is.
    pub(crate) fn count(value: Option<&Value>) -> Option<u32> {
        match value {
            None | Some(Value::Null) => Some(0),
            Some(value) => count(value),
        }
    }
}

/// A count of tokens; some providers write whole numbers with a fraction.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked before"
)]
fn count(value: &Value) -> Option<u32> {
    let count = value.as_f64()?;
    let is_plausible = (0.0..=f64::from(TOKENS_MAX)).contains(&count);
    is_plausible.then_some(count.ceil() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(raw: &str, expected: Option<(u32, u32)>) {
        let usage = Usage::parse(raw.as_bytes());
        assert_eq!(
            usage.map(|usage| (usage.prompt_tokens, usage.completion_tokens)),
            expected
        );
    }

    #[test]
    fn a_plain_report_is_believed() {
        check(
            r#"{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}"#,
            Some((7, 5)),
        );
        check(r#"{"prompt_tokens":7,"total_tokens":7}"#, Some((7, 0)));
        check(
            r#"{"prompt_tokens":7,"completion_tokens":null}"#,
            Some((7, 0)),
        );
        check(
            r#"{"prompt_tokens":6.2,"completion_tokens":5.0}"#,
            Some((7, 5)),
        );
    }

    #[test]
    fn a_report_with_an_absurd_count_is_not_believed() {
        check(r#"{"prompt_tokens":-5,"completion_tokens":5}"#, None);
        check(r#"{"prompt_tokens":7,"completion_tokens":-5}"#, None);
        check(
            r#"{"prompt_tokens":7,"completion_tokens":9223372036854775808}"#,
            None,
        );
        check(r#"{"prompt_tokens":1e30,"completion_tokens":5}"#, None);
        check(r#"{"prompt_tokens":"7","completion_tokens":5}"#, None);
        check(r#"{"prompt_tokens":[7],"completion_tokens":{"a":5}}"#, None);
        check(r#"{"prompt_tokens":true,"completion_tokens":5}"#, None);
    }

    #[test]
    fn a_report_that_counts_nothing_is_not_believed() {
        check(r#"{"prompt_tokens":0,"completion_tokens":0}"#, None);
        check("{}", None);
        check("null", None);
        check("[1,2]", None);
    }

    #[test]
    fn totals_stay_in_range() {
        let usage = Usage {
            prompt_tokens: TOKENS_MAX,
            completion_tokens: 1,
            ..Usage::default()
        };

        assert_eq!(usage.total(), TOKENS_MAX);
    }
}
