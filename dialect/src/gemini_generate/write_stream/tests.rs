use serde_json::{Value, json};

use shared::config::Dialect;

use super::*;
use crate::ErrorType;
use crate::canon::Proof;

fn writer(variant: StreamVariant) -> Writer {
    Writer::new(AnswerFacts {
        request_id: "id".to_owned(),
        model: "public".to_owned(),
        variant,
        ..AnswerFacts::default()
    })
}

/// The stream that `events` come to, and its end.
fn written(variant: StreamVariant, events: Vec<Event>) -> String {
    let mut writer = writer(variant);
    let mut out = Vec::new();
    for event in events {
        writer.write(event, &mut out);
    }
    writer.finish(None, &mut out);
    String::from_utf8(out).unwrap()
}

/// The candidates of each chunk.
fn candidates(events: Vec<Event>) -> Vec<Value> {
    let stream = written(StreamVariant::Usual, events);
    let frames = stream.split_terminator("\r\n\r\n");
    frames
        .map(|frame| {
            let chunk = frame.strip_prefix("data: ").unwrap();
            assert!(!chunk.contains(['\r', '\n']), "{chunk}");
            serde_json::from_str::<Value>(chunk).unwrap()["candidates"].take()
        })
        .collect()
}

fn part(part: &Value) -> Value {
    json!([{"content": {"parts": [part], "role": "model"}, "index": 0}])
}

fn last(finish_reason: &str) -> Value {
    json!([{"content": {"parts": [{"text": ""}], "role": "model"}, "finishReason": finish_reason, "index": 0}])
}

fn text(text: &str) -> Event {
    Event::Text {
        choice: 0,
        text: text.to_owned(),
    }
}

fn call(call: u32, name: &str) -> Event {
    Event::ToolCall {
        choice: 0,
        call,
        id: String::new(),
        name: name.to_owned(),
        signature: None,
    }
}

/// A call that Gemini did not make.
fn unsigned_call(call: &Value) -> Value {
    part(&json!({"functionCall": call, "thoughtSignature": "skip_thought_signature_validator"}))
}

fn arguments(call: u32, json: &str) -> Event {
    Event::ToolArguments {
        choice: 0,
        call,
        json: json.to_owned(),
    }
}

fn finish(choice: u32, finish: Finish) -> Event {
    Event::Finish {
        choice,
        finish,
        stop_sequence: None,
    }
}

#[test]
fn a_stream_is_chunks_after_data_and_nothing_else() {
    let stream = written(
        StreamVariant::Usual,
        vec![text("Hi"), finish(0, Finish::Length)],
    );

    let expected = concat!(
        r#"data: {"candidates":[{"content":{"parts":[{"text":"Hi"}],"role":"model"},"index":0}],"modelVersion":"public","responseId":"id"}"#,
        "\r\n\r\n",
        r#"data: {"candidates":[{"content":{"parts":[{"text":""}],"role":"model"},"finishReason":"MAX_TOKENS","index":0}],"modelVersion":"public","responseId":"id"}"#,
        "\r\n\r\n",
    );
    assert_eq!(stream, expected);
}

#[test]
fn a_stream_without_alt_sse_is_an_array_that_ends_with_the_answer() {
    let stream = written(StreamVariant::Array, vec![text("a"), text("b")]);

    let chunks: Vec<Value> = serde_json::from_str(&stream).unwrap();
    assert_eq!(chunks.len(), 3);
    let starts: Vec<&str> = stream.split("\n,\r\n").collect();
    assert!(starts[0].starts_with("[{") && starts[1].starts_with('{') && stream.ends_with("\n]\n"));
}

#[test]
fn line_breaks_of_unicode_are_escaped() {
    let breaks = "“a”\u{85}\u{2028}\u{2029}é";

    let stream = written(StreamVariant::Usual, vec![text(breaks)]);

    assert!(
        stream.contains(r#""text":"“a”\u0085\u2028\u2029é""#),
        "{stream}"
    );
    assert_eq!(
        candidates(vec![text(breaks)])[0],
        part(&json!({"text": breaks}))
    );
}

#[test]
fn arguments_are_collected_to_one_object_on_one_line() {
    let candidates = candidates(vec![
        call(0, "f"),
        arguments(0, "{\n \"a\":"),
        arguments(0, " \"x y\"}"),
        finish(0, Finish::ToolCalls),
    ]);

    let expected = [
        unsigned_call(&json!({"name": "f", "args": {"a": "x y"}})),
        last("STOP"),
    ];
    assert_eq!(candidates, expected);
}

#[test]
fn a_whole_call_is_told_as_soon_as_something_follows() {
    let mut writer = writer(StreamVariant::Usual);
    let mut out = Vec::new();

    writer.write(call(0, "f"), &mut out);
    writer.write(arguments(0, "{}"), &mut out);
    assert!(out.is_empty());
    writer.write(call(1, "g"), &mut out);

    assert!(
        String::from_utf8(out)
            .unwrap()
            .contains(r#""functionCall":{"name":"f","args":{}}"#)
    );
}

#[test]
fn pieces_of_several_calls_may_alternate() {
    let candidates = candidates(vec![
        call(0, "f"),
        call(1, "g"),
        arguments(0, "{\"a\""),
        arguments(1, "{\"b\""),
        arguments(0, ":1}"),
        text("and"),
        arguments(1, ":2}"),
    ]);

    let expected = [
        unsigned_call(&json!({"name": "f", "args": {"a": 1}})),
        part(&json!({"text": "and"})),
        unsigned_call(&json!({"name": "g", "args": {"b": 2}})),
        last("STOP"),
    ];
    assert_eq!(candidates, expected);
}

#[test]
fn a_call_without_arguments_has_the_empty_object() {
    let candidates = candidates(vec![call(0, "f"), finish(0, Finish::ToolCalls)]);

    assert_eq!(
        candidates[0],
        unsigned_call(&json!({"name": "f", "args": {}}))
    );
}

#[test]
fn a_call_that_is_no_json_is_told_as_google_tells_it() {
    let candidates = candidates(vec![
        call(0, "f"),
        arguments(0, "{\"a\":"),
        call(1, "g"),
        arguments(1, "{}"),
        finish(0, Finish::Length),
    ]);

    let mut end = last("MALFORMED_FUNCTION_CALL");
    end[0]["finishMessage"] = json!("Malformed function call: f({\"a\":)");
    assert_eq!(
        candidates,
        [unsigned_call(&json!({"name": "g", "args": {}})), end]
    );
}

#[test]
fn signatures_go_out_with_what_they_sign() {
    let candidates = candidates(vec![
        Event::Thinking {
            choice: 0,
            text: "hm".to_owned(),
        },
        Event::ThinkingSignature {
            choice: 0,
            signature: Proof {
                by: Dialect::GeminiGenerate,
                data: "c2ln".to_owned(),
            },
        },
        Event::ToolCall {
            choice: 0,
            call: 0,
            id: "call_1".to_owned(),
            name: "f".to_owned(),
            signature: Proof::new(Dialect::GeminiGenerate, "b3RoZXI=".to_owned()),
        },
    ]);

    let expected = [
        part(&json!({"text": "hm", "thought": true})),
        part(&json!({"text": "", "thought": true, "thoughtSignature": "c2ln"})),
        part(
            &json!({"functionCall": {"id": "call_1", "name": "f", "args": {}}, "thoughtSignature": "b3RoZXI="}),
        ),
        last("STOP"),
    ];
    assert_eq!(candidates, expected);
}

#[test]
fn probabilities_stand_beside_the_next_text() {
    let token = json!({"token": "Hi", "logprob": -0.5, "top_logprobs": []});
    let candidates = candidates(vec![
        Event::Logprobs {
            choice: 0,
            logprobs: json!({"content": [token]}),
        },
        text("Hi"),
    ]);

    let result = &candidates[0][0]["logprobsResult"];
    assert_eq!(
        *result,
        json!({"chosenCandidates": [{"token": "Hi", "logProbability": -0.5}]})
    );
    assert_eq!(candidates[1], last("STOP"));
}

#[test]
fn all_answers_finish_in_the_last_chunk_with_the_usage() {
    let mut writer = writer(StreamVariant::Usual);
    let mut out = Vec::new();
    writer.write(finish(1, Finish::ContentFilter), &mut out);
    writer.write(finish(0, Finish::Stop), &mut out);
    assert!(out.is_empty());
    let usage = Usage {
        prompt_tokens: 3,
        completion_tokens: 2,
        ..Usage::default()
    };

    writer.finish(Some(usage), &mut out);

    let stream = String::from_utf8(out).unwrap();
    let chunk: Value = serde_json::from_str(stream.trim_start_matches("data: ").trim()).unwrap();
    assert_eq!(chunk["candidates"][0]["finishReason"], "STOP");
    assert_eq!(chunk["candidates"][1]["finishReason"], "SAFETY");
    let expected = json!({"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5});
    assert_eq!(chunk["usageMetadata"], expected);
}

#[test]
fn a_cut_is_an_error_and_no_end() {
    let error = ErrorBody {
        message: "gone",
        kind: ErrorType::ServiceUnavailable,
        param: None,
        code: None,
    };
    let cut = |variant| {
        let mut writer = writer(variant);
        let mut out = Vec::new();
        writer.write(text("a"), &mut out);
        out.clear();
        writer.cut(&error, &mut out);
        String::from_utf8(out).unwrap()
    };

    let element = r#"{"error":{"code":503,"message":"gone","status":"UNAVAILABLE"}}"#;
    assert_eq!(
        cut(StreamVariant::Usual),
        format!("data: {element}\r\n\r\n")
    );
    assert_eq!(cut(StreamVariant::Array), format!("\n,\r\n{element}"));
}
