use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read(frames: &[Value]) -> Result<Vec<Event>, StreamFaultKind> {
    let mut reader = Reader::default();
    let mut events = Vec::new();
    for frame in frames {
        reader.read(frame.to_string().as_bytes(), &mut events)?;
    }
    Ok(events)
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

fn arguments(call: u32, json: &str) -> Event {
    Event::ToolArguments {
        choice: 0,
        call,
        json: json.to_owned(),
    }
}

#[test]
fn deltas_are_not_told_again_by_what_repeats_them() {
    let events = read(&[
        json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "hi"}),
        json!({"type": "response.output_text.done", "output_index": 0, "content_index": 0, "text": "hi"}),
        json!({"type": "response.output_text.done", "output_index": 0, "content_index": 1, "text": " there"}),
    ]);

    let events = events.unwrap();
    assert_eq!(events[1..], [text("hi"), text(" there")]);
    assert!(matches!(events[0], Event::Start { .. }));
}

#[test]
fn a_call_is_told_once_however_often_it_is_shown() {
    let item = |status: &str, json: &str| json!({"type": "function_call", "call_id": "call_a", "name": "f", "arguments": json, "status": status});
    let added = json!({"type": "response.output_item.added", "output_index": 3, "item": item("in_progress", "")});
    let done = json!({"type": "response.output_item.done", "output_index": 3, "item": item("completed", "{}")});
    let delta =
        json!({"type": "response.function_call_arguments.delta", "output_index": 3, "delta": "{}"});
    let whole = json!({"type": "response.function_call_arguments.done", "output_index": 3, "arguments": "{}"});

    for frames in [
        vec![added.clone(), delta, whole.clone(), done.clone()],
        vec![added.clone(), whole.clone(), done.clone()],
        vec![added, done.clone()],
        vec![whole, done],
    ] {
        let events = read(&frames).unwrap();

        let is_call =
            |event: &Event| matches!(event, Event::ToolCall { call: 0, id, .. } if id == "call_a");
        assert!(is_call(&events[1]), "{events:?}");
        assert_eq!(events[2..], [arguments(0, "{}")]);
    }
}

#[test]
fn open_models_show_their_thoughts_themselves() {
    let delta = |kind: &str, delta: &str| json!({"type": format!("response.{kind}.delta"), "output_index": 0, "delta": delta});
    let item = json!({"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]});

    let events = read(&[
        delta("reasoning_text", "H"),
        delta("reasoning_text", "m."),
        delta("reasoning_summary_text", "In short: hm."),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
    ]);

    assert_eq!(events.unwrap()[1..], [thinking("H"), thinking("m.")]);
}

#[test]
fn thoughts_beside_each_other_are_parted_by_a_blank_line() {
    let delta = |item: u32, part: u32, delta: &str| json!({"type": "response.reasoning_summary_text.delta", "output_index": item, "summary_index": part, "delta": delta});
    let said = json!({"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "hi"});

    let events = read(&[
        delta(0, 0, "A"),
        delta(0, 0, "B"),
        delta(0, 1, "C"),
        said,
        delta(2, 0, "D"),
    ]);

    assert_eq!(
        events.unwrap()[1..],
        [
            thinking("A"),
            thinking("B"),
            thinking("\n\nC"),
            text("hi"),
            thinking("D")
        ]
    );
}

#[test]
fn items_and_events_of_hosted_tools_are_passed_over() {
    let item = json!({"type": "mcp_call", "name": 7, "arguments": [], "content": {}});

    let events = read(&[
        json!({"type": "response.output_item.added", "output_index": 0, "item": item}),
        json!({"type": "response.mcp_call.arguments.delta", "delta": {"a": 1}}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
        json!({"type": "response.output_item.added", "output_index": 1, "item": null}),
        json!({"type": "response.from_the_future", "output_index": "x"}),
    ]);

    assert_eq!(events, Ok(vec![]));
}

#[test]
fn an_end_that_repeats_no_items_still_ends_a_call() {
    let item = json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"});

    let events = read(&[
        json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
        json!({"type": "response.completed", "response": {"id": "resp_1", "output": []}}),
    ]);

    let end = Event::Finish {
        choice: 0,
        finish: Finish::ToolCalls,
        stop_sequence: None,
    };
    assert_eq!(events.unwrap()[3..], [end, Event::Done]);
}

#[track_caller]
fn check_error(frame: &Value, message: &str, code: Option<&str>) {
    let Err(StreamFaultKind::Upstream(error)) = read(std::slice::from_ref(frame)) else {
        panic!("no error: {frame}")
    };
    assert_eq!(error.message, message);
    assert_eq!(error.code.as_deref(), code);
    assert_eq!(error.kind, None);
}

#[test]
fn errors_are_understood_in_every_shape() {
    let error = json!({"code": "server_error", "message": "It broke."});
    check_error(
        &json!({"type": "error", "code": "server_error", "message": "It broke.", "param": null, "sequence_number": 3}),
        "It broke.",
        Some("server_error"),
    );
    check_error(
        &json!({"type": "error", "sequence_number": 3, "error": error}),
        "It broke.",
        Some("server_error"),
    );
    check_error(
        &json!({"type": "response.failed", "response": {"status": "failed", "error": error}}),
        "It broke.",
        Some("server_error"),
    );
    check_error(
        &json!({"type": "response.failed", "response": {"output": []}}),
        "",
        None,
    );
    check_error(&json!({"error": error}), "It broke.", Some("server_error"));
}

#[test]
fn what_is_not_of_this_dialect_is_malformed() {
    for frame in [
        "not json",
        "{}",
        "[]",
        r#"{"type": 7}"#,
        r#"{"object": "chat.completion.chunk", "choices": []}"#,
        r#"{"type": "response.output_text.delta"}"#,
        r#"{"type": "response.completed"}"#,
        r#"{"type": "response.output_item.added", "item": {}}"#,
    ] {
        let fault = Reader::default().read(frame.as_bytes(), &mut Vec::new());

        assert_eq!(fault, Err(StreamFaultKind::Malformed), "{frame}");
    }
}

#[test]
fn the_end_mark_of_another_dialect_says_nothing() {
    let mut events = Vec::new();

    let read = Reader::default().read(b"[DONE]", &mut events);

    assert_eq!((read, events), (Ok(()), vec![]));
}

proptest! {
    #[test]
    fn no_frame_makes_the_reader_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..64),
        kind in prop::sample::select(vec![
            "error", "response.completed", "response.output_item.done", "response.output_text.delta",
            "response.function_call_arguments.delta", "response.created",
        ]),
        field in prop::sample::select(vec!["item", "response", "delta", "output_index", "error", "logprobs"]),
        value in any::<i64>(),
    ) {
        let mut reader = Reader::default();
        let _fault_or_events = reader.read(&bytes, &mut Vec::new());
        for value in [json!(value), json!({"type": "reasoning", "summary": value}), json!([value]), json!("x")] {
            let frame = json!({"type": kind, field: value}).to_string();
            let _fault_or_events = reader.read(frame.as_bytes(), &mut Vec::new());
        }
    }
}
