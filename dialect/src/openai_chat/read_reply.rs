//! An upstream's whole answer → the canonical form.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use shared::config::Manners;

use super::manners::Habits;
use super::said::{self, Said};
use crate::canon::{Choice, Finish, Part, Reply, ToolCall};
use crate::{ReplyFault, UpstreamError, Usage};

/// What wraps the answers of a chat, or the vectors of an embedding.
#[derive(Deserialize)]
pub(super) struct Body<'a, T> {
    #[serde(borrow)]
    pub(super) id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) model: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    /// Of an embedding, `data`.
    #[serde(alias = "data")]
    choices: Option<Vec<T>>,
}

#[derive(Deserialize)]
struct ChoiceBody {
    #[serde(default)]
    message: Option<Said>,
    finish_reason: Option<String>,
    logprobs: Option<Value>,
}

/// Reads the body of a 200.
///
/// # Errors
///
/// What is no answer: an error in spite of the status, a web page, half a document.
pub(crate) fn read_reply(body: &[u8], manners: Manners) -> Result<Reply, ReplyFault> {
    let (body, answers) = open::<ChoiceBody>(body)?;
    let choices = answers.into_iter().map(read_choice);
    Ok(Reply {
        id: said::word(body.id),
        model: said::word(body.model),
        choices: choices.collect::<Result<_, _>>()?,
        usage: chat_usage(body.usage, Habits::of(manners)),
    })
}

/// Takes the answers out of their wrapping; there is at least one.
pub(super) fn open<'a, T: Deserialize<'a>>(
    bytes: &'a [u8],
) -> Result<(Body<'a, T>, Vec<T>), ReplyFault> {
    let is_object = bytes.trim_ascii_start().starts_with(b"{");
    let body: Option<Body<'a, T>> = match is_object {
        true => serde_json::from_slice(bytes).ok(),
        // An array would be taken for the fields in their order.
        false => None,
    };
    let Some(mut body) = body else {
        return Err(match serde_json::from_slice(bytes) {
            Ok(other) => {
                UpstreamError::of_body(&other).map_or(ReplyFault::NoAnswer, ReplyFault::from)
            }
            Err(_) => ReplyFault::NotJson,
        });
    };
    if let Some(error) = body.error.and_then(error) {
        return Err(ReplyFault::from(error));
    }
    match body.choices.take() {
        Some(answers) if !answers.is_empty() => Ok((body, answers)),
        _ => Err(ReplyFault::NoAnswer),
    }
}

/// Reads the value of an `error` field.
pub(super) fn error(raw: &RawValue) -> Option<UpstreamError> {
    let error: Value = serde_json::from_str(raw.get()).ok()?;
    UpstreamError::of_error(&error)
}

pub(super) fn usage(raw: Option<&RawValue>) -> Option<Usage> {
    Usage::parse(raw?.get().as_bytes())
}

/// Google's endpoint tells of thoughts only by a total that is more than its parts.
pub(super) fn chat_usage(raw: Option<&RawValue>, habits: &Habits) -> Option<Usage> {
    #[derive(Deserialize)]
    struct Total {
        total_tokens: u32,
    }
    let usage = usage(raw)?;
    let total = match habits.counts_thoughts_apart {
        true => serde_json::from_str(raw?.get()).ok(),
        false => None,
    };
    let n_thoughts = total.map_or(0, |Total { total_tokens }| {
        total_tokens.saturating_sub(usage.total())
    });
    Usage {
        completion_tokens: usage.completion_tokens.saturating_add(n_thoughts),
        reasoning_tokens: usage.reasoning_tokens.saturating_add(n_thoughts),
        ..usage
    }
    .believed()
}

fn read_choice(choice: ChoiceBody) -> Result<Choice, ReplyFault> {
    let parts = read_parts(choice.message.unwrap_or_default());
    let has_calls = parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
    let finish = match choice.finish_reason {
        Some(reason) => said::finish(&reason, has_calls).map_err(ReplyFault::Upstream)?,
        None if has_calls => Finish::ToolCalls,
        None => Finish::Stop,
    };
    Ok(Choice {
        parts,
        finish,
        stop_sequence: None,
        logprobs: choice.logprobs,
    })
}

fn read_parts(mut said: Said) -> Vec<Part> {
    let mut parts = Vec::new();
    let thoughts = said.take_thoughts().some();
    match said.thinking_blocks {
        // They hold the thoughts once more, with a signature.
        Some(blocks) if !blocks.is_empty() => {
            parts.extend(blocks.into_iter().filter_map(|mut block| {
                let proof = block.take_proof();
                match block.is_redacted() {
                    true => proof.map(Part::RedactedThinking),
                    false => Some(Part::Thinking {
                        text: block.thinking.0,
                        signature: proof,
                    }),
                }
            }));
        }
        _ => parts.extend(thoughts.map(|text| Part::Thinking {
            text,
            signature: None,
        })),
    }
    parts.extend(said.content.some().map(Part::Text));
    parts.extend(said.refusal.some().map(Part::Refusal));
    for call in said.tool_calls.into_iter().flatten() {
        parts.push(Part::ToolCall(ToolCall {
            id: call.id.0,
            name: call.function.name.0,
            arguments: call.function.arguments.0,
            signature: call.extra_content.signature(),
        }));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &[u8]) -> Result<Reply, ReplyFault> {
        read_reply(body, Manners::Plain)
    }
    use proptest::prelude::*;

    #[track_caller]
    fn check_fault(body: &str, expected: &ReplyFault) {
        assert_eq!(read(body.as_bytes()).as_ref(), Err(expected), "{body}");
    }

    #[test]
    fn what_is_no_answer_is_a_fault() {
        let error = |message: &str| {
            ReplyFault::from(UpstreamError {
                message: message.to_owned(),
                ..UpstreamError::default()
            })
        };

        check_fault("<html>", &ReplyFault::NotJson);
        check_fault("", &ReplyFault::NotJson);
        check_fault(r#"{"choices":[{"#, &ReplyFault::NotJson);
        check_fault(r#"{"choices":[]}"#, &ReplyFault::NoAnswer);
        check_fault(r#"{"choices":7}"#, &ReplyFault::NoAnswer);
        check_fault("[]", &ReplyFault::NoAnswer);
        check_fault(r#"{"error":{"message":"m"}}"#, &error("m"));
        check_fault(r#"[{"error":{"message":"m"}}]"#, &error("m"));
        check_fault(r#"{"error":"m","choices":7}"#, &error("m"));
    }

    #[test]
    fn an_answer_that_its_provider_broke_off_is_a_fault() {
        let reply =
            read(br#"{"choices":[{"message":{"content":"Hel"},"finish_reason":"network_error"}]}"#);

        assert!(matches!(reply, Err(ReplyFault::Upstream(_))), "{reply:?}");
    }

    #[test]
    fn tool_calls_that_end_with_stop_end_with_tool_calls() {
        let reply = read(
            br#"{"choices":[{"finish_reason":"stop","message":{"content":null,
                "tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}}]}"#,
        )
        .unwrap();

        assert_eq!(reply.choices[0].finish, Finish::ToolCalls);
    }

    #[test]
    fn thoughts_that_are_only_in_googles_total_are_counted() {
        let usage = |manners, total: u32| {
            let usage =
                format!(r#"{{"prompt_tokens":10,"completion_tokens":5,"total_tokens":{total}}}"#);
            let body =
                format!(r#"{{"choices":[{{"message":{{"content":"Hi"}}}}],"usage":{usage}}}"#);
            let usage = read_reply(body.as_bytes(), manners).unwrap().usage.unwrap();
            (usage.completion_tokens, usage.reasoning_tokens)
        };

        assert_eq!(usage(Manners::GeminiOpenai, 115), (105, 100));
        assert_eq!(usage(Manners::GeminiOpenai, 15), (5, 0));
        assert_eq!(usage(Manners::Plain, 115), (5, 0));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body in any::<Vec<u8>>()) {
            let _ = read(&body);
        }

        #[test]
        fn no_json_makes_it_panic(
            body in r#"\{"(choices|error|id)":\[?(\{"(message|index)":)?[\[\]{}0-9"a-z:,]{0,12}\}?\]?\}"#,
        ) {
            let _ = read(body.as_bytes());
        }
    }
}
