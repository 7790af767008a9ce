//! A conversation's answer in binary events; only calls begin with one of their own.

use serde_json::{Value, json};

use crate::answer::{Answer, Part, Piece};
use crate::api::dialect::{Addressee, Dialect};
use crate::api::errors::{ApiError, error_body};
use crate::stream::StreamWriter;

use super::frames::{write_event, write_exception};
use super::reply::{stop_reason, told};
use super::{signature, tool_use_id};

#[derive(Default)]
pub(in crate::api) struct Writer {
    /// Blocks that have ended.
    blocks: usize,
}

impl Writer {
    fn write_delta(&self, delta: &Value, out: &mut Vec<u8>) {
        // Amazon pads events, so that their lengths tell nothing.
        let payload = json!({"contentBlockIndex": self.blocks, "delta": delta, "p": "abcdefgh"});
        write_event("contentBlockDelta", &payload, out);
    }
}

impl StreamWriter for Writer {
    fn open(&mut self, _: &Answer, out: &mut Vec<u8>) {
        write_event("messageStart", &json!({"role": "assistant"}), out);
    }

    fn piece(&mut self, answer: &Answer, piece: &Piece<'_>, out: &mut Vec<u8>) {
        if let Part::Call(call) = piece.part
            && piece.is_first
        {
            let id = tool_use_id(answer.id, answer.calls_before(piece.index));
            let start = json!({"toolUse": {"toolUseId": id, "name": call.name}});
            let payload = json!({"contentBlockIndex": self.blocks, "start": start});
            write_event("contentBlockStart", &payload, out);
        }
        let delta = match piece.part {
            Part::Thinking(_) => json!({"reasoningContent": {"text": piece.text}}),
            Part::Text(_) => json!({"text": piece.text}),
            Part::Call(_) => json!({"toolUse": {"input": piece.text}}),
        };
        self.write_delta(&delta, out);
        if !piece.is_last {
            return;
        }
        if let Part::Thinking(wording) = piece.part {
            let signature = signature(&wording.whole());
            self.write_delta(&json!({"reasoningContent": {"signature": signature}}), out);
        }
        let payload = json!({"contentBlockIndex": self.blocks});
        write_event("contentBlockStop", &payload, out);
        self.blocks += 1;
    }

    fn end(&mut self, answer: &Answer, out: &mut Vec<u8>) {
        let payload = json!({"stopReason": stop_reason(answer)});
        write_event("messageStop", &payload, out);
        let mut payload = json!({"metrics": {"latencyMs": 1}});
        if let Some(usage) = answer.usage {
            payload["usage"] = told(usage);
        }
        write_event("metadata", &payload, out);
    }

    fn error(&mut self, answer: &Answer, out: &mut Vec<u8>) {
        let addressee = Addressee {
            dialect: Dialect::Bedrock,
            id: answer.id,
        };
        let payload = error_body(&ApiError::mid_stream(), addressee);
        write_exception("internalServerException", &payload, out);
    }

    /// Nothing: a frame tells its own length.
    fn frame_end(&self) -> &'static [u8] {
        b""
    }

    fn is_text(&self) -> bool {
        false
    }
}
