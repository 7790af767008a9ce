//! `fixtures/requests/<client>/<case>.json` → `<case>.<upstream dialect>.json`: the request that the upstream gets, or
//! the refusal.

use bytes::Bytes;
use dialect::canon::StreamVariant;
use dialect::{Ask, Endpoint, Exchange, PathFacts, Target};
use serde_json::{Map, json};
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
                    overrides: &Map::new(),
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
                overrides: &Map::new(),
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
