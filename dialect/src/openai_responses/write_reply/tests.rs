use serde_json::{Value, json};

use shared::config::Dialect;

use super::*;
use crate::Usage;
use crate::canon::Proof;
use crate::canon::ToolCall;

fn write(reply: Reply) -> Value {
    let facts = AnswerFacts {
        request_id: "7".to_owned(),
        created: 1_790_000_000,
        model: "public".to_owned(),
        ..AnswerFacts::default()
    };
    serde_json::from_slice(&write_reply(reply, &facts)).unwrap()
}

fn of_parts(parts: Vec<Part>, finish: Finish) -> Value {
    write(Reply {
        choices: vec![Choice {
            parts,
            finish,
            stop_sequence: None,
            logprobs: None,
        }],
        ..Reply::default()
    })
}

#[test]
fn the_upstreams_id_is_passed_on_only_if_it_is_one_of_this_dialect() {
    let id = |id: &str| {
        write(Reply {
            id: Some(id.to_owned()),
            ..Reply::default()
        })["id"]
            .take()
    };

    assert_eq!(id("resp_abc"), "resp_abc");
    assert_eq!(id("chatcmpl-abc"), "resp_7");
}

#[test]
fn usage_is_reported_with_all_its_details() {
    let answer = write(Reply {
        usage: Some(Usage {
            prompt_tokens: 10,
            completion_tokens: 5,
            cached_tokens: 4,
            cache_write_tokens: 2,
            reasoning_tokens: 3,
        }),
        ..Reply::default()
    });

    assert_eq!(
        answer["usage"],
        json!({
            "input_tokens": 10, "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
            "output_tokens": 5, "output_tokens_details": {"reasoning_tokens": 3}, "total_tokens": 15,
        })
    );
}

#[test]
fn a_gemini_calls_signature_is_packed_into_its_id() {
    let call = |id: &str, arguments: &str, signature: Option<&str>| {
        Part::ToolCall(ToolCall {
            id: id.to_owned(),
            name: "f".to_owned(),
            arguments: arguments.to_owned(),
            signature: signature
                .and_then(|data| Proof::new(Dialect::GeminiGenerate, data.to_owned())),
        })
    };

    let answer = of_parts(
        vec![
            call("call_a", "{\"a\":1}", Some("AQ==")),
            call("", "", None),
        ],
        Finish::ToolCalls,
    );

    assert_eq!(
        answer["output"],
        json!([
            {"type": "function_call", "id": "fc_7_0", "status": "completed", "call_id": "call_a_sluiced_gemini_generate_AQ", "name": "f", "arguments": "{\"a\":1}"},
            {"type": "function_call", "id": "fc_7_1", "status": "completed", "call_id": "call_7_1", "name": "f", "arguments": "{}"},
        ])
    );
}

#[test]
fn only_the_last_item_of_an_unfinished_answer_is_incomplete() {
    let answer = of_parts(
        vec![
            Part::Text("one".to_owned()),
            Part::Thinking {
                text: String::new(),
                signature: Proof::new(Dialect::OpenaiResponses, "sig".to_owned()),
            },
            Part::Text("two".to_owned()),
        ],
        Finish::Length,
    );

    let status = |index: usize| &answer["output"][index]["status"];
    assert_eq!(
        (status(0), status(2)),
        (&json!("completed"), &json!("incomplete"))
    );
    assert_eq!(answer["status"], "incomplete");
    assert_eq!(
        answer["incomplete_details"],
        json!({"reason": "max_output_tokens"})
    );
    // Not redacted: only silent.
    assert_eq!(
        answer["output"][1]["summary"],
        json!([{"type": "summary_text", "text": ""}])
    );
}
