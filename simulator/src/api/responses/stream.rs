//! A response in events, each with its number: items are added, filled and done one after another.

use serde_json::{Value, json};

use crate::answer::{Answer, Finish, Part, Piece, ToolCall};
use crate::reply::write_json;
use crate::stream::StreamWriter;

use super::item_id;
use super::reply::{
    call, finished, message, output_text, response, status, summary_text, thoughts,
};
use super::request::ResponsesForm;

pub(in crate::api) struct Writer {
    form: ResponsesForm,
    sequence: u64,
    /// Items that have begun.
    items: usize,
}

impl Writer {
    pub(in crate::api) fn new(form: &ResponsesForm) -> Self {
        Self {
            form: form.clone(),
            sequence: 0,
            items: 0,
        }
    }

    fn write(&mut self, kind: &str, fields: &Value, out: &mut Vec<u8>) {
        let mut data = json!({"type": kind, "sequence_number": self.sequence});
        self.sequence += 1;
        for (name, value) in fields.as_object().into_iter().flatten() {
            data[name] = value.clone();
        }
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\ndata: ");
        write_json(out, &data);
        out.extend_from_slice(b"\n\n");
    }

    fn thought(&mut self, answer: &Answer, piece: &Piece<'_>, out: &mut Vec<u8>) {
        let index = self.items;
        let id = item_id("rs", answer.id, index);
        if piece.is_first {
            let item = thoughts(&self.form, answer, index, &json!([]));
            self.write_item("added", &item, out);
            if self.form.shows_summary {
                let part = summary_text("");
                let fields =
                    json!({"item_id": id, "output_index": index, "summary_index": 0, "part": part});
                self.write("response.reasoning_summary_part.added", &fields, out);
            }
        }
        if self.form.shows_summary {
            let fields = json!({"item_id": id, "output_index": index, "summary_index": 0, "delta": piece.text});
            self.write("response.reasoning_summary_text.delta", &fields, out);
        }
        if !piece.is_last {
            return;
        }
        let text = piece.part.wording().whole();
        let mut summary = json!([]);
        if self.form.shows_summary {
            let part = summary_text(&text);
            summary = json!([part]);
            let fields =
                json!({"item_id": id, "output_index": index, "summary_index": 0, "text": text});
            self.write("response.reasoning_summary_text.done", &fields, out);
            let fields =
                json!({"item_id": id, "output_index": index, "summary_index": 0, "part": part});
            self.write("response.reasoning_summary_part.done", &fields, out);
        }
        let item = thoughts(&self.form, answer, index, &summary);
        self.write_item("done", &item, out);
    }

    fn text(&mut self, answer: &Answer, piece: &Piece<'_>, out: &mut Vec<u8>) {
        let index = self.items;
        let id = item_id("msg", answer.id, index);
        let place = json!({"item_id": id, "output_index": index, "content_index": 0});
        if piece.is_first {
            let item = message(answer, index, "in_progress", &json!([]));
            self.write_item("added", &item, out);
            let fields = with(&place, "part", output_text(""));
            self.write("response.content_part.added", &fields, out);
        }
        let mut fields = with(&place, "delta", piece.text.into());
        fields["logprobs"] = json!([]);
        self.write("response.output_text.delta", &fields, out);
        if piece.is_last {
            let text = piece.part.wording().whole();
            let mut fields = with(&place, "text", text.as_str().into());
            fields["logprobs"] = json!([]);
            self.write("response.output_text.done", &fields, out);
            let part = output_text(&text);
            let fields = with(&place, "part", part.clone());
            self.write("response.content_part.done", &fields, out);
            let item = message(answer, index, status(answer), &json!([part]));
            self.write_item("done", &item, out);
        }
    }

    fn call(&mut self, answer: &Answer, it: &ToolCall, piece: &Piece<'_>, out: &mut Vec<u8>) {
        let index = self.items;
        let place = json!({"item_id": item_id("fc", answer.id, index), "output_index": index});
        if piece.is_first {
            let item = call(answer, index, it, "in_progress", "");
            self.write_item("added", &item, out);
        }
        let fields = with(&place, "delta", piece.text.into());
        self.write("response.function_call_arguments.delta", &fields, out);
        if piece.is_last {
            let arguments = it.wording.whole();
            let mut fields = with(&place, "arguments", arguments.as_str().into());
            fields["name"] = it.name.as_str().into();
            self.write("response.function_call_arguments.done", &fields, out);
            let item = call(answer, index, it, "completed", &arguments);
            self.write_item("done", &item, out);
        }
    }

    fn write_item(&mut self, what: &str, item: &Value, out: &mut Vec<u8>) {
        let fields = json!({"output_index": self.items, "item": item});
        self.write(&format!("response.output_item.{what}"), &fields, out);
    }
}

impl StreamWriter for Writer {
    fn open(&mut self, answer: &Answer, out: &mut Vec<u8>) {
        let response = response(&self.form, answer, "in_progress", &json!([]));
        let fields = json!({"response": response});
        self.write("response.created", &fields, out);
        self.write("response.in_progress", &fields, out);
    }

    fn piece(&mut self, answer: &Answer, piece: &Piece<'_>, out: &mut Vec<u8>) {
        match piece.part {
            Part::Thinking(_) => self.thought(answer, piece, out),
            Part::Text(_) => self.text(answer, piece, out),
            Part::Call(call) => self.call(answer, call, piece, out),
        }
        if piece.is_last {
            self.items += 1;
        }
    }

    fn end(&mut self, answer: &Answer, out: &mut Vec<u8>) {
        let kind = match answer.finish {
            Finish::Stop | Finish::ToolCalls => "response.completed",
            Finish::Length => "response.incomplete",
        };
        let fields = json!({"response": finished(&self.form, answer)});
        self.write(kind, &fields, out);
    }

    fn error(&mut self, _: &Answer, out: &mut Vec<u8>) {
        let fields = json!({
            "code": "server_error",
            "message": "The server had an error while processing your request.",
            "param": null,
        });
        self.write("error", &fields, out);
    }
}

fn with(place: &Value, name: &str, value: Value) -> Value {
    let mut fields = place.clone();
    fields[name] = value;
    fields
}
