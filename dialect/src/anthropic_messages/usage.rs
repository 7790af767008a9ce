//! Token counts in this dialect's words: its `input_tokens` are those that no cache had to do with.

use serde::Serialize;
use serde_json::Value;
use shared::units::clamp_tokens;

use crate::Usage;

/// What an upstream has reported so far. A stream reports twice, and each report has only what is new.
#[derive(Debug, Default)]
pub(super) struct Tally {
    input: u32,
    cache_write: u32,
    cache_read: u32,
    output: u32,
    thinking: u32,
    /// One count cannot be believed; then none is.
    is_absurd: bool,
}

/// The `usage` of a whole answer, and of both events of a stream that have one.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    #[serde(skip_serializing_if = "Option::is_none")]
    input_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_creation_input_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_read_input_tokens: Option<u32>,
    output_tokens: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Debug, Serialize)]
struct OutputDetails {
    thinking_tokens: u32,
}

impl Tally {
    /// Takes in the value of a `usage` field; counts are totals, and 0 tells nothing.
    pub(super) fn merge(&mut self, report: &Value) {
        let thinking = report.pointer("/output_tokens_details/thinking_tokens");
        for (known, reported) in [
            (&mut self.input, report.get("input_tokens")),
            (
                &mut self.cache_write,
                report.get("cache_creation_input_tokens"),
            ),
            (&mut self.cache_read, report.get("cache_read_input_tokens")),
            (&mut self.output, report.get("output_tokens")),
            (&mut self.thinking, thinking),
        ] {
            match Usage::count(reported) {
                None => self.is_absurd = true,
                // Some servers repeat the prompt's count as 0 when the answer ends.
                Some(0) => {}
                Some(count) => *known = count,
            }
        }
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        if self.is_absurd {
            return None;
        }
        let prompt = [self.input, self.cache_write, self.cache_read];
        let usage = Usage {
            prompt_tokens: clamp_tokens(prompt.into_iter().map(i64::from).sum()),
            completion_tokens: self.output,
            cached_tokens: self.cache_read,
            cache_write_tokens: self.cache_write,
            reasoning_tokens: self.thinking,
        };
        usage.believed()
    }
}

impl Report {
    /// Of a whole answer. Clients read both counts without asking: the estimate stands in for the prompt's, 0 for
    /// the answer's.
    pub(super) fn of_answer(usage: Option<Usage>, prompt_tokens_estimate: u32) -> Self {
        match usage {
            Some(usage) => Self {
                input_tokens: Some(uncached(usage)),
                ..Self::of_known(usage)
            },
            None => Self::of_start(prompt_tokens_estimate),
        }
    }

    /// Of a stream's begin.
    pub(super) fn of_start(prompt_tokens_estimate: u32) -> Self {
        Self {
            input_tokens: Some(prompt_tokens_estimate),
            ..Self::default()
        }
    }

    /// Of a stream's end.
    pub(super) fn of_end(usage: Option<Usage>) -> Self {
        match usage {
            Some(usage) => Self {
                // Anthropic's client takes a 0 over for the count that it has.
                input_tokens: Some(uncached(usage)).filter(|tokens| *tokens > 0),
                ..Self::of_known(usage)
            },
            None => Self::default(),
        }
    }

    fn of_known(usage: Usage) -> Self {
        let thinking_tokens = usage.reasoning_tokens;
        Self {
            input_tokens: None,
            cache_creation_input_tokens: Some(usage.cache_write_tokens),
            cache_read_input_tokens: Some(usage.cached_tokens),
            output_tokens: usage.completion_tokens,
            output_tokens_details: (thinking_tokens > 0)
                .then_some(OutputDetails { thinking_tokens }),
        }
    }
}

fn uncached(usage: Usage) -> u32 {
    usage
        .prompt_tokens
        .saturating_sub(usage.cached_tokens)
        .saturating_sub(usage.cache_write_tokens)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_prompt_includes_what_the_cache_had() {
        let mut tally = Tally::default();

        tally.merge(&json!({"input_tokens": 3, "cache_creation_input_tokens": 20,
            "cache_read_input_tokens": 100, "output_tokens": 5, "output_tokens_details": {"thinking_tokens": 2}}));

        let expected = Usage {
            prompt_tokens: 123,
            completion_tokens: 5,
            cached_tokens: 100,
            cache_write_tokens: 20,
            reasoning_tokens: 2,
        };
        assert_eq!(tally.usage(), Some(expected));
    }

    #[test]
    fn a_zero_at_the_end_does_not_undo_the_prompts_count() {
        let mut tally = Tally::default();

        tally.merge(&json!({"input_tokens": 9, "output_tokens": 1}));
        tally.merge(&json!({"input_tokens": 0, "output_tokens": 7}));

        let usage = tally.usage().unwrap();
        assert_eq!((usage.prompt_tokens, usage.completion_tokens), (9, 7));
    }

    #[test]
    fn an_absurd_count_spoils_the_report() {
        let mut tally = Tally::default();

        tally.merge(&json!({"input_tokens": 9, "output_tokens": -1}));
        tally.merge(&json!({"output_tokens": 7}));

        assert_eq!(tally.usage(), None);
    }

    #[track_caller]
    fn check(report: &Report, expected: &Value) {
        assert_eq!(serde_json::to_value(report).unwrap(), *expected);
    }

    #[test]
    fn an_unknown_prompt_is_left_out_of_the_end_and_estimated_elsewhere() {
        check(&Report::of_end(None), &json!({"output_tokens": 0}));
        let estimated = json!({"input_tokens": 9, "output_tokens": 0});
        check(&Report::of_start(9), &estimated);
        check(&Report::of_answer(None, 9), &estimated);
    }

    #[test]
    fn no_end_says_zero_input_tokens() {
        let all_cached = Usage {
            prompt_tokens: 100,
            completion_tokens: 5,
            cached_tokens: 100,
            ..Usage::default()
        };

        check(
            &Report::of_end(Some(all_cached)),
            &json!({"cache_creation_input_tokens": 0, "cache_read_input_tokens": 100, "output_tokens": 5}),
        );
    }
}
