//! `fixtures/streams/<upstream dialect>/<case>.stream` → `<case>.<client>.txt`: the stream that the client gets, the
//! same however its bytes arrive.

use bytes::Bytes;
use dialect::canon::StreamVariant;
use dialect::{
    Endpoint, ErrorBody, ErrorType, StreamFault, StreamFaultKind, StreamRelay, Usage, wire,
};
use shared::config::{Dialect, Manners};

use crate::fixtures::{CLIENTS, cases, facts};

/// All that a stream came to.
#[derive(Debug, PartialEq)]
pub(crate) struct Relayed {
    output: Vec<u8>,
    fault: Option<StreamFaultKind>,
    usage: Option<Usage>,
    has_content: bool,
    is_finished: bool,
    n_tokens: u32,
}

pub(crate) fn relay<'a>(
    mut relay: StreamRelay,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Relayed {
    let mut output = Vec::new();
    let mut fault = None;
    for piece in pieces {
        match relay.feed(Bytes::copy_from_slice(piece)) {
            Ok(bytes) => output.extend_from_slice(&bytes),
            Err(StreamFault { passed, kind }) => {
                output.extend_from_slice(&passed);
                fault = Some(kind);
                break;
            }
        }
    }
    if fault.is_none() {
        match relay.finish() {
            Ok(bytes) => output.extend_from_slice(&bytes),
            Err(StreamFault { passed, kind }) => {
                output.extend_from_slice(&passed);
                fault = Some(kind);
            }
        }
    }
    if fault.is_some() || !relay.is_finished() {
        output.extend_from_slice(&relay.cut(&ErrorBody {
            message: "The upstream's stream broke off before it was finished.",
            kind: ErrorType::Server,
            param: None,
            code: Some("stream_interrupted"),
        }));
    }
    Relayed {
        output,
        fault,
        usage: relay.usage(),
        has_content: relay.has_content(),
        is_finished: relay.is_finished(),
        n_tokens: relay.completion_tokens_estimate(),
    }
}

pub(crate) fn translation(dialect: Dialect, endpoint: Endpoint) -> StreamRelay {
    StreamRelay::translate(
        wire::framing(dialect, StreamVariant::Usual),
        wire::reader(dialect, Manners::Plain),
        1,
        wire::writer(endpoint, facts(endpoint)),
    )
}

/// The dialect to itself, byte for byte.
pub(crate) fn observation(dialect: Dialect) -> StreamRelay {
    StreamRelay::observe(
        wire::framing(dialect, StreamVariant::Usual),
        wire::reader(dialect, Manners::Plain),
        1,
        wire::writer(Endpoint::ChatCompletions, facts(Endpoint::ChatCompletions)),
    )
}

#[test]
fn every_stream_is_told_to_every_client() {
    let mut differences = Vec::new();
    for dialect in Dialect::ALL {
        for case in cases(&format!("streams/{}", dialect.name()), "stream") {
            for (name, endpoint) in CLIENTS {
                let whole = relay(translation(dialect, endpoint), [&*case.bytes]);
                case.check(&format!("{name}.txt"), &whole.output, &mut differences);
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn a_stream_is_told_the_same_at_every_split_and_byte_by_byte() {
    for dialect in Dialect::ALL {
        for case in cases(&format!("streams/{}", dialect.name()), "stream") {
            let bytes = &*case.bytes;
            for (name, endpoint) in CLIENTS {
                let whole = relay(translation(dialect, endpoint), [bytes]);
                let place = format!("{}/{} for {name}", dialect.name(), case.name);
                for at in 0..=bytes.len() {
                    let (head, tail) = bytes.split_at(at);
                    let split = relay(translation(dialect, endpoint), [head, tail]);
                    assert_eq!(split, whole, "{place}, split at {at}");
                }
                let single = relay(translation(dialect, endpoint), bytes.chunks(1));
                assert_eq!(single, whole, "{place}, byte by byte");
            }
        }
    }
}

#[test]
fn a_stream_to_a_client_of_its_own_dialect_keeps_every_byte() {
    for dialect in Dialect::ALL {
        for case in cases(&format!("streams/{}", dialect.name()), "stream") {
            let whole = relay(observation(dialect), [&*case.bytes]);
            // What ends before its end is followed by an error.
            if whole.is_finished && whole.fault.is_none() {
                assert!(
                    whole.output == case.bytes,
                    "{}/{}: {}",
                    dialect.name(),
                    case.name,
                    String::from_utf8_lossy(&whole.output)
                );
            }
        }
    }
}

#[test]
fn an_image_in_a_stream_of_its_own_dialect_may_be_large() {
    let image = "A".repeat(3 * 1024 * 1024);
    let event = format!(
        "data: {{\"candidates\":[{{\"content\":{{\"parts\":[{{\"inlineData\":{{\"mimeType\":\"image/png\",\"data\":\"{image}\"}}}}],\"role\":\"model\"}},\"finishReason\":\"STOP\",\"index\":0}}]}}\r\n\r\n"
    );
    let endpoint = Endpoint::GenerateContent;
    let framing = wire::framing(Dialect::GeminiGenerate, StreamVariant::Usual);
    let reader = wire::reader(Dialect::GeminiGenerate, Manners::Plain);
    let observing =
        StreamRelay::observe(framing, reader, 1, wire::writer(endpoint, facts(endpoint)));

    let relayed = relay(observing, event.as_bytes().chunks(64 * 1024));

    assert_eq!(relayed.fault, None);
    assert_eq!(relayed.output, event.as_bytes());
    assert!(relayed.is_finished);
}
