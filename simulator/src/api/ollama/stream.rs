//! An answer in lines of JSON. Calls come whole.

use serde_json::Value;

use crate::answer::{Answer, Part, Piece};
use crate::api::dialect::{Addressee, Dialect};
use crate::api::errors::{ApiError, error_body};
use crate::reply::write_json;
use crate::stream::StreamWriter;

use super::reply::{call, finish, line};
use super::request::Kind;

pub(in crate::api) struct Writer {
    kind: Kind,
}

impl Writer {
    pub(in crate::api) fn new(kind: Kind) -> Self {
        Self { kind }
    }
}

impl StreamWriter for Writer {
    fn open(&mut self, _: &Answer, _: &mut Vec<u8>) {}

    fn piece(&mut self, answer: &Answer, piece: &Piece<'_>, out: &mut Vec<u8>) {
        let object = match piece.part {
            Part::Thinking(_) => line(self.kind, answer, "", Some(piece.text), Vec::new()),
            Part::Text(_) => line(self.kind, answer, piece.text, None, Vec::new()),
            Part::Call(it) if piece.is_last => {
                let call = call(answer, answer.calls_before(piece.index), it);
                line(self.kind, answer, "", None, vec![call])
            }
            Part::Call(_) => return,
        };
        write_line(&object, out);
    }

    fn end(&mut self, answer: &Answer, out: &mut Vec<u8>) {
        let mut object = line(self.kind, answer, "", None, Vec::new());
        finish(self.kind, answer, &mut object);
        write_line(&object, out);
    }

    fn error(&mut self, answer: &Answer, out: &mut Vec<u8>) {
        let addressee = Addressee {
            dialect: Dialect::Ollama,
            id: answer.id,
        };
        write_line(&error_body(&ApiError::mid_stream(), addressee), out);
    }

    fn frame_end(&self) -> &'static [u8] {
        b"\n"
    }
}

fn write_line(object: &Value, out: &mut Vec<u8>) {
    write_json(out, object);
    out.push(b'\n');
}
