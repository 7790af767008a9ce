use serde_json::json;

use shared::config::Dialect;

use super::*;
use crate::canon::Proof;

fn text(choice: u32, text: &str) -> Event {
    Event::Text {
        choice,
        text: text.to_owned(),
    }
}

fn finish(choice: u32, finish: Finish) -> Event {
    Event::Finish {
        choice,
        finish,
        stop_sequence: None,
    }
}

fn facts(wants_usage: bool) -> AnswerFacts {
    AnswerFacts {
        request_id: "0f8f".to_owned(),
        created: 7,
        model: "public".to_owned(),
        wants_usage,
        ..AnswerFacts::default()
    }
}

/// The data of each event of the whole stream.
fn write(facts: AnswerFacts, events: Vec<Event>, usage: Option<Usage>) -> Vec<String> {
    let mut writer = Writer::new(facts);
    let mut out = Vec::new();
    for event in events {
        writer.write(event, &mut out);
    }
    writer.finish(usage, &mut out);
    let text = String::from_utf8(out).unwrap();
    text.split_terminator("\n\n")
        .map(|event| event.strip_prefix("data: ").unwrap().to_owned())
        .collect()
}

fn chunk(data: &str) -> Value {
    serde_json::from_str(data).unwrap()
}

fn delta(data: &str) -> Value {
    chunk(data)["choices"][0]["delta"].clone()
}

#[test]
fn each_answers_role_comes_once_and_first() {
    let events = vec![text(0, "a"), text(1, "b"), text(0, "c")];

    let written = write(facts(false), events, None);

    assert_eq!(
        delta(&written[0]),
        json!({"role": "assistant", "content": "a"})
    );
    assert_eq!(
        delta(&written[1]),
        json!({"role": "assistant", "content": "b"})
    );
    assert_eq!(delta(&written[2]), json!({"content": "c"}));
}

#[test]
fn a_finish_reason_comes_once_and_only_at_the_end() {
    let mut writer = Writer::new(facts(false));
    let mut before = Vec::new();
    for event in [
        text(0, "a"),
        finish(0, Finish::Length),
        finish(0, Finish::Stop),
    ] {
        writer.write(event, &mut before);
    }
    let mut after = Vec::new();

    writer.finish(None, &mut after);

    let [before, after] = [before, after].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(!before.contains("\"finish_reason\":\""), "{before}");
    assert_eq!(after.matches("\"finish_reason\":\"length\"").count(), 1);
    assert!(after.ends_with("data: [DONE]\n\n"), "{after}");
}

#[test]
fn usage_comes_last_and_only_to_who_asked() {
    let usage = Usage {
        prompt_tokens: 7,
        completion_tokens: 5,
        ..Usage::default()
    };
    let events = vec![text(0, "a"), finish(0, Finish::Stop)];

    let asked = write(facts(true), events.clone(), Some(usage));
    let unasked = write(facts(false), events, Some(usage));

    let [first, .., report, done] = asked.as_slice() else {
        panic!("{asked:?}")
    };
    assert_eq!(chunk(first)["usage"], Value::Null);
    assert_eq!(chunk(report)["choices"], json!([]));
    assert_eq!(chunk(report)["usage"]["total_tokens"], 12);
    assert_eq!(done, "[DONE]");
    assert!(!unasked.concat().contains("usage"), "{unasked:?}");
}

#[test]
fn id_and_model_are_the_same_in_every_chunk() {
    let start = |id: &str| Event::Start {
        id: Some(id.to_owned()),
        model: Some("gpt".to_owned()),
    };
    let events = vec![start("chatcmpl-1"), text(0, "a"), start("chatcmpl-2")];

    let written = write(facts(false), events, None);

    for data in &written[..written.len() - 1] {
        assert_eq!(chunk(data)["id"], "chatcmpl-1");
        assert_eq!(chunk(data)["model"], "gpt");
        assert_eq!(chunk(data)["created"], 7);
    }
}

#[test]
fn an_id_of_another_dialect_is_replaced() {
    let start = Event::Start {
        id: Some("msg_1".to_owned()),
        model: None,
    };

    let written = write(facts(false), vec![start], None);

    assert_eq!(chunk(&written[0])["id"], "chatcmpl-0f8f");
    assert_eq!(chunk(&written[0])["model"], "public");
}

#[test]
fn a_calls_id_and_name_come_once() {
    let events = vec![
        Event::ToolCall {
            choice: 0,
            call: 0,
            id: String::new(),
            name: "f".to_owned(),
            signature: Proof::new(Dialect::GeminiGenerate, "c2ln".to_owned()),
        },
        Event::ToolArguments {
            choice: 0,
            call: 0,
            json: "{}".to_owned(),
        },
    ];

    let written = write(facts(false), events, None);

    assert_eq!(
        delta(&written[0])["tool_calls"],
        json!([{"index": 0, "id": "call_0f8f_0", "type": "function",
            "function": {"name": "f", "arguments": ""},
            "extra_content": {"google": {"thought_signature": "sluiced_gemini_generate_c2ln"}}}])
    );
    assert_eq!(
        delta(&written[1]),
        json!({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]})
    );
}

#[test]
fn signed_thoughts_are_told_again_with_their_signature() {
    let thought = |text: &str| Event::Thinking {
        choice: 0,
        text: text.to_owned(),
    };
    let events = vec![
        thought("h"),
        thought("m"),
        Event::ThinkingSignature {
            choice: 0,
            signature: Proof {
                by: Dialect::GeminiGenerate,
                data: "s".to_owned(),
            },
        },
        Event::RedactedThinking {
            choice: 0,
            data: Proof {
                by: Dialect::AnthropicMessages,
                data: "d".to_owned(),
            },
        },
    ];

    let written = write(facts(false), events, None);

    assert_eq!(delta(&written[1]), json!({"reasoning_content": "m"}));
    assert_eq!(
        delta(&written[2])["thinking_blocks"],
        json!([{"index": 0, "type": "thinking", "thinking": "hm", "signature": "sluiced_gemini_generate_s"}])
    );
    assert_eq!(
        delta(&written[3])["thinking_blocks"],
        json!([{"index": 1, "type": "redacted_thinking", "data": "sluiced_anthropic_messages_d"}])
    );
}

#[test]
fn an_empty_answer_still_has_a_role_and_an_end() {
    let written = write(facts(false), Vec::new(), None);

    assert_eq!(
        delta(&written[0]),
        json!({"role": "assistant", "content": ""})
    );
    assert_eq!(chunk(&written[0])["choices"][0]["finish_reason"], "stop");
    assert_eq!(written[1], "[DONE]");
}
