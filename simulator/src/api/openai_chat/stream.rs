//! A chat's answer in chunks.

use serde::Serialize;
use serde_json::{Value, json};

use crate::answer::{Answer, Part, Piece};
use crate::api::usage::OpenAiUsage;
use crate::reply::write_json;
use crate::stream::StreamWriter;

use super::call_id;
use super::reply::{envelope, filtered, finish_reason, prompt_filtered, write_error};
use super::request::ChatForm;

const OBJECT: &str = "chat.completion.chunk";

/// Stands where a token's text goes while a chunk is made into a template.
const PLACEHOLDER: &str = "%token%";

pub(in crate::api) struct Writer {
    form: ChatForm,
    /// One per choice: most chunks of most streams differ in one word only.
    templates: Vec<Template>,
}

/// The chunk of one token of text, but for the token.
struct Template {
    before: Vec<u8>,
    after: Vec<u8>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    delta: Delta<'a>,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_filter_results: Option<Value>,
}

/// Fields that a chunk does not change are absent, not null: clients add up what they get.
#[derive(Default, Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[CallDelta<'a>; 1]>,
}

#[derive(Serialize)]
struct CallDelta<'a> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    function: FunctionDelta<'a>,
}

#[derive(Serialize)]
struct FunctionDelta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: &'a str,
}

impl Writer {
    pub(in crate::api) fn new(form: ChatForm, answer: &Answer) -> Self {
        let mut writer = Self {
            form,
            templates: Vec::new(),
        };
        let templates = (0..answer.choices).filter_map(|index| writer.template(answer, index));
        writer.templates = templates.collect();
        writer
    }

    fn template(&self, answer: &Answer, index: u32) -> Option<Template> {
        let mut chunk = Vec::new();
        self.write(answer, index, Delta::text(PLACEHOLDER), None, &mut chunk);
        let quoted = format!("\"{PLACEHOLDER}\"");
        // From the right: a model may be called like the placeholder.
        let place = chunk
            .windows(quoted.len())
            .rposition(|bytes| bytes == quoted.as_bytes())?;
        let after = chunk.split_off(place + quoted.len());
        chunk.truncate(place);
        Some(Template {
            before: chunk,
            after,
        })
    }

    /// With `include_usage`, every chunk but the last says `usage: null`.
    fn write(
        &self,
        answer: &Answer,
        index: u32,
        delta: Delta<'_>,
        finish_reason: Option<&'static str>,
        out: &mut Vec<u8>,
    ) {
        let is_filtered = self.form.is_filtered && delta.content.is_some_and(|it| !it.is_empty());
        let choice = Choice {
            index,
            delta,
            logprobs: None,
            finish_reason,
            content_filter_results: is_filtered.then(filtered),
        };
        let says_usage = self.form.include_usage && answer.usage.is_some();
        write_event(answer, &[choice], says_usage.then_some(None), out);
    }

    fn write_call(&self, answer: &Answer, index: u32, piece: &Piece<'_>, out: &mut Vec<u8>) {
        let place = answer.calls_before(piece.index);
        if let Some(call) = piece.part.call()
            && piece.is_first
        {
            let first = index as usize * answer.calls().count();
            let begin = CallDelta {
                index: place,
                id: Some(call_id(answer.id, first + place)),
                kind: Some("function"),
                function: FunctionDelta {
                    name: Some(&call.name),
                    arguments: "",
                },
            };
            self.write(answer, index, Delta::call(begin), None, out);
        }
        let more = CallDelta {
            index: place,
            id: None,
            kind: None,
            function: FunctionDelta {
                name: None,
                arguments: piece.text,
            },
        };
        self.write(answer, index, Delta::call(more), None, out);
    }
}

impl StreamWriter for Writer {
    fn open(&mut self, answer: &Answer, out: &mut Vec<u8>) {
        if self.form.is_filtered {
            // Sent before there is an answer.
            let chunk = json!({
                "choices": [],
                "created": 0,
                "id": "",
                "model": "",
                "object": "",
                "prompt_filter_results": prompt_filtered(),
            });
            out.extend_from_slice(b"data: ");
            write_json(out, &chunk);
            out.extend_from_slice(b"\n\n");
        }
        for index in 0..answer.choices {
            let role = Delta {
                role: Some("assistant"),
                ..Delta::text("")
            };
            self.write(answer, index, role, None, out);
        }
    }

    fn piece(&mut self, answer: &Answer, piece: &Piece<'_>, out: &mut Vec<u8>) {
        match piece.part {
            Part::Text(_) => {
                for template in &self.templates {
                    out.extend_from_slice(&template.before);
                    write_json(out, &piece.text);
                    out.extend_from_slice(&template.after);
                }
            }
            Part::Thinking(_) => {
                for index in 0..answer.choices {
                    self.write(answer, index, Delta::thought(piece.text), None, out);
                }
            }
            Part::Call(_) => {
                for index in 0..answer.choices {
                    self.write_call(answer, index, piece, out);
                }
            }
        }
    }

    fn end(&mut self, answer: &Answer, out: &mut Vec<u8>) {
        for index in 0..answer.choices {
            let reason = Some(finish_reason(answer));
            self.write(answer, index, Delta::default(), reason, out);
        }
        if self.form.include_usage
            && let Some(usage) = answer.usage
        {
            let none: [Choice<'_>; 0] = [];
            write_event(answer, &none, Some(Some(usage.into())), out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn error(&mut self, answer: &Answer, out: &mut Vec<u8>) {
        write_error(answer, out);
    }
}

impl<'a> Delta<'a> {
    fn text(text: &'a str) -> Self {
        Self {
            content: Some(text),
            ..Self::default()
        }
    }

    fn thought(text: &'a str) -> Self {
        Self {
            reasoning_content: Some(text),
            ..Self::default()
        }
    }

    fn call(call: CallDelta<'a>) -> Self {
        Self {
            tool_calls: Some([call]),
            ..Self::default()
        }
    }
}

fn write_event(
    answer: &Answer,
    choices: &[Choice<'_>],
    usage: Option<Option<OpenAiUsage>>,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"data: ");
    write_json(out, &envelope(answer, OBJECT, choices, usage));
    out.extend_from_slice(b"\n\n");
}
