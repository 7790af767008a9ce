use serde_json::{Value, json};

use shared::config::Dialect;

use super::*;
use crate::ErrorType;
use crate::canon::Proof;
use crate::canon::{Choice, Reply};
use crate::openai_responses::write_reply;

fn facts() -> AnswerFacts {
    AnswerFacts {
        request_id: "7".to_owned(),
        created: 1_790_000_000,
        model: "public".to_owned(),
        ..AnswerFacts::default()
    }
}

/// The data of the frames that `events` become, and of the end.
fn write(events: Vec<Event>) -> Vec<Value> {
    let mut writer = Writer::new(facts());
    let mut out = Vec::new();
    for event in events {
        writer.write(event, &mut out);
    }
    writer.finish(None, &mut out);
    frames(&out)
}

#[track_caller]
fn frames(out: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(out).unwrap();
    let frames = text.split_terminator("\n\n").map(|frame| {
        let (event, data) = frame.split_once('\n').unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(event.strip_prefix("event: "), data["type"].as_str());
        data
    });
    frames.collect()
}

fn kinds(frames: &[Value]) -> Vec<&str> {
    let kinds = frames.iter().map(|frame| frame["type"].as_str().unwrap());
    kinds
        .map(|kind| kind.strip_prefix("response.").unwrap_or(kind))
        .collect()
}

fn text(text: &str) -> Event {
    Event::Text {
        choice: 0,
        text: text.to_owned(),
    }
}

fn thinking(text: &str) -> Event {
    Event::Thinking {
        choice: 0,
        text: text.to_owned(),
    }
}

fn signature(signature: &str) -> Event {
    Event::ThinkingSignature {
        choice: 0,
        signature: Proof {
            by: Dialect::OpenaiResponses,
            data: signature.to_owned(),
        },
    }
}

fn call(call: u32) -> Event {
    Event::ToolCall {
        choice: 0,
        call,
        id: format!("call_{call}"),
        name: "f".to_owned(),
        signature: None,
    }
}

fn arguments(call: u32, json: &str) -> Event {
    Event::ToolArguments {
        choice: 0,
        call,
        json: json.to_owned(),
    }
}

fn finish(finish: Finish) -> Event {
    Event::Finish {
        choice: 0,
        finish,
        stop_sequence: None,
    }
}

fn error() -> ErrorBody<'static> {
    ErrorBody {
        message: "It broke.",
        kind: ErrorType::Server,
        param: None,
        code: None,
    }
}

#[test]
fn a_text_is_told_in_the_order_that_sdks_insist_on() {
    let frames = write(vec![text("Hel"), text("lo"), finish(Finish::Stop)]);

    assert_eq!(
        kinds(&frames),
        [
            "created",
            "in_progress",
            "output_item.added",
            "content_part.added",
            "output_text.delta",
            "output_text.delta",
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "completed",
        ]
    );
    for (number, frame) in frames.iter().enumerate() {
        assert_eq!(frame["sequence_number"], number);
    }
    assert_eq!(frames[9]["response"]["output"][0], frames[8]["item"]);
}

#[test]
fn a_later_call_waits_until_the_answer_is_finished() {
    let frames = write(vec![
        call(0),
        arguments(0, "{\"a\":"),
        call(1),
        arguments(1, "{\"b\":"),
        arguments(0, "1}"),
        arguments(1, "2}"),
        finish(Finish::ToolCalls),
    ]);

    assert_eq!(
        kinds(&frames)[2..],
        [
            "output_item.added",
            "function_call_arguments.delta",
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "output_item.done",
            "output_item.added",
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "output_item.done",
            "completed",
        ]
    );
    assert_eq!(frames[5]["arguments"], "{\"a\":1}");
    assert_eq!(frames[9]["arguments"], "{\"b\":2}");
}

#[test]
fn what_is_said_beside_an_open_call_waits_too() {
    let refusal = Event::Refusal {
        choice: 0,
        text: "No.".to_owned(),
    };
    let frames = write(vec![
        call(0),
        text("By"),
        text(" the"),
        text(" way."),
        thinking("Hm"),
        thinking("."),
        signature("sig"),
        thinking("More."),
        refusal,
        arguments(0, "{}"),
        finish(Finish::Stop),
    ]);

    let output = frames.last().unwrap()["response"]["output"]
        .as_array()
        .unwrap();
    let said = output
        .iter()
        .map(|item| match item["type"].as_str().unwrap() {
            "function_call" => item["arguments"].clone(),
            "message" => item["content"].clone(),
            _ => item["summary"].clone(),
        });
    assert_eq!(
        said.collect::<Vec<_>>(),
        [
            json!("{}"),
            json!([{"type": "output_text", "annotations": [], "logprobs": [], "text": "By the way."}]),
            json!([{"type": "summary_text", "text": "Hm."}]),
            json!([{"type": "summary_text", "text": "More."}]),
            json!([{"type": "refusal", "refusal": "No."}]),
        ]
    );
}

#[test]
fn every_item_keeps_its_id_from_beginning_to_end() {
    let frames = write(vec![
        thinking("Hm."),
        signature("sig"),
        Event::RedactedThinking {
            choice: 0,
            data: Proof {
                by: Dialect::OpenaiResponses,
                data: "data".to_owned(),
            },
        },
        text("hi"),
        Event::Refusal {
            choice: 0,
            text: "No.".to_owned(),
        },
        call(0),
        call(1),
        finish(Finish::ToolCalls),
    ]);

    let output = &frames.last().unwrap()["response"]["output"];
    assert_eq!(output.as_array().map(Vec::len), Some(5));
    for frame in &frames {
        let Some(index) = frame["output_index"].as_u64() else {
            continue;
        };
        let id = &output[usize::try_from(index).unwrap()]["id"];
        let told = frame.get("item_id").unwrap_or(&frame["item"]["id"]);
        assert_eq!(told, id, "{frame}");
    }
}

#[test]
fn a_call_without_arguments_gets_an_empty_object() {
    let frames = write(vec![call(0), finish(Finish::ToolCalls)]);

    let delta = |frame: &&Value| frame["type"] == "response.function_call_arguments.delta";
    assert_eq!(frames.iter().find(delta).unwrap()["delta"], "{}");
    assert_eq!(
        frames.last().unwrap()["response"]["output"][0]["arguments"],
        "{}"
    );
}

#[test]
fn a_proof_without_thoughts_is_kept_as_one_that_is_not_redacted() {
    let frames = write(vec![text("hi"), signature("sig"), finish(Finish::Stop)]);

    let thought = &frames.last().unwrap()["response"]["output"][1];
    assert_eq!(thought["encrypted_content"], "sig");
    assert_eq!(
        thought["summary"],
        json!([{"type": "summary_text", "text": ""}])
    );
}

#[test]
fn log_probabilities_stand_beside_their_text_whichever_comes_first() {
    let logprobs = |token: &str| Event::Logprobs {
        choice: 0,
        logprobs: json!({"content": [{"token": token}]}),
    };
    let frames = write(vec![
        logprobs("a"),
        text("a"),
        text("b"),
        logprobs("b"),
        finish(Finish::Stop),
    ]);

    let content = &frames.last().unwrap()["response"]["output"][0]["content"][0];
    assert_eq!(content["logprobs"], json!([{"token": "a"}, {"token": "b"}]));
    assert_eq!(frames[4]["logprobs"], json!([{"token": "a"}]));
}

#[test]
fn an_answer_without_a_word_is_still_whole() {
    let frames = write(vec![]);

    assert_eq!(kinds(&frames), ["created", "in_progress", "completed"]);
}

#[test]
fn an_answer_that_was_cut_short_is_incomplete() {
    let frames = write(vec![text("Once"), finish(Finish::ContentFilter)]);

    let last = frames.last().unwrap();
    assert_eq!(last["type"], "response.incomplete");
    assert_eq!(
        last["response"]["incomplete_details"],
        json!({"reason": "content_filter"})
    );
    assert_eq!(last["response"]["output"][0]["status"], "incomplete");
}

#[test]
fn an_error_ends_the_stream_with_nothing_made_up() {
    let mut writer = Writer::new(facts());
    let mut out = Vec::new();
    writer.write(text("Hel"), &mut out);
    let n_before = frames(&out).len();

    writer.cut(&error(), &mut out);

    let frames = frames(&out);
    assert_eq!(
        frames[n_before..],
        [
            json!({"type": "error", "code": "server_error", "message": "It broke.", "param": null, "sequence_number": n_before})
        ]
    );
}

#[test]
fn a_second_answer_is_not_written() {
    let other = Event::Text {
        choice: 1,
        text: "other".to_owned(),
    };

    let frames = write(vec![text("hi"), other, finish(Finish::Stop)]);

    assert_eq!(
        frames.last().unwrap()["response"]["output"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
}

#[test]
fn a_streamed_answer_ends_as_the_whole_one() {
    let reply = Reply {
        id: Some("resp_1".to_owned()),
        model: Some("m".to_owned()),
        choices: vec![Choice {
            parts: vec![
                Part::Thinking {
                    text: "Hm.".to_owned(),
                    signature: Proof::new(Dialect::OpenaiResponses, "sig".to_owned()),
                },
                Part::RedactedThinking(Proof {
                    by: Dialect::OpenaiResponses,
                    data: "data".to_owned(),
                }),
                Part::Text("hi".to_owned()),
                Part::Refusal("No.".to_owned()),
                Part::ToolCall(ToolCall {
                    id: "call_a".to_owned(),
                    name: "f".to_owned(),
                    arguments: "{}".to_owned(),
                    signature: Proof::new(Dialect::OpenaiResponses, "AQ==".to_owned()),
                }),
                Part::ToolCall(ToolCall::default()),
            ],
            finish: Finish::Length,
            stop_sequence: None,
            logprobs: Some(json!({"content": [{"token": "hi"}]})),
        }],
        usage: None,
    };
    let whole: Value = serde_json::from_slice(&write_reply(reply.clone(), &facts())).unwrap();

    let frames = write(reply.into_events());

    assert_eq!(frames.last().unwrap()["response"], whole);
}
