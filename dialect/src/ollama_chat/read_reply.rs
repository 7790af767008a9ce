//! An upstream's whole answer → the canonical form.

use super::answer::Answer;
use crate::ReplyFault;
use crate::canon::{Choice, Part, Reply};

/// Reads the body of a 200.
///
/// # Errors
///
/// What is no answer: an error in spite of the status, a web page, half a document.
pub(crate) fn read_reply(body: &[u8]) -> Result<Reply, ReplyFault> {
    let mut answer = Answer::parse(body)?;
    let mut said = answer.take_said().ok_or(ReplyFault::NoAnswer)?;

    let mut parts = Vec::new();
    parts.extend(said.take_thinking().map(|text| Part::Thinking {
        text,
        signature: None,
    }));
    parts.extend(said.take_text().map(Part::Text));
    let n_others = parts.len();
    parts.extend(said.take_calls().map(Part::ToolCall));
    let has_calls = parts.len() > n_others;
    Ok(Reply {
        id: None,
        usage: answer.usage(),
        choices: vec![Choice {
            parts,
            finish: answer.finish(has_calls),
            stop_sequence: None,
            logprobs: answer.take_logprobs(),
        }],
        model: answer.model,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::UpstreamError;
    use crate::canon::Finish;

    #[test]
    fn an_answer_of_generate_is_read_like_one_of_chat() {
        let generated = br#"{"model":"m","response":"Hi","thinking":"Hm","done":true,"done_reason":"length","eval_count":2}"#;
        let chatted = br#"{"model":"m","message":{"role":"assistant","content":"Hi","thinking":"Hm"},"done":true,"done_reason":"length","eval_count":2}"#;

        let reply = read_reply(generated).unwrap();

        assert_eq!(reply.choices[0].finish, Finish::Length);
        assert_eq!(reply, read_reply(chatted).unwrap());
    }

    #[test]
    fn a_model_that_was_only_loaded_said_nothing() {
        let reply = read_reply(br#"{"model":"m","response":"","done":true,"done_reason":"load"}"#);

        assert_eq!(reply.unwrap().choices[0].parts, []);
    }

    #[track_caller]
    fn check_fault(body: &str, expected: &ReplyFault) {
        assert_eq!(
            read_reply(body.as_bytes()).as_ref(),
            Err(expected),
            "{body}"
        );
    }

    #[test]
    fn what_is_no_answer_is_a_fault() {
        let error = |message: &str, status| {
            ReplyFault::from(UpstreamError {
                message: message.to_owned(),
                status,
                ..UpstreamError::default()
            })
        };

        check_fault(r#"{"error":"server busy"}"#, &error("server busy", None));
        check_fault(
            r#"{"error":"gone","status":503}"#,
            &error("gone", Some(503)),
        );
        check_fault("<html>502</html>", &ReplyFault::NotJson);
        check_fault(r#"{"message":{"content":"#, &ReplyFault::NotJson);
        check_fault(r#"{"choices":[]}"#, &ReplyFault::NoAnswer);
        check_fault(r#"{"message":"text"}"#, &ReplyFault::NoAnswer);
        check_fault(r#"{"model":"m","done":true}"#, &ReplyFault::NoAnswer);
        check_fault("[]", &ReplyFault::NoAnswer);
    }

    #[test]
    fn arguments_that_come_as_text_are_taken_as_that_text() {
        let body = br#"{"message":{"tool_calls":[{"function":{"name":"f","arguments":"{\"a\":1}"}}]},"done":true}"#;

        let reply = read_reply(body).unwrap();

        let Part::ToolCall(call) = &reply.choices[0].parts[0] else {
            panic!("{reply:?}")
        };
        assert_eq!(call.arguments, r#"{"a":1}"#);
        assert_eq!(reply.choices[0].finish, Finish::ToolCalls);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body in ".{0,64}", field in "[a-z_]{1,20}") {
            let _ = read_reply(body.as_bytes());
            let _ = read_reply(format!("{{\"{field}\":{body}}}").as_bytes());
        }
    }
}
