use bytes::Bytes;

use super::*;
use crate::ask::path::split_path;
use crate::{Ask, BadRequest, Operation, PathFacts};

fn parse(endpoint: Endpoint, body: &str) -> Result<Ask, BadRequest> {
    let path = match Grammar::of(endpoint).has_model {
        true => PathFacts::default(),
        false => PathFacts {
            model: Some("m".to_owned()),
            is_stream: false,
        },
    };
    Ask::parse(endpoint, path, Bytes::copy_from_slice(body.as_bytes()))
}

/// `fields` stand beside a model; `expected` is the field that is refused, and the code of the refusal.
#[track_caller]
fn check(endpoint: Endpoint, fields: &str, expected: Option<(&str, &str)>) {
    let comma = if fields.is_empty() { "" } else { "," };
    let body = match Grammar::of(endpoint).has_model {
        true => format!("{{\"model\":\"m\"{comma}{fields}}}"),
        false => format!("{{{fields}}}"),
    };

    let refusal = parse(endpoint, &body).and_then(|ask| ask.check()).err();

    let refused = refusal.as_ref().map(|refusal| {
        let param = refusal.param.as_deref().unwrap_or_default();
        assert!(refusal.message.contains(param), "{}", refusal.message);
        (param, refusal.code.unwrap_or_default())
    });
    assert_eq!(refused, expected, "{} {body}", endpoint.name());
}

/// The least that each endpoint takes.
const LEAST: [(Endpoint, &str); 22] = [
    (Endpoint::ChatCompletions, r#""messages":[]"#),
    (Endpoint::Completions, r#""prompt":"""#),
    (Endpoint::Embeddings, r#""input":"""#),
    (Endpoint::Responses, r#""input":"""#),
    (Endpoint::Moderations, r#""input":"""#),
    (Endpoint::ImageGenerations, r#""prompt":"""#),
    (Endpoint::ImageEdits, ""),
    (Endpoint::ImageVariations, ""),
    (Endpoint::Speech, r#""input":"""#),
    (Endpoint::Transcriptions, ""),
    (Endpoint::Translations, ""),
    (Endpoint::Messages, r#""messages":[],"max_tokens":1"#),
    (Endpoint::CountMessageTokens, r#""messages":[]"#),
    (Endpoint::CountResponseTokens, r#""input":"hi""#),
    (Endpoint::GenerateContent, r#""contents":[]"#),
    (Endpoint::CountContentTokens, r#""contents":[]"#),
    (Endpoint::EmbedContent, r#""content":{}"#),
    (Endpoint::BatchEmbedContents, r#""requests":[]"#),
    (Endpoint::OllamaChat, ""),
    (Endpoint::OllamaGenerate, ""),
    (Endpoint::OllamaEmbed, ""),
    (Endpoint::OllamaEmbeddings, ""),
];

#[test]
fn what_routing_reads_and_what_encloses_it_may_come_only_once() {
    for endpoint in Endpoint::ALL {
        let grammar = Grammar::of(endpoint);
        let types = grammar.required.iter().chain(grammar.optional);
        let signs = grammar.answer_schemas.iter();
        let lists = [
            grammar.output_limits,
            grammar.counts,
            grammar.schemas,
            grammar.tools,
            grammar.resource_models,
            grammar.required_unless,
        ];
        let paths = types
            .map(|(path, _)| *path)
            .chain(signs.map(|(path, _)| *path))
            .chain(lists.into_iter().flatten().copied());
        for path in paths {
            // What is in an array is looked for in all of it, however often it comes.
            let outside_lists = path.split_once("[]").map_or(path, |(outside, _)| outside);
            let parts: Vec<_> = outside_lists.split('.').collect();
            for n in 1..=parts.len() {
                let path = parts[..n].join(".");
                assert!(
                    grammar.routing.contains(&path.as_str()),
                    "{}: {path}",
                    endpoint.name()
                );
            }
        }
    }
}

#[test]
fn a_field_that_routing_reads_may_come_only_once_wherever_it_is() {
    for endpoint in Endpoint::ALL {
        let grammar = Grammar::of(endpoint);
        for path in grammar.routing {
            let (outer, inner) = match path.rsplit_once('.') {
                Some((outer, inner)) => (Some(outer), inner),
                None => (None, *path),
            };
            let twice = format!("\"{inner}\":null,\"{inner}\":null");
            let nest = |inner, name| format!("\"{name}\":{{\"other\":[],{inner}}}");
            let fields = match outer {
                Some(outer) => outer.rsplit('.').fold(twice, nest),
                None => twice,
            };

            let refusal = parse(endpoint, &format!("{{{fields}}}")).unwrap_err();

            assert_eq!(refusal.param.as_deref(), Some(*path), "{}", endpoint.name());
            assert_eq!(refusal.code, Some("duplicate_parameter"));
        }
    }
}

#[test]
fn a_gemini_field_in_both_its_spellings_comes_twice() {
    let check = |fields, param| {
        check(
            Endpoint::GenerateContent,
            fields,
            Some((param, "duplicate_parameter")),
        );
    };
    check(
        r#""contents":[],"generationConfig":{},"generation_config":{}"#,
        "generationConfig",
    );
    check(
        r#""contents":[],"generation_config":{"max_output_tokens":1,"maxOutputTokens":9}"#,
        "generationConfig.maxOutputTokens",
    );
    // OpenAI's servers do not.
    super::tests::check(
        Endpoint::Completions,
        r#""prompt":"","maxTokens":1,"max_tokens":2"#,
        None,
    );
}

#[test]
fn the_least_request_of_each_endpoint_is_taken_and_less_is_not() {
    for (endpoint, fields) in LEAST {
        check(endpoint, fields, None);
        for (name, _) in Grammar::of(endpoint).required {
            let others = fields.split(',').filter(|field| !field.contains(name));
            let others = others.collect::<Vec<_>>().join(",");

            check(
                endpoint,
                &others,
                Some((name, "missing_required_parameter")),
            );
            let comma = if others.is_empty() { "" } else { "," };
            check(
                endpoint,
                &format!("{others}{comma}\"{name}\":null"),
                Some((name, "missing_required_parameter")),
            );
            check(
                endpoint,
                &format!("{others}{comma}\"{name}\":true"),
                Some((name, "invalid_type")),
            );
        }
    }
}

#[test]
fn every_optional_field_is_checked_and_may_be_null() {
    for (endpoint, least) in LEAST {
        for (path, expected) in Grammar::of(endpoint).optional {
            let (name, inner) = split_path(path);
            let least = match least.contains(&format!("\"{name}\"")) {
                true => "",
                false => least,
            };
            let comma = if least.is_empty() { "" } else { "," };
            let field = |value: &str| match inner {
                Some(inner) => format!("{least}{comma}\"{name}\":{{\"{inner}\":{value}}}"),
                None => format!("{least}{comma}\"{name}\":{value}"),
            };

            check(endpoint, &field("null"), None);
            let wrong = match expected {
                FieldType::Boolean => "\"true\"",
                _ => "1.5",
            };
            check(endpoint, &field(wrong), Some((path, "invalid_type")));
            if *expected == FieldType::PositiveInteger {
                check(
                    endpoint,
                    &field("0"),
                    Some((path, "integer_below_min_value")),
                );
            }
        }
    }
}

#[test]
fn a_response_may_go_on_from_what_the_upstream_has() {
    let taken = |fields| check(Endpoint::Responses, fields, None);

    taken(r#""previous_response_id":"resp_1""#);
    taken(r#""prompt":{"id":"pmpt_1"}"#);
    taken(r#""conversation":"conv_1","input":null"#);
    check(
        Endpoint::Responses,
        r#""previous_response_id":null"#,
        Some(("input", "missing_required_parameter")),
    );
    check(
        Endpoint::Responses,
        r#""previous_response_id":"resp_1","input":7"#,
        Some(("input", "invalid_type")),
    );
}

#[test]
fn anthropic_wants_a_limit_and_counting_does_not() {
    check(
        Endpoint::Messages,
        r#""messages":[],"max_tokens":0"#,
        Some(("max_tokens", "integer_below_min_value")),
    );
    check(
        Endpoint::CountMessageTokens,
        r#""messages":[],"max_tokens":0"#,
        None,
    );
}

#[test]
fn each_dialect_says_in_its_own_place_that_it_wants_a_stream() {
    for (endpoint, fields) in LEAST {
        let comma = if fields.is_empty() { "" } else { "," };
        let is_stream = |stream: &str, path_says: bool| {
            let path = PathFacts {
                model: Some("m".to_owned()),
                is_stream: path_says,
            };
            let body = format!("{{{fields}{comma}\"other\":1{stream}}}");
            Ask::parse(endpoint, path, Bytes::from(body))
                .unwrap()
                .is_stream()
        };
        let said = [
            is_stream("", false),
            is_stream("", true),
            is_stream(",\"stream\":true", false),
            is_stream(",\"stream\":false", false),
            is_stream(",\"stream\":null", false),
        ];

        let expected = match endpoint {
            Endpoint::OllamaChat | Endpoint::OllamaGenerate => [true, true, true, false, true],
            Endpoint::GenerateContent => [false, true, false, false, false],
            _ if matches!(
                endpoint.operation(),
                Operation::Embedding | Operation::TokenCount | Operation::Moderation
            ) =>
            {
                [false; 5]
            }
            _ => [false, false, true, false, false],
        };
        assert_eq!(said, expected, "{}", endpoint.name());
    }
}

#[test]
fn the_model_is_in_the_body_unless_the_path_has_it() {
    for (endpoint, fields) in LEAST {
        let comma = if fields.is_empty() { "" } else { "," };
        let parse = |path: Option<&str>| {
            let path = PathFacts {
                model: path.map(str::to_owned),
                is_stream: false,
            };
            let body = format!("{{{fields}{comma}\"model\":\"body\"}}");
            Ask::parse(endpoint, path, Bytes::from(body)).map(|ask| ask.model().to_owned())
        };

        // Azure's deployments win over the body, as Gemini's models do.
        assert_eq!(parse(Some("path")).as_deref(), Ok("path"));
        assert_eq!(parse(None).as_deref(), Ok("body"));
    }
}

#[test]
fn snake_case_is_known_for_what_it_is() {
    assert!(is_snake_case_of(b"max_output_tokens", "maxOutputTokens"));
    assert!(is_snake_case_of(b"contents", "contents"));
    for written in [
        "maxOutputTokens",
        "max_output_token",
        "max_output_tokens_",
        "max_Output_tokens",
        "maxoutputtokens",
        "",
    ] {
        assert!(
            !is_snake_case_of(written.as_bytes(), "maxOutputTokens"),
            "{written}"
        );
    }
}
