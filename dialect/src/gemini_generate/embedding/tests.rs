use serde_json::json;
use shared::config::{Dialect, Manners};

use super::*;
use crate::Usage;

fn written(ask: &EmbeddingAsk, model: &str) -> Result<String, BadRequest> {
    let target = Target {
        dialect: Dialect::GeminiGenerate,
        manners: Manners::Plain,
        model,
        overrides: &crate::Overrides::default(),
        drop_unsupported: false,
    };
    let losses = Losses::new(Dialect::OpenaiChat, Dialect::GeminiGenerate, false);
    let body = write_ask(ask, &target, &losses)?;
    Ok(String::from_utf8(body).unwrap())
}

fn batch_of(requests: &Value) -> Result<EmbeddingAsk, BadRequest> {
    let body = json!({"requests": requests}).to_string();
    read_ask(Endpoint::BatchEmbedContents, body.as_bytes())
}

#[test]
fn each_request_of_a_batch_names_the_model() {
    let ask = EmbeddingAsk {
        inputs: vec![Input::Text("a".to_owned()), Input::Text("b".to_owned())],
        dimensions: Some(64),
        task: Some("RETRIEVAL_QUERY".to_owned()),
        ..EmbeddingAsk::default()
    };

    let expected = concat!(
        r#"{"requests":[{"model":"models/m","content":{"parts":[{"text":"a"}]},"taskType":"RETRIEVAL_QUERY","outputDimensionality":64},"#,
        r#"{"model":"models/m","content":{"parts":[{"text":"b"}]},"taskType":"RETRIEVAL_QUERY","outputDimensionality":64}]}"#,
    );
    assert_eq!(written(&ask, "m").as_deref(), Ok(expected));
    assert_eq!(written(&ask, "models/m").as_deref(), Ok(expected));
}

#[test]
fn tokens_cannot_be_embedded() {
    let ask = EmbeddingAsk {
        inputs: vec![Input::Tokens(vec![1, 2])],
        ..EmbeddingAsk::default()
    };

    assert_eq!(
        written(&ask, "m").unwrap_err().param.as_deref(),
        Some("input")
    );
}

#[test]
fn a_single_content_is_read() {
    let body = br#"{"model":"models/x","content":{"parts":[{"text":"a"},{"text":"b"}]},"task_type":"CLUSTERING","embedContentConfig":{"outputDimensionality":8}}"#;

    let ask = read_ask(Endpoint::EmbedContent, body).unwrap();

    let expected = EmbeddingAsk {
        inputs: vec![Input::Text("a\nb".to_owned())],
        dimensions: Some(8),
        task: Some("CLUSTERING".to_owned()),
        ..EmbeddingAsk::default()
    };
    assert_eq!(ask, expected);
}

#[test]
fn a_batch_says_the_same_of_all_its_contents() {
    let content = |text: &str| json!({"parts": [{"text": text}]});

    let same = batch_of(
        &json!([{"content": content("a"), "taskType": "T"}, {"content": content("b"), "taskType": "T"}]),
    );
    let different =
        batch_of(&json!([{"content": content("a")}, {"content": content("b"), "title": "T"}]));

    assert_eq!(same.unwrap().inputs.len(), 2);
    assert_eq!(
        different.unwrap_err().param.as_deref(),
        Some("requests[1].title")
    );
}

#[test]
fn what_is_no_batch_is_refused_by_name() {
    let param = |requests: Value| batch_of(&requests).unwrap_err().param;

    assert_eq!(param(json!([])).as_deref(), Some("requests"));
    assert_eq!(
        param(json!([{"taskType": "T"}])).as_deref(),
        Some("requests[0].content")
    );
    assert_eq!(
        param(json!([{"content": "a"}])).as_deref(),
        Some("requests[0].content")
    );
}

#[test]
fn vectors_are_read_from_either_answer() {
    let batch = read_reply(br#"{"embeddings":[{"values":[0.5,1]},{"values":[2,3]}],"usageMetadata":{"promptTokenCount":4}}"#).unwrap();
    let single = read_reply(br#"{"embedding":{"values":[0.5]}}"#).unwrap();

    assert_eq!(batch.vectors, [[0.5, 1.0], [2.0, 3.0]]);
    assert_eq!(batch.usage.map(Usage::total), Some(4));
    assert_eq!(single.vectors, [[0.5]]);
    assert_eq!(read_reply(b"{}"), Err(ReplyFault::NoAnswer));
    assert_eq!(read_reply(b"<html>"), Err(ReplyFault::NotJson));
}

#[test]
fn the_answer_has_the_shape_that_was_asked_for() {
    let reply = EmbeddingReply {
        vectors: vec![vec![0.5, -1.0]],
        ..EmbeddingReply::default()
    };
    let written = |endpoint| {
        let body = write_reply(
            endpoint,
            &reply,
            &EmbeddingAsk::default(),
            &AnswerFacts::default(),
        );
        String::from_utf8(body).unwrap()
    };

    assert_eq!(
        written(Endpoint::EmbedContent),
        r#"{"embedding":{"values":[0.5,-1.0]}}"#
    );
    assert_eq!(
        written(Endpoint::BatchEmbedContents),
        r#"{"embeddings":[{"values":[0.5,-1.0]}]}"#
    );
}
