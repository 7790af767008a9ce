//! Streams that break, and streams that are right in an unusual dress.

use std::io::ErrorKind;

use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use crate::harness::{Provider, at_once, send};

/// A stream of three tokens under `behaviour`, up to the end of its connection.
async fn stream_of(behaviour: Value) -> (String, Option<ErrorKind>) {
    let provider = Provider::start(at_once()).await;
    provider.behave("sk-1", behaviour).await;
    let mut client = provider.raw_chat_once(json!({"stream": true})).await;
    let mut bytes = Vec::new();
    let error = client.read_to_end(&mut bytes).await.err();
    (
        String::from_utf8_lossy(&bytes).into_owned(),
        error.map(|error| error.kind()),
    )
}

/// The body of a stream under `behaviour`, which must be whole.
async fn body_of(behaviour: Value) -> Vec<u8> {
    let provider = Provider::start(at_once()).await;
    provider.behave("sk-1", behaviour).await;
    let response = send(provider.chat(json!({"stream": true}))).await;
    response.bytes().await.expect("a whole body").to_vec()
}

#[tokio::test]
async fn a_reset_stream_ends_after_its_chunks() {
    let (answer, error) = stream_of(json!({"reset_after": 2})).await;

    assert!(answer.contains(" river"), "{answer}");
    assert!(!answer.contains(" runs"), "{answer}");
    assert_eq!(error, Some(ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn a_stream_without_its_finish_ends_in_good_order() {
    let (answer, error) = stream_of(json!({"end_after": 2})).await;

    assert!(answer.contains(" river"), "{answer}");
    assert!(!answer.contains("stop"), "{answer}");
    assert!(answer.ends_with("0\r\n\r\n"), "{answer}");
    assert_eq!(error, None);
}

#[tokio::test]
async fn an_error_event_may_come_right_behind_the_role() {
    let (answer, _) = stream_of(json!({"error_after": 0})).await;

    let role = answer.find("assistant").expect("the role");
    let error = answer.find(r#"data: {"error":"#).expect("the error");
    assert!(role < error, "{answer}");
    assert!(!answer.contains("[DONE]"), "{answer}");
}

#[tokio::test]
async fn garbage_comes_between_chunks_and_the_stream_goes_on() {
    let garbage = json!({"garbage": {"after": 1, "line": "data: {oops", "bytes": 100_000}});
    let body = String::from_utf8(body_of(garbage).await).unwrap();

    let line = body.lines().find(|line| line.starts_with("data: {oops"));
    assert_eq!(line.map(str::len), Some(100_000));
    assert!(body.ends_with("data: [DONE]\n\n"), "{}", body.len());
}

#[tokio::test]
async fn a_stream_is_dressed_as_asked() {
    let behaviour = json!({"line_end": "crlf", "bom": true, "space": false, "piece": 1});
    let body = String::from_utf8(body_of(behaviour).await).unwrap();

    assert!(body.starts_with("\u{feff}data:{\"id\""), "{body}");
    assert!(body.ends_with("data:[DONE]\r\n\r\n"), "{body}");
    let plain = String::from_utf8(body_of(json!({"line_end": "cr"})).await).unwrap();
    assert!(plain.ends_with("data: [DONE]\r\r"), "{plain}");
    assert!(!plain.contains('\n'), "{plain}");
}

#[tokio::test]
async fn an_encoding_comes_unasked() {
    let provider = Provider::start(at_once()).await;
    for (encoding, low_bits) in [("gzip", 0xF), ("br", 0)] {
        provider.behave("sk-1", json!({"encoding": encoding})).await;
        for stream in [false, true] {
            let response = send(provider.chat(json!({"stream": stream}))).await;

            assert_eq!(response.headers()["content-encoding"], encoding);
            let bytes = response.bytes().await.unwrap();
            assert_eq!(bytes[0] & 0xF, low_bits, "{encoding}");
        }
    }
}
