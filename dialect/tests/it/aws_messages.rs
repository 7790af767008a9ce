//! `fixtures/streams/bedrock_converse/<case>.events` → `<case>.stream`: the binary stream, from a list that people can
//! read.
//!
//! A line is the kind of a message and its payload. Before the kind of an exception stands `!`; after `#` comes a
//! comment. `~ 3` flips a bit in the last message, that many bytes before its end; `< 3` cuts that many bytes off.

use dialect::AwsMessage;

use crate::fixtures::cases;

fn stream(list: &str) -> Vec<u8> {
    let mut stream = Vec::new();
    for line in list.lines() {
        let (kind, payload) = line.split_once(' ').unwrap_or((line, ""));
        let before_end = |stream: &[u8]| {
            let n_bytes: usize = payload.parse().expect("a number of bytes");
            stream.len() - n_bytes
        };
        match kind {
            "" | "#" => {}
            "<" => stream.truncate(before_end(&stream)),
            "~" => {
                let at = before_end(&stream);
                stream[at] ^= 1;
            }
            kind => {
                let message = AwsMessage {
                    kind: kind.trim_start_matches('!'),
                    is_exception: kind.starts_with('!'),
                    payload: payload.as_bytes(),
                };
                stream.extend(message.encode());
            }
        }
    }
    stream
}

#[test]
fn every_binary_stream_is_that_of_its_list() {
    let mut differences = Vec::new();
    for case in cases("streams/bedrock_converse", "events") {
        let list = std::str::from_utf8(&case.bytes).expect("a list is text");
        case.check("stream", &stream(list), &mut differences);
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
