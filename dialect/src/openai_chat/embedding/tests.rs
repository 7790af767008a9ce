use serde_json::json;
use shared::config::{Dialect, Manners};

use super::*;
use crate::Usage;

#[track_caller]
fn check_inputs(input: &Value, expected: &[Input]) {
    let body = json!({"model": "m", "input": input}).to_string();
    let ask = read_ask(Endpoint::Embeddings, body.as_bytes()).unwrap();
    assert_eq!(ask.inputs, expected);
}

#[test]
fn inputs_come_in_four_forms() {
    let text = |text: &str| Input::Text(text.to_owned());

    check_inputs(&json!("a"), &[text("a")]);
    check_inputs(&json!(["a", "b"]), &[text("a"), text("b")]);
    check_inputs(&json!([1, 2]), &[Input::Tokens(vec![1, 2])]);
    check_inputs(
        &json!([[1], [2, 3]]),
        &[Input::Tokens(vec![1]), Input::Tokens(vec![2, 3])],
    );
}

#[test]
fn what_is_no_input_is_refused() {
    for body in [
        json!({"model": "m"}),
        json!({"input": 7}),
        json!({"input": [1, "a"]}),
        json!({"input": [-1]}),
        json!({"input": [{}]}),
    ] {
        let refused = read_ask(Endpoint::Embeddings, body.to_string().as_bytes()).unwrap_err();

        assert_eq!(refused.param.as_deref(), Some("input"), "{body}");
    }
}

#[test]
fn an_ask_is_written_in_numbers() {
    let body = json!({"model": "m", "input": ["a", "b"], "dimensions": 3, "encoding_format": "base64",
        "user": "u"});
    let ask = read_ask(Endpoint::Embeddings, body.to_string().as_bytes()).unwrap();
    let overrides = crate::Overrides::default();
    let target = Target {
        dialect: Dialect::OpenaiChat,
        manners: Manners::Plain,
        model: "up",
        overrides: &overrides,
        drop_unsupported: false,
    };
    let losses = Losses::new(Dialect::OpenaiChat, Dialect::OpenaiChat, false);

    let written = write_ask(&ask, &target, &losses).unwrap();

    assert!(ask.is_base64);
    assert_eq!(
        serde_json::from_slice::<Value>(&written).unwrap(),
        json!({"model": "up", "input": ["a", "b"], "dimensions": 3, "user": "u"})
    );
}

#[test]
fn vectors_are_read_in_either_form_and_put_in_order() {
    let reply = read_reply(
        br#"{"object":"list","model":"e","data":[
            {"object":"embedding","index":1,"embedding":"AACAPwAAIMA="},
            {"object":"embedding","index":0,"embedding":[0.5,-1]}],
            "usage":{"prompt_tokens":4,"total_tokens":4}}"#,
    )
    .unwrap();

    assert_eq!(reply.vectors, [[0.5, -1.0], [1.0, -2.5]]);
    assert_eq!(reply.model.as_deref(), Some("e"));
    assert_eq!(reply.usage.map(Usage::total), Some(4));
}

#[test]
fn vectors_are_written_as_the_client_wants_them() {
    let reply = EmbeddingReply {
        model: None,
        vectors: vec![vec![1.0, -2.5]],
        usage: None,
    };
    let facts = AnswerFacts {
        model: "public".to_owned(),
        prompt_tokens: 9,
        ..AnswerFacts::default()
    };
    let write = |is_base64| {
        let ask = EmbeddingAsk {
            is_base64,
            ..EmbeddingAsk::default()
        };
        let body = write_reply(Endpoint::Embeddings, &reply, &ask, &facts);
        serde_json::from_slice::<Value>(&body).unwrap()
    };

    assert_eq!(write(true)["data"][0]["embedding"], "AACAPwAAIMA=");
    assert_eq!(
        write(false),
        json!({"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [1.0, -2.5]}],
            "model": "public", "usage": {"prompt_tokens": 9, "total_tokens": 9}})
    );
}

#[test]
fn what_has_no_vectors_is_a_fault() {
    assert_eq!(read_reply(b"<html>"), Err(ReplyFault::NotJson));
    assert_eq!(read_reply(br#"{"data":[]}"#), Err(ReplyFault::NoAnswer));
    assert_eq!(
        read_reply(br#"{"data":[{"embedding":"!"}]}"#),
        Err(ReplyFault::NoAnswer)
    );
    assert!(matches!(
        read_reply(br#"{"error":{"message":"m"}}"#),
        Err(ReplyFault::Upstream(_))
    ));
}
