use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::{Ask, Endpoint, PathFacts, TokenCounter};

fn ask(endpoint: Endpoint, fields: &str) -> Ask {
    let path = PathFacts {
        model: Some("m".to_owned()),
        is_stream: false,
    };
    Ask::parse(endpoint, path, Bytes::from(format!("{{{fields}}}"))).unwrap()
}

fn overrides(forced: Value) -> Map<String, Value> {
    match forced {
        Value::Object(forced) => forced,
        _ => panic!("an object"),
    }
}

#[track_caller]
fn check(endpoint: Endpoint, fields: &str, forced: Value, expected: u32) {
    let estimate = ask(endpoint, fields).estimate(&TokenCounter::new(), &overrides(forced));
    assert_eq!(estimate, expected, "{} {fields}", endpoint.name());
}

/// Eight bytes are two tokens, one message four, the chat three.
const PROMPT: u32 = 9;

fn prompt(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Responses => r#""input":"12345678""#,
        Endpoint::GenerateContent => {
            r#""contents":[{"role":"user","parts":[{"text":"12345678"}]}]"#
        }
        Endpoint::OllamaGenerate => r#""prompt":"12345678""#,
        _ => r#""messages":[{"role":"user","content":"12345678"}]"#,
    }
}

#[test]
fn each_dialect_has_a_limit_of_the_output_in_its_own_place() {
    let check = |endpoint, limit: &str, forced, output| {
        let comma = if limit.is_empty() { "" } else { "," };
        let fields = format!("{}{comma}{limit}", prompt(endpoint));
        check(endpoint, &fields, forced, PROMPT + output);
    };
    let places = [
        (Endpoint::ChatCompletions, r#""max_tokens":N"#),
        (Endpoint::ChatCompletions, r#""max_completion_tokens":N"#),
        (Endpoint::Responses, r#""max_output_tokens":N"#),
        (Endpoint::Messages, r#""max_tokens":N"#),
        (
            Endpoint::GenerateContent,
            r#""generationConfig":{"maxOutputTokens":N}"#,
        ),
        (
            Endpoint::GenerateContent,
            r#""generation_config":{"max_output_tokens":N}"#,
        ),
        (
            Endpoint::GenerateContent,
            r#""generationConfig":{"max_output_tokens":N}"#,
        ),
        (
            Endpoint::OllamaChat,
            r#""options":{"num_ctx":1,"num_predict":N}"#,
        ),
        (Endpoint::OllamaGenerate, r#""options":{"num_predict":N}"#),
    ];
    for (endpoint, place) in places {
        let at = |n: &str| place.replace('N', n);

        check(endpoint, &at("50"), json!({}), 50);
        check(endpoint, &at("50.0"), json!({}), 50);
        check(endpoint, &at("null"), json!({}), 1024);
        // No limit to llama.cpp, and to Ollama.
        check(endpoint, &at("-1"), json!({}), 1024);
        check(endpoint, "", json!({}), 1024);
        if !place.contains("max_completion") {
            check(endpoint, &at("50"), json!({"max_tokens": 7}), 7);
        }
    }
}

#[test]
fn gemini_answers_as_often_as_it_is_asked_to() {
    for config in [
        r#""generationConfig":{"maxOutputTokens":10,"candidateCount":3}"#,
        r#""generation_config":{"max_output_tokens":10,"candidate_count":3}"#,
    ] {
        let fields = format!("{},{config}", prompt(Endpoint::GenerateContent));
        let ask = ask(Endpoint::GenerateContent, &fields);

        assert_eq!(ask.estimate(&TokenCounter::new(), &Map::new()), PROMPT + 30);
        assert_eq!(ask.n_choices(&Map::new()), 3);
        assert_eq!(ask.n_choices(&overrides(json!({"n": 2}))), 2);
    }
}

#[test]
fn all_that_a_model_reads_is_counted() {
    check(
        Endpoint::Messages,
        r#""system":"12345678","messages":[{"content":"12345678"}],"max_tokens":1"#,
        json!({}),
        2 * 6 + 3 + 1,
    );
    check(
        Endpoint::GenerateContent,
        r#""system_instruction":{"parts":[{"text":"12345678"}]},"contents":[],"generationConfig":{"maxOutputTokens":1,"responseSchema":{"a":1}}"#,
        json!({}),
        6 + 3 + 2 + 1,
    );
    check(
        Endpoint::OllamaGenerate,
        r#""prompt":"12345678","system":"1234","context":[1,2,3],"options":{"num_predict":1}"#,
        json!({}),
        6 + 5 + 3 + 3 + 1,
    );
    check(
        Endpoint::EmbedContent,
        r#""content":{"parts":[{"text":"12345678"}]}"#,
        json!({}),
        2,
    );
    check(
        Endpoint::BatchEmbedContents,
        r#""requests":[{"model":"models/m","taskType":"RETRIEVAL_QUERY","outputDimensionality":8,"content":{"parts":[{"text":"12345678"}]}}]"#,
        json!({}),
        2,
    );
    check(
        Endpoint::OllamaEmbed,
        r#""input":["1234","1234"]"#,
        json!({}),
        2,
    );
    check(
        Endpoint::OllamaEmbeddings,
        r#""prompt":"1234""#,
        json!({}),
        1,
    );
}

#[test]
fn counting_costs_nothing_and_counts_tools_and_messages() {
    let counted = r#"{"model":"m","messages":[{"content":"12345678"}],"tools":[1,2]}"#;
    let path = PathFacts::default();
    let ask = Ask::parse(Endpoint::CountMessageTokens, path, counted.into()).unwrap();

    assert_eq!(ask.estimate(&TokenCounter::new(), &Map::new()), 0);
    assert_eq!(ask.prompt_tokens(&TokenCounter::new()), 6 + 3 + 2);
}

#[test]
fn only_what_has_to_fit_together_counts_for_a_context() {
    let context = |endpoint, body: &str| {
        let ask = Ask::parse(endpoint, PathFacts::default(), body.to_owned().into()).unwrap();
        ask.context_tokens(&TokenCounter::new(), &Map::new())
    };

    // Of several answers each has the context for itself, and one without a limit may be short.
    let chat = r#"{"model":"m","messages":[{"content":"12345678"}],"max_tokens":50,"n":8}"#;
    assert_eq!(context(Endpoint::ChatCompletions, chat), Some(6 + 3 + 50));
    let unlimited = r#"{"model":"m","messages":[{"content":"12345678"}]}"#;
    assert_eq!(context(Endpoint::ChatCompletions, unlimited), Some(6 + 3));
    let texts = r#"{"model":"m","input":["1234","1234"]}"#;
    assert_eq!(context(Endpoint::Embeddings, texts), None);
}

#[test]
fn each_dialect_counts_a_picture_by_its_own_rule() {
    // The first bytes of a PNG of 1000 × 1000.
    let png = "iVBORw0KGgoAAAANSUhEUgAAA+gAAAPoCAYAAAA=";
    let openai = |detail: &str| {
        format!(
            r#""messages":[{{"content":[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{png}"{detail}}}}}]}}],"max_tokens":1"#
        )
    };

    check(Endpoint::ChatCompletions, &openai(""), json!({}), 765 + 4);
    check(
        Endpoint::ChatCompletions,
        &openai(r#","detail":"low""#),
        json!({}),
        85 + 4,
    );
    check(
        Endpoint::Responses,
        r#""input":[{"content":[{"type":"input_image","detail":"low","image_url":"https://x/cat"}]}],"max_output_tokens":1"#,
        json!({}),
        85 + 4,
    );
    check(
        Endpoint::Messages,
        &format!(
            r#""messages":[{{"content":[{{"type":"image","source":{{"type":"base64","media_type":"image/png","data":"{png}"}}}}]}}],"max_tokens":1"#
        ),
        json!({}),
        1334 + 4,
    );
    check(
        Endpoint::GenerateContent,
        &format!(
            r#""contents":[{{"parts":[{{"inlineData":{{"mimeType":"image/png","data":"{png}"}}}}]}}],"generationConfig":{{"maxOutputTokens":1}}"#
        ),
        json!({}),
        4 * 258 + 4,
    );
    check(
        Endpoint::OllamaChat,
        &format!(r#""messages":[{{"images":["{png}"]}}],"options":{{"num_predict":1}}"#),
        json!({}),
        765 + 4,
    );
}

#[test]
fn what_does_not_tell_its_size_counts_as_a_middling_picture() {
    check(
        Endpoint::Messages,
        r#""messages":[{"content":[{"type":"image","source":{"type":"url","url":"https://x/cat"}},
            {"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBE"}}]}],"max_tokens":1"#,
        json!({}),
        2 * 765 + 4,
    );
    let sound = r#"{"inlineData":{"mimeType":"audio/wav","data":"UklG"}}"#;
    check(
        Endpoint::GenerateContent,
        &format!(
            r#""contents":[{{"parts":[{}]}}],"generationConfig":{{"maxOutputTokens":1}}"#,
            vec![sound; 300].join(",")
        ),
        json!({}),
        300 * 765 + 4,
    );
}
