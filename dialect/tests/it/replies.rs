//! `fixtures/replies/<upstream dialect>/<case>.json` → `<case>.<client>.json`: the whole answer that the client gets.

use dialect::wire;
use serde_json::json;
use shared::config::{Dialect, Manners};

use crate::fixtures::{CLIENTS, cases, facts, pretty};

#[test]
fn every_answer_is_told_to_every_client() {
    let mut differences = Vec::new();
    for dialect in Dialect::ALL {
        for case in cases(&format!("replies/{}", dialect.name()), "json") {
            for (name, endpoint) in CLIENTS {
                let output = match wire::read_reply(dialect, Manners::Plain, &case.bytes) {
                    Ok(reply) => wire::write_reply(endpoint, reply, &facts(endpoint)),
                    Err(fault) => json!({"fault": format!("{fault:?}")})
                        .to_string()
                        .into_bytes(),
                };
                case.check(&format!("{name}.json"), &pretty(&output), &mut differences);
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
