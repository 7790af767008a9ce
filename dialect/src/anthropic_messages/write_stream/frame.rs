//! The events of a stream as bytes: the name twice, since Anthropic's clients look at both.

use serde::Serialize;

use crate::anthropic_messages::usage::Report;

/// What a block begins with.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Begin<'a> {
    Text {
        text: &'a str,
    },
    Thinking {
        thinking: &'a str,
        signature: &'a str,
    },
    RedactedThinking {
        data: &'a str,
    },
    ToolUse {
        id: &'a str,
        name: &'a str,
        input: NoInput,
    },
}

/// `{}`: the input comes in pieces.
#[derive(Serialize)]
pub(super) struct NoInput {}

/// More of a block.
#[derive(Serialize)]
#[serde(tag = "type")]
pub(super) enum Piece<'a> {
    #[serde(rename = "text_delta")]
    Text { text: &'a str },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: &'a str },
    #[serde(rename = "signature_delta")]
    Signature { signature: &'a str },
    #[serde(rename = "input_json_delta")]
    Input { partial_json: &'a str },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Data<'a> {
    MessageStart {
        message: Message<'a>,
    },
    ContentBlockStart {
        index: u32,
        content_block: &'a Begin<'a>,
    },
    ContentBlockDelta {
        index: u32,
        delta: &'a Piece<'a>,
    },
    ContentBlockStop {
        index: u32,
    },
    MessageDelta {
        delta: EndDelta<'a>,
        usage: &'a Report,
    },
    MessageStop,
}

/// An answer of which nothing is there yet.
#[derive(Serialize)]
struct Message<'a> {
    id: &'a str,
    r#type: &'a str,
    role: &'a str,
    model: &'a str,
    content: [&'a str; 0],
    stop_reason: Option<&'a str>,
    stop_sequence: Option<&'a str>,
    usage: &'a Report,
}

#[derive(Serialize)]
struct EndDelta<'a> {
    stop_reason: &'a str,
    stop_sequence: Option<&'a str>,
}

pub(super) fn message_start(id: &str, model: &str, usage: &Report, out: &mut Vec<u8>) {
    let message = Message {
        id,
        r#type: "message",
        role: "assistant",
        model,
        content: [],
        stop_reason: None,
        stop_sequence: None,
        usage,
    };
    write("message_start", &Data::MessageStart { message }, out);
}

pub(super) fn block_start(index: u32, begin: &Begin<'_>, out: &mut Vec<u8>) {
    let data = Data::ContentBlockStart {
        index,
        content_block: begin,
    };
    write("content_block_start", &data, out);
}

pub(super) fn block_delta(index: u32, piece: &Piece<'_>, out: &mut Vec<u8>) {
    let data = Data::ContentBlockDelta {
        index,
        delta: piece,
    };
    write("content_block_delta", &data, out);
}

pub(super) fn block_stop(index: u32, out: &mut Vec<u8>) {
    write("content_block_stop", &Data::ContentBlockStop { index }, out);
}

pub(super) fn message_delta(
    stop_reason: &str,
    stop_sequence: Option<&str>,
    usage: &Report,
    out: &mut Vec<u8>,
) {
    let delta = EndDelta {
        stop_reason,
        stop_sequence,
    };
    write("message_delta", &Data::MessageDelta { delta, usage }, out);
}

pub(super) fn message_stop(out: &mut Vec<u8>) {
    write("message_stop", &Data::MessageStop, out);
}

/// `data` is the whole error, as JSON.
pub(super) fn error(data: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: error\ndata: ");
    out.extend_from_slice(data.as_bytes());
    out.extend_from_slice(b"\n\n");
}

fn write(name: &str, data: &Data<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    // Into memory and from plain structs: nothing of this can fail.
    let written = serde_json::to_writer(&mut *out, data);
    debug_assert!(written.is_ok(), "{name}");
    out.extend_from_slice(b"\n\n");
}
