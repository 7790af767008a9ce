//! `fixtures/requests/<client>/<case>.json` → `<case>.<upstream dialect>.json`: the request that the upstream gets, or
//! the refusal, which names something that the client sent.

use bytes::Bytes;
use dialect::canon::StreamVariant;
use dialect::{Ask, Endpoint, Exchange, Overrides, PathFacts, Target};
use serde_json::{Map, Value, json};
use shared::config::{Dialect, Manners};

use crate::fixtures::{CLIENTS, cases, pretty};

fn ask(endpoint: Endpoint, body: &[u8]) -> Ask {
    let path = match endpoint {
        Endpoint::GenerateContent => PathFacts {
            model: Some("public".to_owned()),
            is_stream: false,
        },
        _ => PathFacts::default(),
    };
    Ask::parse(endpoint, path, Bytes::copy_from_slice(body)).expect("a request that routing reads")
}

#[test]
fn every_request_is_told_to_every_upstream() {
    let mut differences = Vec::new();
    for (folder, endpoint) in CLIENTS {
        for case in cases(&format!("requests/{folder}"), "json") {
            let ask = ask(endpoint, &case.bytes);
            for dialect in Dialect::ALL {
                let target = Target {
                    dialect,
                    manners: Manners::Plain,
                    model: "upstream-model",
                    overrides: &Overrides::default(),
                    drop_unsupported: false,
                };
                let output = match Exchange::new(&ask, StreamVariant::Usual, &target) {
                    Ok(exchange) => pretty(exchange.body()),
                    Err(refused) => pretty(
                        json!({"refused": refused.message, "param": refused.param})
                            .to_string()
                            .as_bytes(),
                    ),
                };
                let suffix = format!("{}.json", dialect.name());
                case.check(&suffix, &output, &mut differences);
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn a_request_in_the_upstreams_own_dialect_keeps_every_byte() {
    for (folder, endpoint) in CLIENTS {
        for case in cases(&format!("requests/{folder}"), "json") {
            // Proofs of another dialect, and packed ids, are not sent on: their golden files show what is.
            let text = String::from_utf8_lossy(&case.bytes);
            if ["sluiced_", "c2x1aWNlZF9"]
                .iter()
                .any(|mark| text.contains(mark))
            {
                continue;
            }
            let ask = ask(endpoint, &case.bytes);
            let target = Target {
                dialect: endpoint.dialect(),
                manners: Manners::Plain,
                model: ask.model(),
                overrides: &Overrides::default(),
                drop_unsupported: false,
            };
            // A stream's usage is asked for, which changes OpenAI's requests.
            if ask.is_stream() && endpoint == Endpoint::ChatCompletions && !ask.wants_usage() {
                continue;
            }

            let exchange =
                Exchange::new(&ask, StreamVariant::Usual, &target).expect("its own dialect");

            assert_eq!(exchange.body(), &case.bytes, "{folder}/{}", case.name);
        }
    }
}

/// The value at `path`, such as `contents[2].parts[0].inlineData`, in what a client sent.
fn at<'v>(request: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(request, |value, step| {
        let mut steps = step.split('[');
        let field = value.get(steps.next().unwrap_or_default())?;
        steps.try_fold(field, |value, index| {
            let index: usize = index.strip_suffix(']')?.parse().ok()?;
            match value {
                // Google takes one object for a list of it.
                Value::Object(_) if index == 0 => Some(value),
                value => value.get(index),
            }
        })
    })
}

#[test]
fn a_refusal_names_what_the_client_sent() {
    let mut n_refused = 0;
    for (folder, endpoint) in CLIENTS {
        for case in cases(&format!("requests/{folder}"), "json") {
            let ask = ask(endpoint, &case.bytes);
            let request: Value = serde_json::from_slice(&case.bytes).expect("JSON");
            for dialect in Dialect::ALL {
                for manners in [Manners::Plain, Manners::Groq] {
                    let target = Target {
                        dialect,
                        manners,
                        model: "upstream-model",
                        overrides: &Overrides::default(),
                        drop_unsupported: false,
                    };
                    let Err(refused) = Exchange::new(&ask, StreamVariant::Usual, &target) else {
                        continue;
                    };

                    let param = refused.param.expect("a refusal of a field");

                    let sent = at(&request, &param).filter(|value| !value.is_null());
                    let is_sent = match (refused.code, param.rsplit_once('.')) {
                        // Around what is missing there is something.
                        (Some("missing_required_parameter"), Some((parent, _))) => {
                            sent.is_none() && at(&request, parent).is_some()
                        }
                        (Some("missing_required_parameter"), None) => sent.is_none(),
                        _ => sent.is_some(),
                    };
                    let case = &case.name;
                    assert!(is_sent, "{folder}/{case} to {dialect:?}: {param}");
                    n_refused += 1;
                }
            }
        }
    }
    assert!(n_refused > 150, "{n_refused}");
}

/// What refuses `request`, and what stands in it by the name of that.
#[track_caller]
fn check_refused(endpoint: Endpoint, request: &Value, dialect: Dialect, path: &str) {
    let ask = ask(endpoint, request.to_string().as_bytes());
    let target = Target {
        dialect,
        manners: Manners::Plain,
        model: "upstream-model",
        overrides: &Overrides::default(),
        drop_unsupported: false,
    };

    let refused = Exchange::new(&ask, StreamVariant::Usual, &target).expect_err("a refusal");

    assert_eq!(refused.param.as_deref(), Some(path), "{}", refused.message);
    let offending = at(request, path).expect("a value of the request");
    assert!(offending.to_string().contains("UNTELLABLE"), "{offending}");
}

#[test]
fn a_part_is_named_by_the_clients_own_path() {
    check_refused(
        Endpoint::ChatCompletions,
        &json!({"model": "public", "messages": [
            {"role": "system", "content": "a"},
            {"role": "user", "content": [
                {"type": "text", "text": "b"},
                {"type": "input_audio", "input_audio": {"data": "UNTELLABLE", "format": "wav"}},
            ]},
        ]}),
        Dialect::AnthropicMessages,
        "messages[1].content[1]",
    );
    check_refused(
        Endpoint::Responses,
        &json!({"model": "public", "instructions": "a", "input": [
            {"role": "user", "content": "b"},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": [
                {"type": "input_file", "file_id": "UNTELLABLE"},
            ]},
        ]}),
        Dialect::AnthropicMessages,
        "input[2].output[0]",
    );
    check_refused(
        Endpoint::Messages,
        &json!({"model": "public", "max_tokens": 9, "system": "a", "messages": [
            {"role": "user", "content": "b"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "f", "input": {}}]},
            {"role": "user", "content": [
                {"type": "text", "text": "d"},
                {"type": "tool_result", "tool_use_id": "c", "content": [
                    {"type": "text", "text": "e"},
                    {"type": "image", "source": {"type": "url", "url": "https://UNTELLABLE"}},
                ]},
            ]},
        ]}),
        Dialect::OllamaChat,
        "messages[2].content[1].content[1]",
    );
    check_refused(
        Endpoint::GenerateContent,
        &json!({"contents": [
            {"role": "model", "parts": [{"function_call": {"name": "f"}}]},
            {"parts": [
                {"text": "a"},
                {"function_response": {"name": "f", "parts": [
                    {"inline_data": {"mime_type": "audio/wav", "data": "UNTELLABLE"}},
                ]}},
            ]},
        ]}),
        Dialect::OllamaChat,
        "contents[1].parts[1].function_response.parts[0].inline_data",
    );
    check_refused(
        Endpoint::OllamaChat,
        &json!({"model": "public", "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b", "images": ["data:image/png;base64,UNTELLABLE"]},
        ]}),
        Dialect::AnthropicMessages,
        "messages[1].images[0]",
    );
    check_refused(
        Endpoint::OllamaGenerate,
        &json!({"model": "public", "prompt": "a", "images": ["data:image/tiff;base64,UNTELLABLE"]}),
        Dialect::BedrockConverse,
        "images[0]",
    );
}

#[test]
fn a_field_that_the_configuration_forces_has_the_name_it_has_there() {
    let request = json!({"contents": [{"parts": [{"text": "Hi"}]}]});
    let ask = ask(Endpoint::GenerateContent, request.to_string().as_bytes());
    let overrides = Overrides::from(Map::from_iter([("seed".to_owned(), json!(1))]));
    let target = Target {
        dialect: Dialect::AnthropicMessages,
        manners: Manners::Plain,
        model: "upstream-model",
        overrides: &overrides,
        drop_unsupported: false,
    };

    let refused = Exchange::new(&ask, StreamVariant::Usual, &target).expect_err("a refusal");

    assert_eq!(refused.param.as_deref(), Some("seed"));
}
