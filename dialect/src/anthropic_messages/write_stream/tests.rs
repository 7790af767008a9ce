use proptest::prelude::*;
use serde_json::{Value, json};

use shared::config::Dialect;

use super::*;
use crate::ErrorType;

fn writer() -> Writer {
    Writer::new(AnswerFacts {
        request_id: "r1".to_owned(),
        model: "public".to_owned(),
        prompt_tokens: 9,
        ..AnswerFacts::default()
    })
}

/// The data of all events, each of which must be named by its event line.
#[track_caller]
fn data(bytes: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(bytes).unwrap();
    let frames = text.split_terminator("\n\n");
    frames
        .map(|frame| {
            let (event, data) = frame.split_once('\n').unwrap();
            let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            assert_eq!(event.strip_prefix("event: "), data["type"].as_str());
            data
        })
        .collect()
}

/// One word for each event: `0+text`, `0 hi`, `0-`.
#[track_caller]
fn outline(events: impl IntoIterator<Item = Event>) -> Vec<String> {
    let mut out = Vec::new();
    let mut writer = writer();
    for event in events {
        writer.write(event, &mut out);
    }
    writer.finish(None, &mut out);
    let told = data(&out).into_iter().map(|data| {
        let index = &data["index"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match data["type"].as_str().unwrap() {
            "content_block_start" => format!("{index}+{}", text(&data["content_block"]["type"])),
            "content_block_delta" => {
                let delta = data["delta"].as_object().unwrap();
                format!("{index} {}", text(&delta.values().nth(1).unwrap().clone()))
            }
            "content_block_stop" => format!("{index}-"),
            kind => kind.to_owned(),
        }
    });
    told.collect()
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
            by: Dialect::AnthropicMessages,
            data: signature.to_owned(),
        },
    }
}

fn call(call: u32) -> Event {
    Event::ToolCall {
        choice: 0,
        call,
        id: format!("call_{call}"),
        name: "find".to_owned(),
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

#[track_caller]
fn check(events: impl IntoIterator<Item = Event>, blocks: &[&str]) {
    let outline = outline(events);
    let (first, rest) = outline.split_first().unwrap();
    assert_eq!(first, "message_start");
    let (last, rest) = rest
        .split_last_chunk::<2>()
        .map(|(rest, last)| (last, rest))
        .unwrap();
    assert_eq!(last, &["message_delta", "message_stop"]);
    assert_eq!(rest, blocks);
}

#[test]
fn an_answer_without_a_word_has_no_blocks() {
    check([], &[]);
    check([text(""), thinking("")], &[]);
}

#[test]
fn blocks_open_with_their_first_piece_and_close_before_the_next() {
    check(
        [
            thinking("Hm"),
            thinking("."),
            text("Hi"),
            text("!"),
            call(0),
            arguments(0, "{}"),
        ],
        &[
            "0+thinking",
            "0 Hm",
            "0 .",
            "0 sluiced_",
            "0-",
            "1+text",
            "1 Hi",
            "1 !",
            "1-",
            "2+tool_use",
            "2 {}",
            "2-",
        ],
    );
}

#[test]
fn a_signature_ends_the_thoughts_that_it_proves() {
    check(
        [thinking("a"), signature("s"), thinking("b"), signature("t")],
        &[
            "0+thinking",
            "0 a",
            "0 s",
            "0-",
            "1+thinking",
            "1 b",
            "1 t",
            "1-",
        ],
    );
}

#[test]
fn a_signature_of_thoughts_that_are_not_shown_has_a_block_of_its_own() {
    check(
        [signature("s"), text("Hi")],
        &["0+thinking", "0 s", "0-", "1+text", "1 Hi", "1-"],
    );
}

#[test]
fn redacted_thoughts_are_a_block_without_pieces() {
    let data = Proof {
        by: OWN,
        data: "x".to_owned(),
    };

    check(
        [Event::RedactedThinking { choice: 0, data }, text("Hi")],
        &["0+redacted_thinking", "0-", "1+text", "1 Hi", "1-"],
    );
}

#[test]
fn parallel_calls_whose_pieces_alternate_are_told_one_after_the_other() {
    check(
        [
            call(0),
            call(1),
            arguments(0, "{\"a\""),
            arguments(1, "{\"b\""),
            arguments(0, ":1}"),
            arguments(1, ":2}"),
        ],
        &[
            "0+tool_use",
            "0 {\"a\"",
            "0 :1}",
            "0-",
            "1+tool_use",
            "1 {\"b\"",
            "1 :2}",
            "1-",
        ],
    );
}

#[test]
fn a_call_that_waited_goes_on_live_once_it_is_its_turn() {
    let mut out = Vec::new();
    let mut writer = writer();
    for event in [call(0), call(1), arguments(1, "{"), arguments(0, "{}")] {
        writer.write(event, &mut out);
    }

    out.clear();
    writer.write(arguments(1, "\"b\":2}"), &mut out);

    let pieces = data(&out);
    assert_eq!(pieces[0]["delta"]["partial_json"], "\"b\":2}");
    assert_eq!(pieces[1]["type"], "content_block_stop");
}

#[test]
fn what_comes_between_a_calls_pieces_waits_for_its_end() {
    check(
        [call(0), arguments(0, "{"), text("Hi"), arguments(0, "}")],
        &["0+tool_use", "0 {", "0 }", "0-", "1+text", "1 Hi", "1-"],
    );
}

#[test]
fn calls_without_arguments_are_told_at_the_end() {
    check(
        [call(0), call(1), call(2), arguments(2, "{}")],
        &[
            "0+tool_use",
            "0-",
            "1+tool_use",
            "1-",
            "2+tool_use",
            "2 {}",
            "2-",
        ],
    );
}

#[test]
fn other_choices_are_nobodys() {
    let choice = 1;

    check(
        [
            Event::Text {
                choice,
                text: "Hi".to_owned(),
            },
            Event::ToolArguments {
                choice,
                call: 0,
                json: "{}".to_owned(),
            },
            Event::Finish {
                choice,
                finish: Finish::Length,
                stop_sequence: None,
            },
        ],
        &[],
    );
}

#[test]
fn a_stream_begins_with_the_estimate_and_ends_with_the_truth() {
    let usage = Usage {
        prompt_tokens: 100,
        completion_tokens: 7,
        cached_tokens: 60,
        cache_write_tokens: 30,
        reasoning_tokens: 2,
    };
    let mut out = Vec::new();

    writer().finish(Some(usage), &mut out);

    let events = data(&out);
    assert_eq!(
        events[0]["message"]["usage"],
        json!({"input_tokens": 9, "output_tokens": 0})
    );
    assert_eq!(
        events[1]["usage"],
        json!({"input_tokens": 10, "cache_creation_input_tokens": 30, "cache_read_input_tokens": 60,
            "output_tokens": 7, "output_tokens_details": {"thinking_tokens": 2}})
    );
}

#[test]
fn a_stop_sequence_is_told_with_its_reason() {
    let mut out = Vec::new();
    let mut writer = writer();
    writer.write(
        Event::Finish {
            choice: 0,
            finish: Finish::Stop,
            stop_sequence: Some("END".to_owned()),
        },
        &mut out,
    );

    writer.finish(None, &mut out);

    assert_eq!(
        data(&out)[1]["delta"],
        json!({"stop_reason": "stop_sequence", "stop_sequence": "END"})
    );
}

#[test]
fn a_cut_is_one_error_event_and_nothing_else() {
    let error = ErrorBody {
        message: "Gone.",
        kind: ErrorType::ServiceUnavailable,
        param: None,
        code: None,
    };
    let mut out = Vec::new();

    writer().cut(&error, &mut out);

    let expected = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Gone.\"},\"request_id\":\"r1\"}\n\n";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

proptest! {
    #[test]
    fn blocks_are_dense_and_never_interleave(events in proptest::collection::vec(event(), 0..24)) {
        let mut out = Vec::new();
        let mut writer = writer();
        for event in events {
            writer.write(event, &mut out);
        }
        writer.finish(None, &mut out);

        let (mut n_blocks, mut open) = (0, None);
        for data in data(&out) {
            let index = data["index"].as_u64();
            match data["type"].as_str() {
                Some("content_block_start") => {
                    prop_assert_eq!((index, open), (Some(n_blocks), None));
                    n_blocks += 1;
                    open = index;
                }
                Some("content_block_delta") => prop_assert_eq!(index, open),
                Some("content_block_stop") => {
                    prop_assert_eq!(index, open);
                    open = None;
                }
                _ => prop_assert_eq!(open, None),
            }
        }
    }
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(text("Hi")),
        Just(thinking("Hm")),
        Just(signature("s")),
        Just(Event::RedactedThinking {
            choice: 0,
            data: Proof {
                by: Dialect::GeminiGenerate,
                data: "x".to_owned()
            },
        }),
        (0..4_u32).prop_map(call),
        (
            0..4_u32,
            prop_oneof![Just("{"), Just("}"), Just("{}"), Just("")]
        )
            .prop_map(|(call, json)| arguments(call, json)),
    ]
}
