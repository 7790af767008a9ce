use proptest::prelude::*;
use serde_json::{Value, json};
use shared::config::{Dialect, Manners};

use super::*;

fn read(endpoint: Endpoint, request: &Value) -> Result<EmbeddingAsk, BadRequest> {
    read_ask(endpoint, request.to_string().as_bytes())
}

fn texts(texts: &[&str]) -> Vec<Input> {
    let texts = texts.iter();
    texts.map(|text| Input::Text((*text).to_owned())).collect()
}

fn write(ask: &EmbeddingAsk, is_dropping: bool) -> Result<Value, BadRequest> {
    let target = Target {
        dialect: Dialect::OllamaChat,
        manners: Manners::Plain,
        model: "upstream",
        overrides: &crate::Overrides::default(),
        drop_unsupported: is_dropping,
    };
    let losses = Losses::new(Dialect::GeminiGenerate, Dialect::OllamaChat, is_dropping);
    let body = write_ask(ask, &target, &losses)?;
    Ok(serde_json::from_slice(&body).unwrap())
}

#[test]
fn inputs_are_one_text_or_several() {
    let one = read(Endpoint::OllamaEmbed, &json!({"model": "m", "input": "a"})).unwrap();
    let several = json!({"model": "m", "input": ["a", "b"], "dimensions": 8, "truncate": true, "keep_alive": -1});
    let several = read(Endpoint::OllamaEmbed, &several).unwrap();
    let older = json!({"model": "m", "prompt": "a", "options": {"num_ctx": 512}});
    let older = read(Endpoint::OllamaEmbeddings, &older).unwrap();

    assert_eq!(one.inputs, texts(&["a"]));
    assert_eq!(several.inputs, texts(&["a", "b"]));
    assert_eq!((several.dimensions, several.others), (Some(8), vec![]));
    assert_eq!(older.inputs, texts(&["a"]));
    assert_eq!(older.others, [("options.num_ctx".to_owned(), json!(512))]);
}

#[track_caller]
fn check_refused(endpoint: Endpoint, request: &Value, param: &str) {
    let refused = read(endpoint, request).unwrap_err();
    assert_eq!(refused.param.as_deref(), Some(param), "{}", refused.message);
}

#[test]
fn a_refusal_names_the_field() {
    check_refused(Endpoint::OllamaEmbed, &json!({"model": "m"}), "input");
    check_refused(Endpoint::OllamaEmbed, &json!({"input": 1}), "input");
    check_refused(
        Endpoint::OllamaEmbed,
        &json!({"input": ["a", 1]}),
        "input[1]",
    );
    check_refused(Endpoint::OllamaEmbeddings, &json!({"input": "a"}), "prompt");
    check_refused(
        Endpoint::OllamaEmbeddings,
        &json!({"prompt": ["a"]}),
        "prompt",
    );
}

#[test]
fn texts_are_asked_for_as_they_are() {
    let ask = EmbeddingAsk {
        inputs: texts(&["a", "b"]),
        dimensions: Some(8),
        user: Some("somebody".to_owned()),
        is_base64: true,
        ..EmbeddingAsk::default()
    };

    assert_eq!(
        write(&ask, false).unwrap(),
        json!({"model": "upstream", "input": ["a", "b"], "dimensions": 8})
    );
}

#[test]
fn what_is_for_other_providers_is_lost() {
    let ask = EmbeddingAsk {
        inputs: texts(&["a"]),
        task: Some("RETRIEVAL_QUERY".to_owned()),
        ..EmbeddingAsk::default()
    };

    assert_eq!(
        write(&ask, false).unwrap_err().param.as_deref(),
        Some("taskType")
    );
    assert!(write(&ask, true).is_ok());
}

#[test]
fn token_ids_are_refused_even_when_dropping() {
    let ask = EmbeddingAsk {
        inputs: vec![Input::Tokens(vec![1, 2])],
        ..EmbeddingAsk::default()
    };

    assert_eq!(
        write(&ask, true).unwrap_err().param.as_deref(),
        Some("input")
    );
}

#[test]
fn both_endpoints_tell_their_vectors() {
    let several = br#"{"model":"m","embeddings":[[0.1,-2],[0.5,1]],"prompt_eval_count":5}"#;
    let one = br#"{"embedding":[0.1,-2]}"#;

    let several = read_reply(several).unwrap();
    let one = read_reply(one).unwrap();

    assert_eq!(several.vectors, [[0.1, -2.0], [0.5, 1.0]]);
    assert_eq!(several.usage.map(Usage::total), Some(5));
    assert_eq!((one.vectors, one.usage), (vec![vec![0.1, -2.0]], None));
}

#[test]
fn what_is_no_answer_is_a_fault() {
    let fault = |body: &str| read_reply(body.as_bytes()).unwrap_err();

    assert!(matches!(
        fault(r#"{"error":"no such model"}"#),
        ReplyFault::Upstream(_)
    ));
    assert_eq!(fault("<html>"), ReplyFault::NotJson);
    assert_eq!(fault(r#"{"data":[]}"#), ReplyFault::NoAnswer);
    assert_eq!(fault(r#"{"embeddings":"AAAA"}"#), ReplyFault::NoAnswer);
}

#[test]
fn each_endpoint_answers_in_its_own_way() {
    let reply = EmbeddingReply {
        model: None,
        vectors: vec![vec![0.1, -2.0]],
        usage: Some(Usage {
            prompt_tokens: 5,
            ..Usage::default()
        }),
    };
    let facts = AnswerFacts {
        model: "public".to_owned(),
        ..AnswerFacts::default()
    };
    let write = |endpoint| {
        let body = write_reply(endpoint, &reply, &EmbeddingAsk::default(), &facts);
        String::from_utf8(body).unwrap()
    };

    assert_eq!(
        write(Endpoint::OllamaEmbed),
        r#"{"model":"public","embeddings":[[0.1,-2.0]],"prompt_eval_count":5}"#
    );
    assert_eq!(
        write(Endpoint::OllamaEmbeddings),
        r#"{"embedding":[0.1,-2.0]}"#
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(text in ".{0,64}", field in "[a-z_]{1,12}") {
        for body in [text.clone(), format!("{{\"{field}\":{text}}}")] {
            let _ = read_reply(body.as_bytes());
            for endpoint in [Endpoint::OllamaEmbed, Endpoint::OllamaEmbeddings] {
                let _ = read_ask(endpoint, body.as_bytes());
            }
        }
    }
}
