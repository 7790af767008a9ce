use bytes::Bytes;
use serde_json::{Map, Value};
use shared::config::{Dialect, Manners};

use crate::canon::{Proof, proof};
use crate::{Ask, Endpoint, PathFacts};

/// What is marked in `body` is written `<dialect>`; nothing else may change.
#[track_caller]
fn check(endpoint: Endpoint, body: &str, expected: &str) {
    let body = marked(body);
    let path = PathFacts {
        model: (endpoint == Endpoint::GenerateContent).then(|| "m".to_owned()),
        is_stream: false,
    };
    let ask = Ask::parse(endpoint, path, Bytes::from(body.clone())).unwrap();

    let sent = ask.for_same_dialect(Manners::Plain, "m", &Map::new().into());

    assert_eq!(sent, expected, "{} {body}", endpoint.name());
    serde_json::from_slice::<Value>(&sent).unwrap();
}

fn marked(body: &str) -> String {
    let mut body = body
        .replace("<id>", "call_1_sluiced_gemini_generate_AQ")
        .replace("<none>", proof::MARK);
    for by in Dialect::ALL {
        let proof = Proof::new(by, "AQ==".to_owned()).unwrap();
        let in_base64 = crate::base64::encode(format!("sluiced_{}_AQ==", by.name()).as_bytes());
        body = body
            .replace(
                &format!("<{}>", by.name()),
                &proof.write(Dialect::OllamaChat),
            )
            .replace(&format!("<base64 {}>", by.name()), &in_base64);
    }
    body
}

fn check_anthropic(messages: &str, expected: &str) {
    let body = |messages| format!(r#"{{ "model":"m","max_tokens":1e2, "messages":[{messages}] }}"#);

    check(Endpoint::Messages, &body(messages), &body(expected));
    check(
        Endpoint::CountMessageTokens,
        &body(messages),
        &body(expected),
    );
}

fn check_responses(input: &str, expected: &str) {
    let body = |input| format!(r#"{{"input":[{input}],"model":"m","temperature":1.50}}"#);

    check(Endpoint::Responses, &body(input), &body(expected));
}

#[test]
fn anthropic_sees_no_thoughts_of_others() {
    let thinking = |signature: &str| {
        format!(r#"{{"type":"thinking","thinking":"Hm","signature":"{signature}"}}"#)
    };
    let text = r#"{ "type":"text", "text":"sluiced_ 1.0" }"#;
    let said = |blocks: &[&str]| {
        let blocks = blocks.join(", ");
        format!(
            r#"{{"role":"assistant", "content": [{blocks}]}},{{"role":"user","content":"And?"}}"#
        )
    };
    let redacted = r#"{"type":"redacted_thinking","data":"<bedrock_converse>"}"#;
    let [own, foreign, nobodys] = ["EqQB", "<gemini_generate>", "<none>"].map(thinking);

    check_anthropic(&said(&[&foreign, text]), &said(&[text]));
    check_anthropic(&said(&[&nobodys, text]), &said(&[text]));
    check_anthropic(&said(&[redacted, &own, text]), &said(&[&own, text]));
    check_anthropic(&said(&[&own, redacted, text]), &said(&[&own, text]));
    check_anthropic(&said(&[text, redacted, &foreign]), &said(&[text]));
    check_anthropic(
        &said(&[&thinking("<anthropic_messages>"), text]),
        &said(&[&thinking("AQ=="), text]),
    );
}

#[test]
fn a_budget_of_thoughts_goes_where_calls_have_lost_their_thoughts() {
    let body = |before: &str, blocks: &[&str], after: &str| {
        let blocks = blocks.join(",");
        format!(
            r#"{{"model":"m",{before}"messages":[{{"role":"user","content":"Hi"}},{{"role":"assistant","content":[{blocks}]}},{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"a"}}]}}]{after}}}"#
        )
    };
    let foreign = r#"{"type":"thinking","thinking":"Hm","signature":"<gemini_generate>"}"#;
    let own = r#"{"type":"thinking","thinking":"Hm","signature":"EqQB"}"#;
    let text = r#"{"type":"text","text":"Look:"}"#;
    let call = r#"{"type":"tool_use","id":"a","name":"f","input":{}}"#;
    let budget = r#""thinking":{"type":"enabled","budget_tokens":2000}"#;
    let [before, after] = [format!("{budget},"), format!(",{budget}")];
    let check = |body: String, expected: String| check(Endpoint::Messages, &body, &expected);

    let lost = body("", &[call], "");
    check(body(&before, &[foreign, call], ""), lost.clone());
    check(body("", &[foreign, call], &after), lost);
    check(
        body(&before, &[foreign, text, call], ""),
        body("", &[text, call], ""),
    );
    check(
        body(&before, &[own, foreign, call], ""),
        body(&before, &[own, call], ""),
    );
    check(
        body(&before, &[foreign, text], ""),
        body(&before, &[text], ""),
    );
    for thinking in [r#"{"type":"adaptive"}"#, r#"{"type":"disabled"}"#] {
        let after = format!(r#","thinking":{thinking}"#);
        check(
            body("", &[foreign, call], &after),
            body("", &[call], &after),
        );
    }
    let clear = r#"{"type":"clear_thinking_20251015","keep":"all"}"#;
    let other = r#"{"type":"clear_tool_uses_20250919"}"#;
    let edits =
        |edits: &[&str]| format!(r#","context_management":{{"edits":[{}]}}"#, edits.join(","));
    check(
        body(&before, &[foreign, call], &edits(&[clear, other])),
        body("", &[call], &edits(&[other])),
    );
    check(
        body(&before, &[foreign, call], &edits(&[clear])),
        body("", &[call], ""),
    );
}

#[test]
fn a_turn_of_which_nothing_is_left_goes() {
    check_anthropic(
        r#"{"role":"user","content":"Hi"}, {"role":"assistant","content":[{"type":"thinking","thinking":"Hm","signature":"<none>"}]}, {"role":"user","content":"?"}"#,
        r#"{"role":"user","content":"Hi"}, {"role":"user","content":"?"}"#,
    );
}

#[test]
fn packed_ids_are_the_upstreams_again_in_call_and_result() {
    check_anthropic(
        r#"{"role":"assistant","content":[{"type":"tool_use","id":"<id>","name":"f","input":{"id":"<id>"}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"<id>","content":"<id>"}]}"#,
        &marked(
            r#"{"role":"assistant","content":[{"type":"tool_use","id":"call_1","name":"f","input":{"id":"<id>"}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"call_1","content":"<id>"}]}"#,
        ),
    );
    check_responses(
        r#"{"type":"function_call","id":"fc_1","call_id":"<id>","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"<id>","output":"1"}"#,
        r#"{"type":"function_call","id":"fc_1","call_id":"call_1","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"call_1","output":"1"}"#,
    );
    check(
        Endpoint::OllamaChat,
        r#"{"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"<id>","function":{"name":"f","arguments":{}}}]},{"role":"tool","tool_call_id":"<id>","content":"1"}]}"#,
        r#"{"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"call_1","function":{"name":"f","arguments":{}}}]},{"role":"tool","tool_call_id":"call_1","content":"1"}]}"#,
    );
}

#[test]
fn openai_sees_no_thoughts_that_it_does_not_know() {
    let item = |id: &str, proof: &str| {
        format!(r#"{{"type":"reasoning","id":"{id}","summary":[]{proof}}}"#)
    };
    let said = r#"{"role":"user","content":"sluiced_"}"#;
    let foreign = item("rs_1", r#","encrypted_content":"<anthropic_messages>""#);
    let nobodys = item("rs_sluiced_r1_0", "");
    let own = item("rs_1", r#","encrypted_content":"gAAA""#);

    check_responses(&format!("{foreign},{said}"), said);
    check_responses(&format!("{said},{nobodys}"), said);
    let kept = format!("{own},{said}");
    check_responses(&format!("{own},{nobodys},{said}"), &kept);
}

#[test]
fn openais_chat_knows_no_proofs_at_all() {
    check(
        Endpoint::ChatCompletions,
        r#"{"model":"m","messages":[{"role":"assistant","thinking_blocks":[{"type":"thinking","thinking":"Hm","signature":"<anthropic_messages>"}],"content":"<none>","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{"thought_signature":"<gemini_generate>"}}}]}]}"#,
        r#"{"model":"m","messages":[{"role":"assistant","content":"sluiced_","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]}]}"#,
    );
}

#[test]
fn google_sees_the_thoughts_of_others_without_their_proof() {
    check(
        Endpoint::GenerateContent,
        r#"{"contents":[{"role":"model","parts":[{"text":"Hm","thought":true,"thoughtSignature":"<base64 anthropic_messages>"},{"thought_signature":"<base64 gemini_generate>","text":"c2x1aWNlZF9"}]}]}"#,
        r#"{"contents":[{"role":"model","parts":[{"text":"Hm","thought":true},{"thought_signature":"AQ==","text":"c2x1aWNlZF9"}]}]}"#,
    );
}

#[test]
fn a_body_that_only_speaks_of_marks_keeps_every_byte() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"sluiced_ sluiced_gemini_generate_AQ"}]}],"x":[1.0,1e9,"\u0041"]}"#;

    for endpoint in [
        Endpoint::Messages,
        Endpoint::ChatCompletions,
        Endpoint::OllamaChat,
    ] {
        check(endpoint, body, body);
    }
}
