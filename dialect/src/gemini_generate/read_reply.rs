//! An upstream's whole answer → the canonical form.

use serde_json::value::RawValue;

use super::finish::Failing;
use super::incoming::{Answer, Candidate, Part as AnswerPart, PromptFeedback};
use super::{OWN, finish, incoming, logprobs, usage};
use crate::canon::{Choice, Finish, Part, Proof, Reply, ToolCall};
use crate::{ReplyFault, UpstreamError};

/// Reads the body of a 200.
///
/// # Errors
///
/// What is no answer: an error in spite of the status, a web page, half a document.
pub(crate) fn read_reply(body: &[u8]) -> Result<Reply, ReplyFault> {
    read(body, Failing::Unusual)
}

/// As [`read_reply`], of an answer that goes to a client as it is.
///
/// # Errors
///
/// As [`read_reply`], but not what Google's own clients understand.
pub(crate) fn observe_reply(body: &[u8]) -> Result<Reply, ReplyFault> {
    read(body, Failing::Mistakes)
}

fn read(body: &[u8], failing: Failing) -> Result<Reply, ReplyFault> {
    let Ok(answer) = serde_json::from_slice::<Answer<'_>>(body) else {
        return Err(incoming::fault_of(body));
    };
    if let Some(error) = answer.error.as_ref().and_then(UpstreamError::of_error) {
        return Err(ReplyFault::from(error));
    }
    let mut candidates = answer.candidates.unwrap_or_default();
    candidates.sort_by_key(|candidate| candidate.index.unwrap_or_default());
    if let Some(failure) = failure_of(&candidates, failing) {
        return Err(ReplyFault::from(failure));
    }
    let mut choices: Vec<Choice> = candidates.into_iter().map(read_candidate).collect();
    if choices.is_empty() {
        // A prompt that Google refuses to answer has no candidates.
        let feedback = answer.prompt_feedback.as_ref();
        if !feedback.is_some_and(PromptFeedback::is_block) {
            return Err(ReplyFault::NoAnswer);
        }
        choices.push(Choice {
            parts: Vec::new(),
            finish: Finish::ContentFilter,
            stop_sequence: None,
            logprobs: None,
        });
    }
    Ok(Reply {
        id: answer.response_id,
        model: answer.model_version,
        choices,
        usage: answer
            .usage_metadata
            .map(RawValue::get)
            .and_then(usage::read_usage),
    })
}

/// What went wrong, if nothing is said at all.
fn failure_of(candidates: &[Candidate<'_>], failing: Failing) -> Option<UpstreamError> {
    let contents = candidates.iter().filter_map(|it| it.content.as_ref());
    let mut parts = contents.flat_map(|content| content.parts.iter().flatten());
    if parts.any(AnswerPart::says_something) {
        return None;
    }
    candidates.iter().find_map(|candidate| {
        let reason = candidate.finish_reason.as_deref().unwrap_or("STOP");
        finish::failure_of(reason, candidate.finish_message.as_deref(), failing)
    })
}

fn read_candidate(candidate: Candidate<'_>) -> Choice {
    let content = candidate.content.and_then(|content| content.parts);
    let mut parts = Vec::new();
    for part in content.unwrap_or_default() {
        read_part(part, &mut parts);
    }
    let has_calls = parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
    let reason = candidate.finish_reason.as_deref().unwrap_or("STOP");
    Choice {
        finish: finish::finish_of(reason, has_calls).unwrap_or_default(),
        parts,
        stop_sequence: None,
        logprobs: candidate
            .logprobs_result
            .map(RawValue::get)
            .and_then(logprobs::to_openai),
    }
}

fn read_part(part: AnswerPart<'_>, parts: &mut Vec<Part>) {
    let AnswerPart {
        text,
        thought,
        thought_signature,
        function_call,
        ..
    } = part;
    let signature = thought_signature.and_then(|data| Proof::new(OWN, data));
    if let Some(call) = function_call {
        parts.push(Part::ToolCall(ToolCall {
            arguments: call.arguments(),
            id: call.id.unwrap_or_default(),
            name: call.name.unwrap_or_default(),
            signature,
        }));
        return;
    }
    let text = text.unwrap_or_default();
    if thought == Some(true) {
        parts.push(Part::Thinking { text, signature });
        return;
    }
    // The answer may carry the signature of the thoughts right before it; that of an answer without any is not
    // insisted on.
    if let Some(Part::Thinking {
        signature: unsigned @ None,
        ..
    }) = parts.last_mut()
    {
        *unsigned = signature;
    }
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(body: &str) -> Result<Reply, ReplyFault> {
        read_reply(body.as_bytes())
    }

    #[test]
    fn what_is_no_answer_is_a_fault() {
        let error = r#"{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}}"#;

        assert!(matches!(read(error), Err(ReplyFault::Upstream(_))));
        assert!(matches!(
            read(&format!("[{error}]")),
            Err(ReplyFault::Upstream(_))
        ));
        assert_eq!(read("<html>"), Err(ReplyFault::NotJson));
        assert_eq!(read(r#"{"candidates":[{"#), Err(ReplyFault::NotJson));
        assert_eq!(read(r#"{"candidates":[]}"#), Err(ReplyFault::NoAnswer));
        assert_eq!(read(r#"{"candidates":"x"}"#), Err(ReplyFault::NoAnswer));
        assert_eq!(read(r#"{"promptFeedback":{}}"#), Err(ReplyFault::NoAnswer));
        assert_eq!(read("[]"), Err(ReplyFault::NoAnswer));
    }

    #[test]
    fn an_answer_that_failed_and_says_nothing_is_a_fault() {
        for reason in [
            "MALFORMED_FUNCTION_CALL",
            "UNEXPECTED_TOOL_CALL",
            "MISSING_THOUGHT_SIGNATURE",
            "MALFORMED_RESPONSE",
            "OTHER",
        ] {
            let body = |parts: &str| {
                format!(
                    r#"{{"candidates":[{{"finishReason":"{reason}","content":{{"parts":[{parts}]}}}}]}}"#
                )
            };
            let Err(ReplyFault::Upstream(error)) = read(&body(r#"{"text":"hm","thought":true}"#))
            else {
                panic!("{reason}")
            };
            assert_eq!(error.status, Some(502));
            assert!(error.message.contains(reason), "{}", error.message);
            assert!(read(&body(r#"{"text":"Hi"}"#)).is_ok(), "{reason}");
        }
        assert!(read(r#"{"candidates":[{"finishReason":"STOP"}]}"#).is_ok());
        assert!(read(r#"{"candidates":[{"finishReason":"MAX_TOKENS"}]}"#).is_ok());
    }

    #[test]
    fn an_answer_in_googles_own_words_is_no_failure() {
        for part in [
            r#"{"inlineData":{"mimeType":"image/png","data":"aGk="}}"#,
            r#"{"executableCode":{"language":"PYTHON","code":"1"}}"#,
            r#"{"codeExecutionResult":{"outcome":"OUTCOME_OK"}}"#,
        ] {
            let body = |part: &str| {
                format!(
                    r#"{{"candidates":[{{"finishReason":"TOO_MANY_TOOL_CALLS","content":{{"parts":[{part}]}}}}]}}"#
                )
            };
            let thought = part.replacen('{', r#"{"thought":true,"#, 1);

            assert!(read(&body(part)).is_ok(), "{part}");
            assert!(read(&body(&thought)).is_err(), "{thought}");
            assert!(read(&body(r#"{"text":""}"#)).is_err());
        }
    }

    #[test]
    fn to_googles_own_clients_only_the_models_mistakes_are_failures() {
        let observe = |reason: &str| {
            let body = format!(r#"{{"candidates":[{{"finishReason":"{reason}"}}]}}"#);
            observe_reply(body.as_bytes())
        };

        for reason in ["NO_IMAGE", "OTHER", "TOO_MANY_TOOL_CALLS"] {
            assert!(observe(reason).is_ok(), "{reason}");
        }
        for reason in [
            "MALFORMED_FUNCTION_CALL",
            "UNEXPECTED_TOOL_CALL",
            "MISSING_THOUGHT_SIGNATURE",
            "MALFORMED_RESPONSE",
        ] {
            assert!(observe(reason).is_err(), "{reason}");
        }
    }

    #[test]
    fn answers_stand_by_their_index() {
        let reply = read(
            r#"{"candidates":[{"index":1,"finishReason":"SAFETY"},{"finishReason":"MAX_TOKENS"}]}"#,
        );

        let finishes: Vec<Finish> = reply
            .unwrap()
            .choices
            .iter()
            .map(|choice| choice.finish)
            .collect();
        assert_eq!(finishes, [Finish::Length, Finish::ContentFilter]);
    }

    #[test]
    fn the_signature_of_a_text_is_of_the_thoughts_before_it() {
        let reply = read(
            r#"{"candidates":[{"content":{"parts":[{"text":"hm","thought":true},
            {"text":"Hi","thoughtSignature":"c2ln"},{"text":"!","thoughtSignature":"eA=="}]}}]}"#,
        );

        let thinking = Part::Thinking {
            text: "hm".to_owned(),
            signature: Proof::new(OWN, "c2ln".to_owned()),
        };
        let expected = [
            thinking,
            Part::Text("Hi".to_owned()),
            Part::Text("!".to_owned()),
        ];
        assert_eq!(reply.unwrap().choices[0].parts, expected);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = read_reply(&body);
        }
    }
}
