use proptest::prelude::*;

use super::*;
use crate::canon::Finish;

type Kind<'a> = (&'a str, &'a str);

/// All events of these messages.
fn read(messages: &[Kind<'_>]) -> Result<Vec<Event>, StreamFaultKind> {
    let mut reader = Reader::default();
    let mut events = Vec::new();
    for (kind, payload) in messages {
        let message = AwsMessage {
            kind,
            is_exception: kind.ends_with("Exception"),
            payload: payload.as_bytes(),
        };
        reader.read(&message.encode(), &mut events)?;
    }
    Ok(events)
}

const START: Event = Event::Start {
    id: None,
    model: None,
};

fn text(text: &str) -> Event {
    Event::Text {
        choice: 0,
        text: text.to_owned(),
    }
}

fn call(call: u32, id: &str) -> Event {
    Event::ToolCall {
        choice: 0,
        call,
        id: id.to_owned(),
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

#[test]
fn an_answer_is_done_only_when_its_usage_has_come() {
    let events = read(&[
        ("messageStart", r#"{"role":"assistant","p":"abc"}"#),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":0,"delta":{"text":"Hi"}}"#,
        ),
        ("contentBlockStop", r#"{"contentBlockIndex":0}"#),
        ("messageStop", r#"{"stopReason":"end_turn"}"#),
    ]);
    let metadata = read(&[(
        "metadata",
        r#"{"usage":{"inputTokens":3,"outputTokens":1}}"#,
    )]);

    let finish = Event::Finish {
        choice: 0,
        finish: Finish::Stop,
        stop_sequence: None,
    };
    assert_eq!(events, Ok(vec![START, text("Hi"), finish]));
    let metadata = metadata.unwrap();
    assert!(
        matches!(metadata[..], [Event::Usage(_), Event::Done]),
        "{metadata:?}"
    );
}

#[test]
fn calls_are_counted_apart_from_blocks() {
    let events = read(&[
        (
            "contentBlockStart",
            r#"{"contentBlockIndex":1,"start":{"toolUse":{"toolUseId":"a","name":"f"}}}"#,
        ),
        (
            "contentBlockStart",
            r#"{"contentBlockIndex":4,"start":{"toolUse":{"toolUseId":"b","name":"f"}}}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":4,"delta":{"toolUse":{"input":"{1"}}}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":1,"delta":{"toolUse":{"input":"{0"}}}"#,
        ),
    ]);

    let expected = vec![
        START,
        call(0, "a"),
        call(1, "b"),
        arguments(1, "{1"),
        arguments(0, "{0"),
    ];
    assert_eq!(events, Ok(expected));
}

#[test]
fn a_call_without_arguments_has_an_empty_object() {
    let events = read(&[
        (
            "contentBlockStart",
            r#"{"contentBlockIndex":0,"start":{"toolUse":{"toolUseId":"a","name":"f"}}}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":0,"delta":{"toolUse":{"input":""}}}"#,
        ),
        ("contentBlockStop", r#"{"contentBlockIndex":0}"#),
    ]);

    assert_eq!(events, Ok(vec![START, call(0, "a"), arguments(0, "{}")]));
}

#[test]
fn a_call_that_bedrock_runs_itself_is_not_the_clients() {
    let events = read(&[
        (
            "contentBlockStart",
            r#"{"contentBlockIndex":0,"start":{"toolUse":{"toolUseId":"s","name":"g","type":"server_tool_use"}}}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":0,"delta":{"toolUse":{"input":"{}"}}}"#,
        ),
        ("contentBlockStop", r#"{"contentBlockIndex":0}"#),
        (
            "contentBlockStart",
            r#"{"contentBlockIndex":1,"start":{"toolUse":{"toolUseId":"a","name":"f"}}}"#,
        ),
    ]);

    assert_eq!(events, Ok(vec![START, call(0, "a")]));
}

#[test]
fn an_exception_is_the_upstreams_error() {
    let Err(StreamFaultKind::Upstream(error)) = read(&[
        ("messageStart", r#"{"role":"assistant"}"#),
        (
            "modelStreamErrorException",
            r#"{"message":"broken","originalStatusCode":500}"#,
        ),
    ]) else {
        panic!("no error")
    };

    assert_eq!(error.message, "broken");
    assert_eq!(error.kind.as_deref(), Some("modelStreamErrorException"));
    assert_eq!(error.status, Some(424));
}

#[test]
fn events_that_are_not_known_yet_are_passed_over() {
    let events = read(&[("initial-response", ""), ("contentBlockMood", "?")]);

    assert_eq!(events, Ok(Vec::new()));
}

#[track_caller]
fn check_malformed(kind: &str, payload: &str) {
    assert_eq!(read(&[(kind, payload)]), Err(StreamFaultKind::Malformed));
}

#[test]
fn what_is_not_of_this_dialect_is_malformed() {
    check_malformed("contentBlockDelta", "{");
    check_malformed("contentBlockDelta", r#"{"delta":{"text":"x"}}"#);
    check_malformed("contentBlockStart", "[]");
    check_malformed("messageStop", r#"{"stopReason":7}"#);
    // A piece of a call that never began.
    check_malformed(
        "contentBlockDelta",
        r#"{"contentBlockIndex":0,"delta":{"toolUse":{"input":"{}"}}}"#,
    );
    let mut events = Vec::new();
    let read = Reader::default().read(b"data: {}", &mut events);
    assert_eq!(read, Err(StreamFaultKind::Malformed));
}

proptest! {
    #[test]
    fn no_payload_panics(
        kinds in prop::collection::vec(0_usize..6, 1..6),
        payload in r#"\{"contentBlockIndex":[0-9]{1,30},"(start|delta)":(\{"toolUse":\{.{0,20}\}\}|.{0,20})\}"#,
    ) {
        const KINDS: [&str; 6] = [
            "messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata",
        ];
        let messages: Vec<Kind<'_>> = kinds.iter().map(|kind| (KINDS[*kind], &*payload)).collect();

        let _ = read(&messages);
    }
}
