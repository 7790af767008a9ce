//! An upstream's whole answer → the canonical form.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::OWN;
use super::answer::{self, SERVER_TOOL, Stop};
use crate::canon::{Choice, Part, Proof, Reply, ToolCall};
use crate::{ReplyFault, UpstreamError};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(borrow)]
    output: Output<'a>,
    stop_reason: Option<String>,
    additional_model_response_fields: Option<Value>,
    usage: Option<Value>,
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow)]
    message: Message<'a>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Vec<Block<'a>>,
}

/// One of these; a block of any other kind has none.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Block<'a> {
    text: Option<String>,
    #[serde(borrow)]
    tool_use: Option<ToolUse<'a>>,
    reasoning_content: Option<ReasoningContent>,
    citations_content: Option<CitationsContent>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolUse<'a> {
    tool_use_id: String,
    name: String,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    r#type: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReasoningContent {
    reasoning_text: Option<ReasoningText>,
    redacted_content: Option<String>,
}

#[derive(Deserialize)]
struct ReasoningText {
    text: String,
    signature: Option<String>,
}

/// Text with its sources, of which only the text can be told on.
#[derive(Deserialize)]
struct CitationsContent {
    #[serde(default)]
    content: Vec<CitedText>,
}

#[derive(Deserialize)]
struct CitedText {
    text: Option<String>,
}

/// Reads the body of a 200.
///
/// # Errors
///
/// What is no answer: an error in spite of the status, a web page, half a document.
pub(crate) fn read_reply(body: &[u8]) -> Result<Reply, ReplyFault> {
    let Ok(read) = serde_json::from_slice::<Body<'_>>(body) else {
        return Err(fault(body));
    };
    let Body {
        output,
        stop_reason,
        additional_model_response_fields,
        usage,
    } = read;
    let stop = Stop {
        stop_reason,
        additional_model_response_fields,
    };
    let mut parts = Vec::with_capacity(output.message.content.len());
    for block in output.message.content {
        block.read(&mut parts);
    }
    let has_calls = parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
    let finish = stop.finish(has_calls).map_err(ReplyFault::Upstream)?;
    Ok(Reply {
        id: None,
        model: None,
        choices: vec![Choice {
            parts,
            finish,
            stop_sequence: stop.sequence(),
            logprobs: None,
        }],
        usage: usage.as_ref().and_then(answer::usage),
    })
}

impl Block<'_> {
    fn read(self, parts: &mut Vec<Part>) {
        let Self {
            text,
            tool_use,
            reasoning_content,
            citations_content,
        } = self;
        parts.extend(text.map(Part::Text));
        if let Some(cited) = citations_content {
            let texts = cited.content.into_iter().filter_map(|cited| cited.text);
            parts.push(Part::Text(texts.collect()));
        }
        if let Some(ReasoningContent {
            reasoning_text,
            redacted_content,
        }) = reasoning_content
        {
            parts.extend(
                reasoning_text.map(|ReasoningText { text, signature }| Part::Thinking {
                    text,
                    signature: signature.and_then(proof),
                }),
            );
            parts.extend(redacted_content.and_then(proof).map(Part::RedactedThinking));
        }
        let call = tool_use.filter(|call| call.r#type.as_deref() != Some(SERVER_TOOL));
        parts.extend(call.map(|call| {
            Part::ToolCall(ToolCall {
                id: call.tool_use_id,
                name: call.name,
                arguments: call.input.map_or("{}", RawValue::get).to_owned(),
                signature: None,
            })
        }));
    }
}

fn fault(body: &[u8]) -> ReplyFault {
    match serde_json::from_slice(body) {
        Err(_) => ReplyFault::NotJson,
        Ok(body) => match UpstreamError::of_body(&body) {
            Some(error) => ReplyFault::from(error),
            None => ReplyFault::NoAnswer,
        },
    }
}

/// Of this dialect's own provider.
pub(super) fn proof(data: String) -> Option<Proof> {
    Proof::new(OWN, data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_fault(body: &str, expected: &str) {
        let fault = read_reply(body.as_bytes()).unwrap_err();
        let fault = match fault {
            ReplyFault::Upstream(error) => error.message,
            fault => format!("{fault:?}"),
        };
        assert_eq!(fault, expected, "{body}");
    }

    #[test]
    fn what_is_no_answer_is_a_fault() {
        check_fault("<html>", "NotJson");
        check_fault(r#"{"output":{"message"#, "NotJson");
        check_fault("", "NotJson");
        check_fault("{}", "NoAnswer");
        check_fault(r#"{"output":{}}"#, "NoAnswer");
        check_fault(r#"{"message":"no such model"}"#, "no such model");
    }

    #[test]
    fn a_call_that_bedrock_runs_itself_is_not_the_clients() {
        let body = r#"{"output":{"message":{"role":"assistant","content":[
            {"toolUse":{"toolUseId":"t","name":"search","input":{},"type":"server_tool_use"}},
            {"text":"found"}]}},"stopReason":"end_turn"}"#;

        let reply = read_reply(body.as_bytes()).unwrap();

        assert_eq!(reply.choices[0].parts, [Part::Text("found".to_owned())]);
    }

    #[test]
    fn a_call_keeps_its_arguments_to_the_letter() {
        let body = r#"{"output":{"message":{"role":"assistant","content":[
            {"toolUse":{"toolUseId":"t","name":"f","input":{"b":1.0,"a":[]}}},
            {"toolUse":{"toolUseId":"u","name":"g","input":null}}]}},"stopReason":"tool_use"}"#;

        let reply = read_reply(body.as_bytes()).unwrap();

        let arguments: Vec<&str> = reply.choices[0]
            .parts
            .iter()
            .filter_map(|part| match part {
                Part::ToolCall(call) => Some(call.arguments.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(arguments, [r#"{"b":1.0,"a":[]}"#, "{}"]);
    }
}
