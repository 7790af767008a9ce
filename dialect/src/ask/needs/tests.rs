use bytes::Bytes;
use shared::config::Capability::{self, Audio, Embedding, Files, JsonSchema, Text, Tools, Vision};

use super::Needs;
use crate::{Ask, Endpoint, PathFacts};

#[track_caller]
fn check(endpoint: Endpoint, fields: &str, expected: &[Capability]) {
    let path = PathFacts {
        model: Some("m".to_owned()),
        is_stream: false,
    };
    let ask = Ask::parse(endpoint, path, Bytes::from(format!("{{{fields}}}"))).unwrap();
    assert_eq!(ask.needs().capabilities, expected, "{fields}");
}

#[test]
fn plain_text_needs_nothing() {
    check(
        Endpoint::ChatCompletions,
        r#""messages":[{"role":"user","content":"image_url, tools, json_schema"}],"tools":[],"functions":null,"response_format":{"type":"json_object"}"#,
        &[],
    );
    check(
        Endpoint::Messages,
        r#""messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}],"tools":[ ],"output_config":{"effort":"low"}"#,
        &[],
    );
    check(
        Endpoint::GenerateContent,
        r#""contents":[{"parts":[{"text":"hi"}]}],"tools":[{"googleSearch":{}},{"functionDeclarations":[]}],"generationConfig":{"responseMimeType":"application/json"}"#,
        &[],
    );
    check(
        Endpoint::OllamaChat,
        r#""messages":[{"role":"user","content":"hi","images":[]}],"tools":[],"format":"json""#,
        &[],
    );
}

#[test]
fn what_is_no_text_needs_someone_who_understands_it() {
    check(
        Endpoint::ChatCompletions,
        r#""messages":[{"content":[{"type":"image_url","image_url":{"url":"u"}},{"type":"input_audio","input_audio":{"data":"d","format":"wav"}},
            {"type":"file","file":{"file_id":"f"}}]}]"#,
        &[Vision, Audio, Files],
    );
    check(
        Endpoint::Responses,
        r#""input":[{"role":"user","content":[{"type":"input_image","image_url":"u"}]}]"#,
        &[Vision],
    );
    check(
        Endpoint::Messages,
        r#""messages":[{"content":[{"type":"document","source":{"type":"url","url":"u"}}]}]"#,
        &[Files],
    );
    check(
        Endpoint::GenerateContent,
        r#""contents":[{"parts":[{"inlineData":{"mimeType":"audio/wav","data":"d"}}]}]"#,
        &[Audio],
    );
    check(
        Endpoint::OllamaGenerate,
        r#""prompt":"hi","images":["d"]"#,
        &[Vision],
    );
}

#[test]
fn tools_need_someone_who_calls_them() {
    let tools = r#""tools":[{"type":"function"}]"#;

    for endpoint in [
        Endpoint::ChatCompletions,
        Endpoint::Responses,
        Endpoint::Messages,
        Endpoint::CountMessageTokens,
        Endpoint::OllamaChat,
    ] {
        check(endpoint, tools, &[Tools]);
    }
    check(
        Endpoint::ChatCompletions,
        r#""functions":[ {"name":"f"}]"#,
        &[Tools],
    );
    check(
        Endpoint::GenerateContent,
        r#""tools":[{"googleSearch":{}},{"functionDeclarations":[{"name":"f"}]}]"#,
        &[Tools],
    );
    check(
        Endpoint::GenerateContent,
        r#""tools":[{"function_declarations":[{"name":"f"}]}]"#,
        &[Tools],
    );
    check(
        Endpoint::CountContentTokens,
        r#""generateContentRequest":{"tools":[{"functionDeclarations":[{"name":"f"}]}]}"#,
        &[Tools],
    );
}

#[test]
fn a_schema_needs_someone_who_follows_it() {
    check(
        Endpoint::ChatCompletions,
        r#""response_format":{"json_schema":{"type":"object"},"type":"json\u005fschema"}"#,
        &[JsonSchema],
    );
    check(
        Endpoint::Responses,
        r#""text":{"format":{"type":"json_schema","name":"n"}}"#,
        &[JsonSchema],
    );
    check(
        Endpoint::Responses,
        r#""text":{"format":{"type":"text"}}"#,
        &[],
    );
    check(
        Endpoint::Messages,
        r#""output_config":{"format":{"type":"json_schema"}}"#,
        &[JsonSchema],
    );
    for name in ["responseSchema", "responseJsonSchema", "response_schema"] {
        check(
            Endpoint::GenerateContent,
            &format!("\"generationConfig\":{{\"{name}\":{{}}}}"),
            &[JsonSchema],
        );
    }
    check(
        Endpoint::OllamaChat,
        r#""format":{"type":"object"}"#,
        &[JsonSchema],
    );
}

#[test]
fn embeddings_need_someone_who_makes_them() {
    for endpoint in [
        Endpoint::Embeddings,
        Endpoint::EmbedContent,
        Endpoint::BatchEmbedContents,
        Endpoint::OllamaEmbed,
        Endpoint::OllamaEmbeddings,
    ] {
        check(endpoint, r#""input":"hi""#, &[Embedding]);
    }
}

#[test]
fn the_first_need_that_a_model_does_not_know_is_named() {
    let needs = |capabilities: &[Capability]| Needs {
        capabilities: capabilities.to_vec(),
        has_answer: false,
    };

    assert_eq!(needs(&[]).missing_in(&[]), None);
    assert_eq!(
        needs(&[Vision, Tools]).missing_in(&[Text, Tools, Vision]),
        None
    );
    assert_eq!(
        needs(&[Vision, Tools]).missing_in(&[Text, Vision]),
        Some(Tools)
    );
    assert_eq!(needs(&[Vision, Tools]).missing_in(&[]), Some(Vision));
}

#[test]
fn a_model_that_only_embeds_answers_nothing_and_another_embeds_nothing() {
    let missing = |endpoint, fields: &str, known: &[Capability]| {
        let body = Bytes::from(format!(r#"{{"model":"m",{fields}}}"#));
        let ask = Ask::parse(endpoint, PathFacts::default(), body).unwrap();
        ask.needs().missing_in(known)
    };
    let chat = |known: &[Capability]| missing(Endpoint::ChatCompletions, r#""messages":[]"#, known);
    let embed = |known: &[Capability]| missing(Endpoint::Embeddings, r#""input":"x""#, known);

    assert_eq!(chat(&[Embedding]), Some(Text));
    assert_eq!(chat(&[]), None);
    assert_eq!(chat(&[Vision]), None);
    assert_eq!(chat(&[Embedding, Text]), None);
    assert_eq!(embed(&[Embedding]), None);
    assert_eq!(embed(&[Text, Tools]), Some(Embedding));
}
