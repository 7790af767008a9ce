use proptest::prelude::*;
use serde_json::json;

use shared::config::Dialect;

use super::*;
use crate::canon::Finish;
use crate::canon::Proof;

fn read_all(frames: &[Value]) -> Result<Vec<Event>, StreamFaultKind> {
    let mut reader = Reader::new(Manners::Plain);
    let mut events = Vec::new();
    for frame in frames {
        reader.read(frame.to_string().as_bytes(), &mut events)?;
    }
    Ok(events)
}

/// The events of deltas of the one choice, with a chunk that finishes it; without the first, `Start`.
#[track_caller]
fn read_deltas(deltas: &[Value], finish: &str) -> Vec<Event> {
    let mut frames: Vec<Value> = deltas
        .iter()
        .map(|delta| json!({"choices": [{"index": 0, "delta": delta, "finish_reason": null}]}))
        .collect();
    frames.push(json!({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}));
    let mut events = read_all(&frames).unwrap();
    events.remove(0);
    events
}

fn calls(pieces: &Value) -> Value {
    json!({"tool_calls": pieces})
}

fn begins(call: u32, id: &str, name: &str, signature: Option<&str>) -> Event {
    Event::ToolCall {
        choice: 0,
        call,
        id: id.to_owned(),
        name: name.to_owned(),
        signature: signature.and_then(|data| Proof::new(Dialect::GeminiGenerate, data.to_owned())),
    }
}

fn arguments(call: u32, json: &str) -> Event {
    Event::ToolArguments {
        choice: 0,
        call,
        json: json.to_owned(),
    }
}

fn finished(finish: Finish) -> Event {
    Event::Finish {
        choice: 0,
        finish,
        stop_sequence: None,
    }
}

#[test]
fn azures_first_chunk_tells_nothing() {
    let events = read_all(&[
        json!({"choices": [], "created": 0, "id": "", "model": "", "object": "",
            "prompt_filter_results": [{"content_filter_results": {"error": {"code": "x"}}}]}),
        json!({"id": "chatcmpl-1", "model": "gpt", "choices": [{"index": 0, "delta": {"role": "assistant"}}]}),
    ]);

    let start = Event::Start {
        id: Some("chatcmpl-1".to_owned()),
        model: Some("gpt".to_owned()),
    };
    assert_eq!(events, Ok(vec![start]));
}

#[test]
fn pieces_of_calls_may_alternate() {
    let events = read_deltas(
        &[
            calls(&json!([{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}])),
            calls(&json!([{"index": 1, "id": "b", "function": {"name": "g", "arguments": "["}}])),
            calls(
                &json!([{"index": 0, "function": {"arguments": "{}"}}, {"index": 1, "function": {"arguments": "]"}}]),
            ),
        ],
        "tool_calls",
    );

    let expected = [
        begins(0, "a", "f", None),
        begins(1, "b", "g", None),
        arguments(1, "["),
        arguments(0, "{}"),
        arguments(1, "]"),
        finished(Finish::ToolCalls),
    ];
    assert_eq!(events, expected);
}

#[test]
fn an_id_and_name_that_are_repeated_begin_no_call() {
    let piece = |json: &str| {
        calls(&json!([{"index": 0, "id": "a", "function": {"name": "f", "arguments": json}}]))
    };

    let events = read_deltas(&[piece("{"), piece("}")], "tool_calls");

    let expected = [
        begins(0, "a", "f", None),
        arguments(0, "{"),
        arguments(0, "}"),
        finished(Finish::ToolCalls),
    ];
    assert_eq!(events, expected);
}

#[test]
fn numbers_are_dense_however_the_provider_counts() {
    let piece = |index: u32, id: &str| {
        calls(&json!([{"index": index, "id": id, "function": {"name": "f", "arguments": "{}"}}]))
    };

    let events = read_deltas(&[piece(1, "a"), piece(3, "b"), piece(3, "c")], "tool_calls");

    let expected = [
        begins(0, "a", "f", None),
        arguments(0, "{}"),
        begins(1, "b", "f", None),
        arguments(1, "{}"),
        begins(2, "c", "f", None),
        arguments(2, "{}"),
        finished(Finish::ToolCalls),
    ];
    assert_eq!(events, expected);
}

#[test]
fn googles_calls_have_no_index_and_end_with_stop() {
    let signature = json!({"google": {"thought_signature": "c2ln"}});
    let events = read_deltas(
        &[
            calls(
                &json!([{"id": "a", "extra_content": signature, "function": {"name": "f", "arguments": "{\"q\":"}}]),
            ),
            calls(&json!([{"function": {"arguments": "1}"}}])),
            calls(&json!([{"id": "b", "function": {"name": "f", "arguments": "{}"}}])),
        ],
        "stop",
    );

    let expected = [
        begins(0, "a", "f", Some("c2ln")),
        arguments(0, "{\"q\":"),
        arguments(0, "1}"),
        begins(1, "b", "f", None),
        arguments(1, "{}"),
        finished(Finish::ToolCalls),
    ];
    assert_eq!(events, expected);
}

#[test]
fn a_signature_that_follows_its_call_is_waited_for() {
    let extra_content = json!({"google": {"thought_signature": "c2ln"}});
    let call = calls(&json!([{"id": "a", "function": {"name": "f", "arguments": "{}"}}]));
    let expected = [
        begins(0, "a", "f", Some("c2ln")),
        arguments(0, "{}"),
        finished(Finish::ToolCalls),
    ];

    for metadata in [
        json!({"extra_content": extra_content}),
        calls(&json!([{"extra_content": extra_content}])),
    ] {
        assert_eq!(read_deltas(&[call.clone(), metadata], "stop"), expected);
    }
}

#[test]
fn an_error_is_found_wherever_it_stands() {
    for frame in [
        json!({"error": {"message": "m", "code": 503}}),
        json!({"error": "m"}),
        json!([{"error": {"message": "m", "status": "UNAVAILABLE"}}]),
        json!({"choices": [{"delta": {"content": "x"}}], "error": {"message": "m"}}),
        json!({"choices": [], "x_groq": {"id": "r", "error": "m"}}),
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "network_error"}]}),
    ] {
        let events = read_all(std::slice::from_ref(&frame));

        assert!(
            matches!(events, Err(StreamFaultKind::Upstream(_))),
            "{frame}: {events:?}"
        );
    }
}

#[test]
fn a_field_named_error_that_is_none_is_no_error() {
    let frame = json!({"choices": [{"delta": {"content": "x"},
        "content_filter_results": {"error": {"code": "down"}}}], "error": null});

    assert!(read_all(&[frame]).is_ok());
}

#[test]
fn what_is_no_chunk_is_a_fault() {
    for frame in ["<html>", "{", "7", "[1]", r#"{"choices":{}}"#] {
        let read = Reader::new(Manners::Plain).read(frame.as_bytes(), &mut Vec::new());

        assert_eq!(read, Err(StreamFaultKind::Malformed), "{frame}");
    }
}

#[test]
fn keep_alives_are_no_fault() {
    for frame in ["", " ", "{}", r#"{"type":"ping"}"#] {
        let mut events = Vec::new();

        let read = Reader::new(Manners::Plain).read(frame.as_bytes(), &mut events);

        assert_eq!((read, events), (Ok(()), Vec::new()), "{frame}");
    }
}

#[test]
fn groqs_usage_is_found() {
    let events = read_all(&[json!({"choices": [],
        "x_groq": {"usage": {"prompt_tokens": 9, "completion_tokens": 4, "queue_time": 0.1}}})]);

    let usage = crate::Usage {
        prompt_tokens: 9,
        completion_tokens: 4,
        ..crate::Usage::default()
    };
    assert_eq!(events, Ok(vec![Event::Usage(usage)]));
}

#[test]
fn an_answer_finishes_once() {
    let events = read_deltas(&[json!({"content": "a"})], "stop");
    let again = json!({"choices": [{"delta": {"content": ""}, "finish_reason": "stop"}]});

    let twice = read_all(&[again.clone(), again]).unwrap();

    let is_finish = |event: &&Event| matches!(event, Event::Finish { .. });
    assert_eq!(events.iter().filter(is_finish).count(), 1);
    assert_eq!(twice.iter().filter(is_finish).count(), 1);
}

proptest! {
    #[test]
    fn no_frame_makes_it_panic(frame in any::<Vec<u8>>()) {
        let _ = Reader::new(Manners::Plain).read(&frame, &mut Vec::new());
    }

    #[test]
    fn no_calls_make_it_panic(
        pieces in prop::collection::vec(
            (prop::option::of(0_u32..4), "[ab]?", "[fg]?", "[{}]?", any::<bool>()),
            0..12,
        ),
    ) {
        let mut reader = Reader::new(Manners::Plain);
        let mut events = Vec::new();
        for (index, id, name, arguments, is_signed) in pieces {
            let signature = is_signed.then_some("s");
            let frame = json!({"choices": [{"delta": {"tool_calls": [{
                "index": index, "id": id, "function": {"name": name, "arguments": arguments},
                "extra_content": {"google": {"thought_signature": signature}}}]}}]});
            reader.read(frame.to_string().as_bytes(), &mut events).unwrap();
        }
        reader.read(b"[DONE]", &mut events).unwrap();

        let mut n_begun = 0;
        for event in events {
            match event {
                Event::ToolCall { call, .. } => {
                    prop_assert_eq!(call, n_begun);
                    n_begun += 1;
                }
                Event::ToolArguments { call, .. } => prop_assert!(call < n_begun),
                _ => {}
            }
        }
    }
}

#[test]
fn thoughts_that_are_only_in_googles_total_are_counted() {
    let mut reader = Reader::new(Manners::GeminiOpenai);
    let mut events = Vec::new();
    let chunk =
        br#"{"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":115}}"#;

    reader.read(chunk, &mut events).unwrap();

    let [Event::Usage(usage)] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(
        (usage.completion_tokens, usage.reasoning_tokens),
        (105, 100)
    );
}
