//! A message in events: blocks one after another, each begun, continued and ended.

use serde_json::{Value, json};

use crate::answer::{Answer, Part, Piece};
use crate::api::dialect::{Addressee, Dialect};
use crate::api::errors::{ApiError, error_body};
use crate::reply::write_json;
use crate::stream::StreamWriter;

use super::reply::{message, stop_reason, told};
use super::{signature, tool_use_id};

#[derive(Default)]
pub(in crate::api) struct Writer {
    /// Blocks that have begun.
    blocks: usize,
}

impl Writer {
    fn write_delta(&self, delta: &Value, out: &mut Vec<u8>) {
        let index = self.blocks.saturating_sub(1);
        let data = json!({"type": "content_block_delta", "index": index, "delta": delta});
        write_event("content_block_delta", &data, out);
    }
}

impl StreamWriter for Writer {
    fn open(&mut self, answer: &Answer, out: &mut Vec<u8>) {
        let mut message = message(answer, json!([]), Value::Null);
        if let Some(usage) = answer.usage {
            let mut usage = told(usage);
            usage["output_tokens"] = 1.into();
            usage["output_tokens_details"] = json!({"thinking_tokens": 0});
            message.insert("usage".to_owned(), usage);
        }
        let data = json!({"type": "message_start", "message": message});
        write_event("message_start", &data, out);
        write_event("ping", &json!({"type": "ping"}), out);
    }

    fn piece(&mut self, answer: &Answer, piece: &Piece<'_>, out: &mut Vec<u8>) {
        if piece.is_first {
            let block = match piece.part {
                Part::Thinking(_) => json!({"type": "thinking", "thinking": "", "signature": ""}),
                Part::Text(_) => json!({"type": "text", "text": ""}),
                Part::Call(call) => {
                    let id = tool_use_id(answer.id, answer.calls_before(piece.index));
                    json!({"type": "tool_use", "id": id, "name": call.name, "input": {}})
                }
            };
            let index = self.blocks;
            self.blocks += 1;
            let data =
                json!({"type": "content_block_start", "index": index, "content_block": block});
            write_event("content_block_start", &data, out);
            if piece.part.call().is_some() {
                self.write_delta(
                    &json!({"type": "input_json_delta", "partial_json": ""}),
                    out,
                );
            }
        }
        let delta = match piece.part {
            Part::Thinking(_) => json!({"type": "thinking_delta", "thinking": piece.text}),
            Part::Text(_) => json!({"type": "text_delta", "text": piece.text}),
            Part::Call(_) => json!({"type": "input_json_delta", "partial_json": piece.text}),
        };
        self.write_delta(&delta, out);
        if piece.is_last {
            if let Part::Thinking(wording) = piece.part {
                let signature = signature(&wording.whole());
                let delta = json!({"type": "signature_delta", "signature": signature});
                self.write_delta(&delta, out);
            }
            let index = self.blocks.saturating_sub(1);
            let data = json!({"type": "content_block_stop", "index": index});
            write_event("content_block_stop", &data, out);
        }
    }

    fn end(&mut self, answer: &Answer, out: &mut Vec<u8>) {
        let delta = json!({"stop_reason": stop_reason(answer), "stop_sequence": null});
        let mut data = json!({"type": "message_delta", "delta": delta});
        if let Some(usage) = answer.usage {
            data["usage"] = told(usage);
        }
        write_event("message_delta", &data, out);
        write_event("message_stop", &json!({"type": "message_stop"}), out);
    }

    fn error(&mut self, answer: &Answer, out: &mut Vec<u8>) {
        let addressee = Addressee {
            dialect: Dialect::Anthropic,
            id: answer.id,
        };
        write_event(
            "error",
            &error_body(&ApiError::mid_stream(), addressee),
            out,
        );
    }
}

fn write_event(name: &str, data: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    write_json(out, data);
    out.extend_from_slice(b"\n\n");
}
