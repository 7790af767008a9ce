use serde_json::{Value, json};

use shared::config::Dialect;

use super::*;
use crate::ErrorType;
use crate::canon::Proof;
use crate::canon::{StreamVariant, proof};

fn lines(variant: StreamVariant, events: Vec<Event>, usage: Option<Usage>) -> Vec<Value> {
    let mut writer = Writer::new(AnswerFacts {
        request_id: "abc".to_owned(),
        created: 0,
        model: "public".to_owned(),
        variant,
        ..AnswerFacts::default()
    });
    let mut out = Vec::new();
    for event in events {
        writer.write(event, &mut out);
    }
    writer.finish(usage, &mut out);
    let out = String::from_utf8(out).unwrap();
    assert!(out.ends_with('\n') && !out.contains("\n\n"));
    let lines = out.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn text(text: &str) -> Event {
    Event::Text {
        choice: 0,
        text: text.to_owned(),
    }
}

fn call(call: u32, id: &str, name: &str) -> Event {
    Event::ToolCall {
        choice: 0,
        call,
        id: id.to_owned(),
        name: name.to_owned(),
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

#[test]
fn a_chat_streams_messages_and_ends_with_the_counts() {
    let start = Event::Start {
        id: None,
        model: Some("actual".to_owned()),
    };
    let usage = Usage {
        prompt_tokens: 7,
        completion_tokens: 2,
        cached_tokens: 4,
        ..Usage::default()
    };

    let events = vec![start, text("Hi"), finish(Finish::Length)];
    let lines = lines(StreamVariant::Usual, events, Some(usage));

    let at = "1970-01-01T00:00:00Z";
    assert_eq!(
        lines,
        [
            json!({"model": "actual", "created_at": at, "message": {"role": "assistant", "content": "Hi"}, "done": false}),
            json!({"model": "actual", "created_at": at, "message": {"role": "assistant", "content": ""}, "done": true,
                "done_reason": "length", "prompt_eval_count": 7, "prompt_eval_cached_count": 4, "eval_count": 2}),
        ]
    );
}

#[test]
fn generate_streams_responses() {
    let thinking = Event::Thinking {
        choice: 0,
        text: "Hm".to_owned(),
    };

    let lines = lines(StreamVariant::Generate, vec![thinking, text("Hi")], None);

    let at = "1970-01-01T00:00:00Z";
    assert_eq!(
        lines,
        [
            json!({"model": "public", "created_at": at, "response": "", "thinking": "Hm", "done": false}),
            json!({"model": "public", "created_at": at, "response": "Hi", "done": false}),
            json!({"model": "public", "created_at": at, "response": "", "done": true, "done_reason": "stop"}),
        ]
    );
}

#[test]
fn calls_whose_pieces_alternate_are_told_whole() {
    let events = vec![
        call(0, "call_a", "f"),
        call(1, "", "g"),
        arguments(0, "{\"a\""),
        arguments(1, ""),
        arguments(0, ":1}"),
        finish(Finish::ToolCalls),
    ];

    let lines = lines(StreamVariant::Usual, events, None);

    assert_eq!(lines.len(), 2);
    assert_eq!(
        lines[0]["message"]["tool_calls"],
        json!([
            {"id": "call_a", "function": {"index": 0, "name": "f", "arguments": {"a": 1}}},
            {"id": "call_abc_1", "function": {"index": 1, "name": "g", "arguments": {}}},
        ])
    );
    assert_eq!(lines[1]["done_reason"], "stop");
}

#[test]
fn a_call_that_was_cut_off_is_not_told() {
    let events = vec![
        call(0, "call_a", "f"),
        arguments(0, "{\"a\":"),
        finish(Finish::Length),
    ];

    let lines = lines(StreamVariant::Usual, events, None);

    assert_eq!(lines[0]["message"].get("tool_calls"), None);
    assert_eq!(lines.last().unwrap()["done_reason"], "length");
}

#[test]
fn a_signature_travels_in_the_calls_id() {
    let signature = Proof::new(Dialect::GeminiGenerate, "A+/=".to_owned());
    let signed = Event::ToolCall {
        choice: 0,
        call: 0,
        id: "call_a".to_owned(),
        name: "f".to_owned(),
        signature: signature.clone(),
    };

    let lines = lines(StreamVariant::Usual, vec![signed], None);

    let id = &lines[0]["message"]["tool_calls"][0]["id"];
    assert_eq!(*id, proof::pack("call_a", signature.as_ref()));
}

#[test]
fn only_the_first_choice_is_told() {
    let other = Event::Text {
        choice: 1,
        text: "Ho".to_owned(),
    };

    let lines = lines(StreamVariant::Usual, vec![text("Hi"), other], None);

    assert_eq!(lines.len(), 2);
}

#[test]
fn an_error_is_a_line_and_no_end() {
    let mut writer = Writer::new(AnswerFacts::default());
    let mut out = Vec::new();

    let error = ErrorBody {
        message: "broken\u{2028}off",
        kind: ErrorType::Server,
        param: None,
        code: None,
    };
    writer.cut(&error, &mut out);

    assert_eq!(out, b"{\"error\":\"broken\\u2028off\"}\n");
}
