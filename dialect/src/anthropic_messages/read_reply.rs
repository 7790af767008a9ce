//! An upstream's whole answer → the canonical form.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::block::Block;
use super::usage::Tally;
use super::{OWN, stop_reason};
use crate::canon::{Choice, Part, Proof, Reply, ToolCall};
use crate::{ReplyFault, UpstreamError};

/// Reads the body of a 200.
///
/// # Errors
///
/// What is no answer: an error in spite of the status, a web page, half a document.
pub(crate) fn read_reply(body: &[u8]) -> Result<Reply, ReplyFault> {
    let Ok(message) = serde_json::from_slice(body) else {
        return Err(fault(body));
    };
    let Message {
        id,
        model,
        content: Some(content),
        stop_reason,
        stop_sequence,
        usage,
    } = message
    else {
        return Err(fault(body));
    };
    let parts: Vec<Part> = content.into_iter().filter_map(part).collect();
    let has_calls = parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
    let mut tally = Tally::default();
    usage.iter().for_each(|report| tally.merge(report));
    Ok(Reply {
        id,
        model,
        choices: vec![Choice {
            parts,
            finish: stop_reason::read(stop_reason.as_deref(), has_calls),
            stop_sequence,
            logprobs: None,
        }],
        usage: tally.usage(),
    })
}

#[derive(Deserialize)]
struct Message<'a> {
    id: Option<String>,
    model: Option<String>,
    #[serde(borrow)]
    content: Option<Vec<Block<'a>>>,
    stop_reason: Option<String>,
    stop_sequence: Option<String>,
    usage: Option<Value>,
}

fn fault(body: &[u8]) -> ReplyFault {
    match UpstreamError::parse(body) {
        Some(error) => ReplyFault::from(error),
        None if serde_json::from_slice::<IgnoredAny>(body).is_ok() => ReplyFault::NoAnswer,
        None => ReplyFault::NotJson,
    }
}

fn part(block: Block<'_>) -> Option<Part> {
    match &*block.kind {
        "text" => block.text.map(Part::Text),
        "thinking" => Some(Part::Thinking {
            text: block.thinking.unwrap_or_default(),
            signature: block.signature.and_then(proof),
        }),
        "redacted_thinking" => block.data.and_then(proof).map(Part::RedactedThinking),
        "tool_use" => Some(Part::ToolCall(ToolCall {
            id: block.id.unwrap_or_default(),
            name: block.name.unwrap_or_default(),
            arguments: block.input.map_or("{}", |input| input.get()).to_owned(),
            signature: None,
        })),
        _ => None,
    }
}

/// Of this dialect's own provider.
pub(super) fn proof(data: String) -> Option<Proof> {
    Proof::new(OWN, data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canon::Finish;

    #[track_caller]
    fn check_fault(body: &str, expected: &ReplyFault) {
        assert_eq!(read_reply(body.as_bytes()).as_ref(), Err(expected));
    }

    #[test]
    fn what_is_no_answer_is_a_fault() {
        check_fault("<html>502</html>", &ReplyFault::NotJson);
        check_fault(r#"{"content":[{"type":"te"#, &ReplyFault::NotJson);
        check_fault("", &ReplyFault::NotJson);
        check_fault(r#"{"choices":[]}"#, &ReplyFault::NoAnswer);
        check_fault(r#"{"content":"text"}"#, &ReplyFault::NoAnswer);
        check_fault("[]", &ReplyFault::NoAnswer);
    }

    #[test]
    fn an_error_under_status_200_is_a_fault() {
        let body =
            br#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;

        let Err(ReplyFault::Upstream(error)) = read_reply(body) else {
            panic!("no fault")
        };

        assert_eq!(error.kind.as_deref(), Some("overloaded_error"));
    }

    #[test]
    fn an_answer_that_says_nothing_is_an_answer() {
        let reply = read_reply(br#"{"content":[],"stop_reason":"end_turn"}"#).unwrap();

        assert_eq!(reply.choices[0].parts, []);
    }

    #[test]
    fn blocks_of_the_providers_own_tools_are_passed_over() {
        let body = br#"{"content":[{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{}},
            {"type":"web_search_tool_result","tool_use_id":"srvtoolu_1","content":[]},
            {"type":"text","text":"It rains.","citations":[{"type":"x"}]}],"stop_reason":"pause_turn"}"#;

        let reply = read_reply(body).unwrap();

        assert_eq!(reply.choices[0].parts, [Part::Text("It rains.".to_owned())]);
        assert_eq!(reply.choices[0].finish, Finish::Stop);
    }

    #[test]
    fn a_turn_with_calls_ends_with_them_whatever_it_says() {
        let body =
            br#"{"content":[{"type":"tool_use","id":"toolu_1","name":"find","input":{"a":1}}],
            "stop_reason":"end_turn"}"#;

        let reply = read_reply(body).unwrap();

        assert_eq!(reply.choices[0].finish, Finish::ToolCalls);
    }
}
