//! Whole answers: what a 200 that is not a stream really says.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::UpstreamError;
use crate::scan::{self, Object, Text};
use crate::tokens::estimate_tokens;
use crate::{Endpoint, Operation, TokenCounter, Usage};

/// What routing learns from a reply's body.
#[derive(Debug)]
pub struct Inspected<'a> {
    /// `None` if it was not reported, or cannot be believed.
    pub usage: Option<Usage>,
    /// Why this is no answer, in spite of its status.
    pub fault: Option<ReplyFault>,
    body: &'a [u8],
    text: Text,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyFault {
    /// It holds an `error`.
    Upstream(Box<UpstreamError>),
    /// A web page, or half a document.
    NotJson,
    /// Neither an error nor an answer: no `choices`, no `data`.
    NoAnswer,
}

impl From<UpstreamError> for ReplyFault {
    fn from(error: UpstreamError) -> Self {
        Self::Upstream(Box::new(error))
    }
}

impl Inspected<'_> {
    /// Output tokens, for a reply that does not report them.
    pub fn completion_tokens_estimate(&self, tokens: &TokenCounter) -> u32 {
        let spans = self.text.strings.iter();
        let raws = spans.filter_map(|span| self.body.get(span.clone()));
        let n_noted: usize = self.text.strings.iter().map(ExactSizeIterator::len).sum();
        let n_unnoted = self.text.n_bytes - n_noted;
        let rest = estimate_tokens(n_unnoted);
        raws.fold(rest, |total, raw| {
            total.saturating_add(tokens.count_json_string(raw))
        })
    }
}

/// Reads what a 200 about sounds or transcripts tells of its usage, where it is an object.
///
/// # Errors
///
/// An error in its place.
pub(crate) fn inspect_audio(body: &[u8]) -> Result<Option<Usage>, ReplyFault> {
    #[derive(Deserialize)]
    struct Transcript<'a> {
        #[serde(borrow)]
        usage: Option<&'a RawValue>,
        #[serde(borrow)]
        error: Option<&'a RawValue>,
    }

    // Its type says nothing: whisper.cpp calls plain text a page.
    if is_page(body) {
        return Err(ReplyFault::NotJson);
    }
    let Ok(transcript) = serde_json::from_slice::<Transcript<'_>>(body) else {
        return Ok(None);
    };
    if transcript.error.is_some()
        && let Some(error) = UpstreamError::parse(body)
    {
        return Err(error.into());
    }
    let usage = transcript.usage.map(|usage| usage.get().as_bytes());
    Ok(usage.and_then(Usage::parse))
}

fn is_page(body: &[u8]) -> bool {
    let begins = |with: &[u8]| {
        let head = body.trim_ascii_start().get(..with.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(with))
    };
    begins(b"<!doctype") || begins(b"<html")
}

/// Reads the body of a 200 of OpenAI's in one pass.
pub fn inspect_reply(endpoint: Endpoint, body: &[u8]) -> Inspected<'_> {
    let (answer_field, holds_text): (_, fn(&[u8]) -> bool) = match endpoint.operation() {
        Operation::Chat | Operation::Completion => ("choices", |name| name == b"choices"),
        // Neither vectors nor images are output that is paid for by the token.
        Operation::Embedding | Operation::Image => ("data", |_| false),
        Operation::Moderation => ("results", |_| false),
        Operation::Audio | Operation::TokenCount => ("text", |_| false),
    };
    let object = match scan::scan_object(body, holds_text) {
        Ok(object) => object,
        Err(_) => {
            // Gemini sends its errors in an array, which is no object but tells more than "not JSON".
            let error = UpstreamError::parse(body).map(ReplyFault::from);
            return Inspected {
                usage: None,
                fault: Some(error.unwrap_or(ReplyFault::NotJson)),
                body,
                text: Text::default(),
            };
        }
    };
    Inspected {
        usage: field(&object, body, "usage").and_then(Usage::parse),
        fault: fault(&object, body, answer_field),
        body,
        text: object.text,
    }
}

fn fault(object: &Object, body: &[u8], answer_field: &str) -> Option<ReplyFault> {
    let error = field(object, body, "error")
        .and_then(|raw| serde_json::from_slice(raw).ok())
        .and_then(|error| UpstreamError::of_error(&error));
    if let Some(error) = error {
        return Some(ReplyFault::from(error));
    }
    let answer = field(object, body, answer_field).and_then(|raw| raw.strip_prefix(b"["));
    let has_answer = answer.is_some_and(|items| !items.trim_ascii_start().starts_with(b"]"));
    (!has_answer).then_some(ReplyFault::NoAnswer)
}

fn field<'a>(object: &Object, body: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut members = object.members.iter();
    let member = members.find(|member| member.name(body) == name.as_bytes())?;
    body.get(member.value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(body: &str) -> Inspected<'_> {
        inspect_reply(Endpoint::ChatCompletions, body.as_bytes())
    }

    #[test]
    fn a_page_is_no_transcript() {
        let is_fault = |body: &str| inspect_audio(body.as_bytes()).is_err();

        assert!(is_fault("\n<!DOCTYPE html><html>502</html>"));
        assert!(is_fault("<HTML>"));
        assert!(!is_fault("<hm> what is said"));
        assert!(!is_fault("RIFF"));
    }

    #[test]
    fn an_answer_tells_its_usage() {
        let reply = chat(
            r#"{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"hi"}}],
                "usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4},"error":null}"#,
        );

        assert_eq!(reply.fault, None);
        assert_eq!(reply.usage.map(Usage::total), Some(4));
    }

    #[test]
    fn an_answer_without_usage_is_counted_by_its_text() {
        let reply = chat(
            r#"{"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"12345678",
                "tool_calls":[{"id":"x","type":"function","function":{"name":"find","arguments":"{\"a\":1}"}}]}}]}"#,
        );

        let n_tokens = reply.completion_tokens_estimate(&TokenCounter::new());

        assert_eq!(n_tokens, 2 + 1 + 2);
    }

    #[test]
    fn very_long_answers_are_counted_whole() {
        let text = "x".repeat(1_000_000);
        let body = format!(r#"{{"choices":[{{"message":{{"content":"{text}"}}}}]}}"#);

        let n_tokens = chat(&body).completion_tokens_estimate(&TokenCounter::new());

        assert_eq!(n_tokens, 250_000);
    }

    #[test]
    fn an_error_under_status_200_is_a_fault() {
        let reply = chat(r#"{"error":{"message":"overloaded","code":503}}"#);

        let Some(ReplyFault::Upstream(error)) = reply.fault else {
            panic!("{reply:?}")
        };
        assert_eq!(
            (error.message.as_str(), error.status),
            ("overloaded", Some(503))
        );
    }

    #[track_caller]
    fn check_fault(endpoint: Endpoint, body: &str, expected: Option<&ReplyFault>) {
        assert_eq!(
            inspect_reply(endpoint, body.as_bytes()).fault.as_ref(),
            expected,
            "{body}"
        );
    }

    #[test]
    fn a_transcript_tells_its_usage_unless_it_is_text() {
        let usage = |body: &str| inspect_audio(body.as_bytes()).unwrap().map(Usage::total);

        assert_eq!(
            usage(r#"{"text":"a","usage":{"input_tokens":14,"output_tokens":3}}"#),
            Some(17)
        );
        assert_eq!(
            usage(r#"{"text":"a","usage":{"type":"duration","seconds":3}}"#),
            None
        );
        assert_eq!(usage("a text"), None);
        assert!(inspect_audio(br#"{"error":{"message":"no"}}"#).is_err());
    }

    #[test]
    fn what_is_no_answer_is_a_fault() {
        use Endpoint::{ChatCompletions, Completions, Embeddings};

        check_fault(
            ChatCompletions,
            "<html><body>502</body></html>",
            Some(&ReplyFault::NotJson),
        );
        check_fault(
            ChatCompletions,
            r#"{"choices":[{"#,
            Some(&ReplyFault::NotJson),
        );
        check_fault(ChatCompletions, "", Some(&ReplyFault::NotJson));
        check_fault(
            ChatCompletions,
            r#"{"choices":[ ]}"#,
            Some(&ReplyFault::NoAnswer),
        );
        check_fault(
            ChatCompletions,
            r#"{"error_code":17,"error_msg":"quota"}"#,
            Some(&ReplyFault::NoAnswer),
        );
        check_fault(
            Completions,
            r#"{"choices":null}"#,
            Some(&ReplyFault::NoAnswer),
        );
        check_fault(Completions, r#"{"choices":[{"text":""}]}"#, None);
        check_fault(Embeddings, r#"{"data":[]}"#, Some(&ReplyFault::NoAnswer));
        check_fault(
            Embeddings,
            r#"{"data":[{"embedding":[0.1]}],"model":"m"}"#,
            None,
        );
    }
}
