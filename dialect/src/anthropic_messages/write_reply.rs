//! The canonical form → a whole answer for a client.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::usage::Report;
use super::{OWN, stop_reason};
use crate::canon::{AnswerFacts, Part, Proof, Reply, ToolCall, proof};

pub(crate) fn write_reply(reply: Reply, facts: &AnswerFacts) -> Vec<u8> {
    let Reply {
        id,
        model,
        choices,
        usage,
    } = reply;
    let first = choices.first();
    let parts = first.map(|choice| &*choice.parts).unwrap_or_default();
    let is_refused = parts.iter().any(|part| matches!(part, Part::Refusal(_)));
    let stop_sequence = first.and_then(|choice| choice.stop_sequence.as_deref());
    let finish = first.map(|choice| choice.finish).unwrap_or_default();
    let message = Message {
        id: message_id(id.as_deref(), facts),
        r#type: "message",
        role: "assistant",
        model: model.as_deref().unwrap_or(&facts.model),
        content: blocks(parts, facts),
        stop_reason: stop_reason::write(finish, stop_sequence, is_refused),
        stop_sequence,
        usage: Report::of_answer(usage, facts.prompt_tokens),
    };
    serde_json::to_vec(&message).unwrap_or_default()
}

/// The upstream's id, if it has this dialect's form.
pub(super) fn message_id<'a>(id: Option<&'a str>, facts: &AnswerFacts) -> Cow<'a, str> {
    match id.filter(|id| id.starts_with("msg_")) {
        Some(id) => Cow::Borrowed(id),
        None => Cow::Owned(format!("msg_{}", facts.request_id)),
    }
}

/// The id of the answer's `call`th tool call, which brings the provider's signature back.
pub(super) fn call_id(
    id: &str,
    signature: Option<&Proof>,
    call: u32,
    facts: &AnswerFacts,
) -> String {
    match id.is_empty() {
        true => proof::pack(&format!("call_{}_{call}", facts.request_id), signature),
        false => proof::pack(id, signature),
    }
}

/// What clients have to send back with thoughts, which read it without asking whether it is there.
///
/// Thoughts that nobody proved get a mark alone: by it they are known when they come back, and not shown to Anthropic.
pub(super) fn signature_of(thoughts: Option<&Proof>) -> Cow<'_, str> {
    thoughts.map_or(Cow::Borrowed(proof::MARK), |proof| proof.write(OWN))
}

#[derive(Serialize)]
struct Message<'a> {
    id: Cow<'a, str>,
    r#type: &'static str,
    role: &'static str,
    model: &'a str,
    content: Vec<Block<'a>>,
    stop_reason: &'static str,
    stop_sequence: Option<&'a str>,
    usage: Report,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'a> {
    Text {
        text: &'a str,
    },
    Thinking {
        thinking: &'a str,
        signature: Cow<'a, str>,
    },
    RedactedThinking {
        data: Cow<'a, str>,
    },
    ToolUse {
        id: String,
        name: &'a str,
        input: Cow<'a, RawValue>,
    },
}

fn blocks<'a>(parts: &'a [Part], facts: &AnswerFacts) -> Vec<Block<'a>> {
    let mut n_calls = 0;
    let mut blocks = Vec::with_capacity(parts.len());
    for part in parts {
        blocks.push(match part {
            Part::Text(text) | Part::Refusal(text) if text.is_empty() => continue,
            Part::Text(text) | Part::Refusal(text) => Block::Text { text },
            Part::Thinking { text, signature } => Block::Thinking {
                thinking: text,
                signature: signature_of(signature.as_ref()),
            },
            Part::RedactedThinking(sealed) => Block::RedactedThinking {
                data: sealed.write(OWN),
            },
            Part::ToolCall(call) => {
                let id = call_id(&call.id, call.signature.as_ref(), n_calls, facts);
                n_calls += 1;
                Block::ToolUse {
                    id,
                    name: &call.name,
                    input: input(call),
                }
            }
            // Nothing that an answer in this dialect can hold.
            Part::Image { .. } | Part::Audio { .. } | Part::File { .. } | Part::ToolResult(_) => {
                continue;
            }
        });
    }
    blocks
}

/// The call's arguments as an object, which they must be here. What the model wrote otherwise, or only half, is wrapped in
/// the way that Anthropic proposes for such input:
/// <https://platform.claude.com/docs/en/agents-and-tools/tool-use/fine-grained-tool-streaming>.
fn input(call: &ToolCall) -> Cow<'_, RawValue> {
    let text = match call.arguments.trim() {
        "" => "{}",
        text => text,
    };
    match serde_json::from_str::<&RawValue>(text) {
        Ok(raw) if raw.get().starts_with('{') => Cow::Borrowed(raw),
        _ => {
            let wrapped = serde_json::json!({ "INVALID_JSON": text });
            to_raw_value(&wrapped).map_or(Cow::Borrowed(RawValue::NULL), Cow::Owned)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::canon::{Choice, Finish};

    fn written(parts: Vec<Part>, finish: Finish) -> Value {
        let reply = Reply {
            choices: vec![Choice {
                parts,
                finish,
                stop_sequence: None,
                logprobs: None,
            }],
            ..Reply::default()
        };
        let facts = AnswerFacts {
            request_id: "r1".to_owned(),
            ..AnswerFacts::default()
        };
        serde_json::from_slice(&write_reply(reply, &facts)).unwrap()
    }

    fn call(arguments: &str) -> Part {
        Part::ToolCall(ToolCall {
            name: "find".to_owned(),
            arguments: arguments.to_owned(),
            ..ToolCall::default()
        })
    }

    #[test]
    fn calls_without_an_id_get_one_each() {
        let message = written(vec![call(""), call("{}")], Finish::ToolCalls);

        let ids = [&message["content"][0]["id"], &message["content"][1]["id"]];
        assert_eq!(ids, ["call_r1_0", "call_r1_1"]);
    }

    #[test]
    fn a_calls_input_is_always_an_object() {
        let calls = ["", "{\"a\": 1}", "{\"a\": ", "[1]"].map(call);

        let message = written(calls.into(), Finish::ToolCalls);

        let blocks = message["content"].as_array().unwrap().iter();
        let inputs: Vec<&Value> = blocks.map(|block| &block["input"]).collect();
        let expected = [
            &json!({}),
            &json!({"a": 1}),
            &json!({"INVALID_JSON": "{\"a\":"}),
            &json!({"INVALID_JSON": "[1]"}),
        ];
        assert_eq!(inputs, expected);
    }

    #[test]
    fn a_refusal_is_told_as_text_that_ends_in_one() {
        let message = written(vec![Part::Refusal("No.".to_owned())], Finish::Stop);

        assert_eq!(message["content"], json!([{"type": "text", "text": "No."}]));
        assert_eq!(message["stop_reason"], "refusal");
    }

    #[test]
    fn only_an_id_of_this_dialect_is_passed_on() {
        let facts = AnswerFacts {
            request_id: "r1".to_owned(),
            ..AnswerFacts::default()
        };

        assert_eq!(message_id(Some("msg_01X"), &facts), "msg_01X");
        assert_eq!(message_id(Some("chatcmpl-1"), &facts), "msg_r1");
        assert_eq!(message_id(None, &facts), "msg_r1");
    }
}
