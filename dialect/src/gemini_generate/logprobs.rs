//! `logprobsResult` ↔ OpenAI's `logprobs`.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The chosen tokens, and for each of them what else it could have been.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LogprobsResult {
    /// For each of the chosen, or for none.
    #[serde(skip_serializing_if = "are_all_empty")]
    top_candidates: Vec<TopCandidates>,
    chosen_candidates: Vec<Token>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct TopCandidates {
    candidates: Vec<Token>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct Token {
    token: String,
    #[serde(alias = "logprob")]
    log_probability: f64,
}

/// One item of OpenAI's `content`.
#[derive(Deserialize)]
struct OpenaiToken {
    #[serde(flatten)]
    token: Token,
    top_logprobs: Option<Vec<Token>>,
}

/// In OpenAI's form; `None` if there is nothing in it.
pub(super) fn to_openai(raw: &str) -> Option<Value> {
    let LogprobsResult {
        top_candidates,
        chosen_candidates,
    } = serde_json::from_str(raw).ok()?;
    if chosen_candidates.is_empty() {
        return None;
    }
    let mut tops = top_candidates.into_iter();
    let tokens = chosen_candidates.iter().map(|token| {
        let Token {
            token,
            log_probability,
        } = token;
        let top = tops.next().unwrap_or_default().candidates;
        let top: Vec<Value> = top.iter().map(alternative).collect();
        json!({"token": token, "logprob": log_probability, "bytes": token.as_bytes(), "top_logprobs": top})
    });
    let tokens: Vec<Value> = tokens.collect();
    Some(json!({"content": tokens}))
}

fn alternative(token: &Token) -> Value {
    let Token {
        token,
        log_probability,
    } = token;
    json!({"token": token, "logprob": log_probability, "bytes": token.as_bytes()})
}

fn are_all_empty(tops: &[TopCandidates]) -> bool {
    tops.iter().all(|top| top.candidates.is_empty())
}

impl LogprobsResult {
    pub(super) fn of_openai(logprobs: &mut Value) -> Self {
        let content = logprobs.get_mut("content").map(Value::take);
        let tokens: Vec<OpenaiToken> =
            serde_json::from_value(content.unwrap_or_default()).unwrap_or_default();
        let mut result = Self::default();
        for OpenaiToken {
            token,
            top_logprobs,
        } in tokens
        {
            result.chosen_candidates.push(token);
            result.top_candidates.push(TopCandidates {
                candidates: top_logprobs.unwrap_or_default(),
            });
        }
        result
    }

    pub(super) fn append(&mut self, mut more: Self) {
        self.chosen_candidates.append(&mut more.chosen_candidates);
        self.top_candidates.append(&mut more.top_candidates);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOGLES: &str = r#"{"topCandidates":[{"candidates":[{"token":"Hi","logProbability":-0.1},{"token":"Yo","logProbability":-2.5}]}],"chosenCandidates":[{"token":"Hi","logProbability":-0.1}]}"#;

    #[test]
    fn probabilities_are_told_in_openais_form_and_back() {
        let mut openais = to_openai(GOOGLES).unwrap();

        let expected = json!({"content": [{"token": "Hi", "logprob": -0.1, "bytes": [72, 105], "top_logprobs": [
            {"token": "Hi", "logprob": -0.1, "bytes": [72, 105]},
            {"token": "Yo", "logprob": -2.5, "bytes": [89, 111]},
        ]}]});
        assert_eq!(openais, expected);
        let back = LogprobsResult::of_openai(&mut openais);
        assert_eq!(serde_json::to_string(&back).unwrap(), GOOGLES);
    }

    #[test]
    fn what_is_no_report_is_none() {
        for raw in ["{}", "[]", "7", r#"{"chosenCandidates":"x"}"#] {
            assert_eq!(to_openai(raw), None, "{raw}");
        }
        for mut openais in [
            Value::Null,
            json!([]),
            json!("x"),
            json!({"content": null}),
            json!({"content": [7]}),
        ] {
            assert!(
                LogprobsResult::of_openai(&mut openais)
                    .chosen_candidates
                    .is_empty()
            );
        }
    }
}
