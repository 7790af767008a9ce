use proptest::prelude::*;

use bytes::Bytes;

use crate::canon::AnswerFacts;
use crate::{
    Endpoint, ErrorBody, ErrorType, StreamFault, StreamFaultKind, StreamRelay, Usage, wire,
};

/// A recorded stream, and what a client that did not ask for usage gets of it; the same where no `.passed` is named.
struct Recording {
    name: &'static str,
    sent: &'static [u8],
    passed: &'static [u8],
}

macro_rules! recording {
    ($name:literal) => {
        recording!($name, concat!($name, ".sse"))
    };
    ($name:literal, $passed:expr) => {
        Recording {
            name: $name,
            sent: include_bytes!(concat!("../../fixtures/openai_chat/", $name, ".sse")),
            passed: include_bytes!(concat!("../../fixtures/openai_chat/", $passed)),
        }
    };
}

const RECORDINGS: [Recording; 13] = [
    recording!("plain"),
    recording!("usage_chunk", "usage_chunk.passed.sse"),
    recording!("crlf", "crlf.passed.sse"),
    recording!("no_space", "no_space.passed.sse"),
    recording!("comments", "comments.passed.sse"),
    recording!("error_event", "error_event.passed.sse"),
    recording!("azure", "azure.passed.sse"),
    recording!("groq"),
    recording!("tool_call", "tool_call.passed.sse"),
    recording!("gemini"),
    recording!("garbage", "garbage.passed.sse"),
    recording!("cut", "cut.passed.sse"),
    recording!("no_last_blank_line", "no_last_blank_line.passed.sse"),
];

fn recorded(name: &str) -> &'static [u8] {
    let mut recordings = RECORDINGS.iter();
    recordings
        .find(|recording| recording.name == name)
        .unwrap()
        .sent
}

fn scan(endpoint: Endpoint, keep_usage_chunk: bool, n_choices: usize) -> StreamRelay {
    let last_word = wire::writer(endpoint, AnswerFacts::default());
    StreamRelay::scan(endpoint, keep_usage_chunk, n_choices, last_word)
}

fn chat(keep_usage_chunk: bool) -> StreamRelay {
    scan(Endpoint::ChatCompletions, keep_usage_chunk, 1)
}

/// What a relay put out, and what it knows at the end.
#[derive(Debug, PartialEq)]
struct Relayed {
    output: String,
    fault: Option<StreamFaultKind>,
    usage: Option<Usage>,
    has_content: bool,
    is_finished: bool,
    n_tokens: u32,
}

fn relay<'a>(mut relay: StreamRelay, pieces: impl IntoIterator<Item = &'a [u8]>) -> Relayed {
    let mut output = Vec::new();
    let mut fault = None;
    let mut take = |result: Result<Bytes, StreamFault>| match result {
        Ok(bytes) => output.extend_from_slice(&bytes),
        Err(error) => {
            output.extend_from_slice(&error.passed);
            fault = Some(error.kind);
        }
    };
    for piece in pieces {
        take(relay.feed(Bytes::copy_from_slice(piece)));
    }
    take(relay.finish());
    Relayed {
        output: String::from_utf8(output).unwrap(),
        fault,
        usage: relay.usage(),
        has_content: relay.has_content(),
        is_finished: relay.is_finished(),
        n_tokens: relay.completion_tokens_estimate(),
    }
}

#[test]
fn every_recording_passes_byte_for_byte_but_for_the_usage_chunk() {
    for Recording { name, sent, passed } in RECORDINGS {
        let relayed = relay(chat(false), [sent]);

        assert_eq!(relayed.output.as_bytes(), passed, "{name}");
    }
}

#[test]
fn a_client_that_asked_for_usage_gets_every_byte() {
    for Recording { name, sent, passed } in RECORDINGS {
        let relayed = relay(chat(true), [sent]);

        let expected = match name {
            "error_event" | "cut" => passed,
            _ => sent,
        };
        assert_eq!(relayed.output.as_bytes(), expected, "{name}");
    }
}

#[test]
fn the_output_is_the_same_at_every_split() {
    for Recording { name, sent, .. } in RECORDINGS {
        let whole = relay(chat(false), [sent]);

        for at in 0..=sent.len() {
            let (head, tail) = sent.split_at(at);
            assert_eq!(
                relay(chat(false), [head, tail]),
                whole,
                "{name} split at {at}"
            );
        }
        assert_eq!(
            relay(chat(false), sent.chunks(1)),
            whole,
            "{name} byte by byte"
        );
    }
}

proptest! {
    #[test]
    fn the_output_is_the_same_at_any_number_of_splits(
        recording in 0..RECORDINGS.len(),
        lens in prop::collection::vec(1_usize..400, 1..60),
        keep in any::<bool>(),
    ) {
        let sent = RECORDINGS[recording].sent;
        let mut pieces = Vec::new();
        let mut rest = sent;
        for len in lens {
            let (piece, after) = rest.split_at(len.min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        pieces.push(rest);

        prop_assert_eq!(relay(chat(keep), pieces), relay(chat(keep), [sent]));
    }

    #[test]
    fn no_bytes_make_it_panic(pieces in prop::collection::vec("[data:\\{\\}\"usageror\\[\\]\\\\, \r\n]{0,40}", 0..8)) {
        let joined = pieces.concat();

        let split = relay(chat(false), pieces.iter().map(String::as_bytes));

        prop_assert_eq!(split, relay(chat(false), [joined.as_bytes()]));
    }
}

#[test]
fn usage_is_read_wherever_it_is_reported() {
    let usage = Some(Usage {
        prompt_tokens: 9,
        completion_tokens: 4,
        ..Usage::default()
    });
    for name in [
        "usage_chunk",
        "crlf",
        "no_space",
        "comments",
        "azure",
        "groq",
        "tool_call",
        "gemini",
        "garbage",
    ] {
        assert_eq!(relay(chat(false), [recorded(name)]).usage, usage, "{name}");
    }
}

#[test]
fn an_error_event_ends_the_stream_and_tells_why() {
    let relayed = relay(chat(false), [recorded("error_event")]);

    let Some(StreamFaultKind::Upstream(error)) = relayed.fault else {
        panic!("{relayed:?}")
    };
    assert_eq!(
        error.message,
        "The server had an error while processing your request"
    );
    assert!(!relayed.is_finished);
}

#[test]
fn a_late_error_of_groq_is_an_error() {
    let event = "data: {\"choices\":[],\"x_groq\":{\"id\":\"r\",\"error\":\"over capacity\"}}\n\n";

    let relayed = relay(chat(false), [event.as_bytes()]);

    assert!(
        matches!(relayed.fault, Some(StreamFaultKind::Upstream(error)) if error.message == "over capacity")
    );
}

#[test]
fn words_of_the_answer_are_no_keys() {
    let event = r#"data: {"choices":[{"delta":{"content":"{\"error\":{\"usage\":1}} \"finish_reason\":\"stop\""},"finish_reason":null}],"error":null}"#;

    let relayed = relay(chat(false), [event.as_bytes(), b"\n\n"]);

    assert_eq!(relayed.output, format!("{event}\n\n"));
    assert_eq!(
        (relayed.fault, relayed.usage, relayed.is_finished),
        (None, None, false)
    );
}

#[test]
fn a_stream_is_finished_only_by_a_mark_of_its_end() {
    for (name, expected) in [
        ("plain", true),
        ("gemini", true),
        ("cut", false),
        ("error_event", false),
    ] {
        assert_eq!(
            relay(chat(false), [recorded(name)]).is_finished,
            expected,
            "{name}"
        );
    }
}

#[track_caller]
fn check_finished(n_choices: usize, chunks: &[&str], expected: bool) {
    let events: String = chunks
        .iter()
        .map(|chunk| format!("data: {chunk}\n\n"))
        .collect();
    let relayed = relay(
        scan(Endpoint::ChatCompletions, false, n_choices),
        [events.as_bytes()],
    );
    assert_eq!(relayed.is_finished, expected, "{n_choices}: {chunks:?}");
}

#[test]
fn a_stream_of_several_choices_is_finished_by_the_last_of_them() {
    let first = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
    let second = r#"{"choices":[{"index":1,"delta":{},"finish_reason":"length"}]}"#;
    let both =
        r#"{"choices":[{"index":1,"finish_reason":"stop"},{"index":0,"finish_reason":"stop"}]}"#;
    let neither = r#"{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}"#;
    let without_index = r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#;

    check_finished(1, &[first], true);
    check_finished(1, &[neither], false);
    check_finished(1, &[without_index], true);
    check_finished(2, &[first], false);
    check_finished(2, &[first, neither, first], false);
    check_finished(2, &[first, second], true);
    check_finished(2, &[both], true);
    check_finished(3, &[both], false);
    check_finished(3, &[first, "[DONE]"], true);
}

#[track_caller]
fn check_content(endpoint: Endpoint, chunk: &str, expected: bool) {
    let event = format!("data: {chunk}\n\n");
    let relayed = relay(scan(endpoint, false, 1), [event.as_bytes()]);
    assert_eq!(relayed.has_content, expected, "{chunk}");
}

#[test]
fn roles_and_empty_deltas_are_no_content() {
    use Endpoint::{ChatCompletions, Completions};

    check_content(
        ChatCompletions,
        r#"{"choices":[{"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
        false,
    );
    check_content(
        ChatCompletions,
        r#"{"choices":[{"delta":{"role":"assistant","content":null,"tool_calls":[]}}]}"#,
        false,
    );
    check_content(
        ChatCompletions,
        r#"{"choices":[],"prompt_filter_results":[]}"#,
        false,
    );
    check_content(
        Completions,
        r#"{"choices":[{"text":"","finish_reason":null}]}"#,
        false,
    );
}

#[test]
fn whatever_a_reader_would_notice_is_content() {
    use Endpoint::{ChatCompletions, Completions};

    check_content(
        ChatCompletions,
        r#"{"choices":[{"delta":{"content":"a"}}]}"#,
        true,
    );
    check_content(
        ChatCompletions,
        r#"{"choices":[{"delta":{"reasoning":"a"}}]}"#,
        true,
    );
    check_content(
        ChatCompletions,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":""}}]}}]}"#,
        true,
    );
    check_content(
        ChatCompletions,
        r#"{"choices":[{"delta":{"images":[{"image_url":{"url":"x"}}]}}]}"#,
        true,
    );
    check_content(
        ChatCompletions,
        r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#,
        true,
    );
    check_content(Completions, r#"{"choices":[{"text":"a"}]}"#, true);
}

#[test]
fn a_cut_stream_is_estimated_by_events_or_by_bytes_whichever_is_more() {
    let event = |text: &str| {
        format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n")
    };
    let of_single_tokens = event("a").repeat(7);
    let of_sentences = event(&"x".repeat(100)).repeat(2);

    assert_eq!(
        relay(chat(false), [of_single_tokens.as_bytes()]).n_tokens,
        7
    );
    assert_eq!(relay(chat(false), [of_sentences.as_bytes()]).n_tokens, 50);
}

#[test]
fn an_event_too_long_to_hold_back_is_a_fault_after_what_came_before() {
    let mut relay = chat(false);
    let long = format!(": before\n\ndata: {}", "x".repeat(2 * 1024 * 1024));

    let fault = relay.feed(Bytes::from(long)).unwrap_err();

    assert_eq!(fault.passed, ": before\n\n");
    assert_eq!(fault.kind, StreamFaultKind::TooLong);
}

#[test]
fn a_buffer_of_whole_events_is_not_copied() {
    let sent = Bytes::from_static(recorded("plain"));

    let passed = chat(false).feed(sent.clone()).unwrap();

    assert_eq!(passed.as_ptr(), sent.as_ptr());
}

#[test]
fn a_cut_is_told_in_band_and_without_the_mark_of_an_end() {
    let event = chat(false).cut(&ErrorBody {
        message: "the \"upstream\" closed",
        kind: ErrorType::Server,
        param: None,
        code: Some("stream_interrupted"),
    });

    assert_eq!(
        event,
        "data: {\"error\":{\"message\":\"the \\\"upstream\\\" closed\",\"type\":\"server_error\",\"param\":null,\"code\":\"stream_interrupted\"}}\n\n"
    );
}
