//! Takes the proofs of other dialects out of a request whose upstream speaks its client's own.
//!
//! After a fail-over a client holds thoughts of several providers, and each of these refuses the others'. All that the
//! router marked can be found by the mark: a request without it is left alone after one search. In one that has it, only
//! what holds a mark changes:
//!
//! - thoughts of others go, and those that nobody proved: Anthropic and OpenAI take none such;
//! - the upstream's own get their proof back as it was;
//! - ids of tool calls are again as the upstream gave them, in calls and results alike;
//! - what signs another's call, or another's words, goes alone;
//! - a budget of thoughts goes where Anthropic refuses one: see [`refused_budget`].

mod refused_budget;

use std::ops::Range;

use bytes::Bytes;
use memchr::memmem;
use shared::config::Dialect;

use super::grammar::Grammar;
use super::path;
use crate::canon::{Proof, proof};
use crate::scan::{self, Object};
use crate::splice::Splice;

/// `body` without the proofs of others; itself if it has none.
pub(super) fn keep_own(body: Bytes, dialect: Dialect, grammar: &Grammar) -> Bytes {
    let mark = match dialect {
        Dialect::GeminiGenerate => proof::MARK_IN_BASE64,
        _ => proof::MARK,
    };
    if memmem::find(&body, mark.as_bytes()).is_none() {
        return body;
    }
    let Ok(object) = scan::scan_object(&body, |_| false) else {
        return body;
    };
    let mut editor = Editor {
        body: &body,
        dialect,
        mark,
        splice: Splice::default(),
    };
    let paths: &[&str] = match dialect {
        Dialect::OpenaiResponses => &["input"],
        Dialect::GeminiGenerate => &["contents", "generateContentRequest.contents"],
        _ => &["messages"],
    };
    for path in paths {
        for span in path::values(grammar, &object, &body, 0, path) {
            editor.list(span, Editor::turn);
        }
    }
    let body = editor.splice.apply(&body);
    match dialect {
        Dialect::AnthropicMessages => refused_budget::leave_out(body),
        _ => body,
    }
}

struct Editor<'a> {
    body: &'a [u8],
    /// Of client and upstream.
    dialect: Dialect,
    mark: &'static str,
    splice: Splice,
}

/// What becomes of a field or an element.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Stays,
    Goes,
    /// With all that it is a field of.
    GoesWithOwner,
}

impl Editor<'_> {
    /// A message, a content or an item.
    fn turn(&mut self, span: Range<usize>) -> Fate {
        let dialect = self.dialect;
        self.object(span, |editor, name, value| match (name, dialect) {
            ("content", Dialect::AnthropicMessages) | ("parts", Dialect::GeminiGenerate) => {
                // A turn must not be empty.
                match editor.list(value, Self::block) {
                    Fate::Goes => Fate::GoesWithOwner,
                    fate => fate,
                }
            }
            (_, Dialect::OpenaiResponses) => editor.field(name, value),
            ("thinking_blocks" | "tool_calls", Dialect::OpenaiChat | Dialect::OllamaChat) => {
                editor.list(value, Self::block)
            }
            ("tool_call_id", _) => editor.field(name, value),
            _ => Fate::Stays,
        })
    }

    /// A block, a part, or a call.
    fn block(&mut self, span: Range<usize>) -> Fate {
        self.object(span, Self::field)
    }

    fn field(&mut self, name: &str, span: Range<usize>) -> Fate {
        match name {
            "signature" | "data" | "encrypted_content" => {
                self.proof(span, Proof::read, Fate::GoesWithOwner)
            }
            "thoughtSignature" | "thought_signature" => {
                self.proof(span, Proof::read_base64, Fate::Goes)
            }
            "extra_content" => Fate::Goes,
            "id" if self.dialect == Dialect::OpenaiResponses => match self.text(span) {
                // Of thoughts that came without a proof; an `encrypted_content` of the upstream's own has no mark here.
                Some(id) if id.starts_with("rs_") => Fate::GoesWithOwner,
                _ => Fate::Stays,
            },
            "id" | "tool_use_id" | "tool_call_id" | "call_id" => {
                let Some(packed) = self.text(span.clone()) else {
                    return Fate::Stays;
                };
                let (id, _) = proof::unpack(&packed);
                if id != packed {
                    self.replace(span, id);
                }
                Fate::Stays
            }
            _ => Fate::Stays,
        }
    }

    /// `if_foreign` is what becomes of a proof that is not the upstream's own.
    fn proof(
        &mut self,
        span: Range<usize>,
        read: fn(String, Dialect) -> Option<Proof>,
        if_foreign: Fate,
    ) -> Fate {
        let Some(text) = self.text(span.clone()) else {
            return Fate::Stays;
        };
        if !text.starts_with(self.mark) {
            return Fate::Stays;
        }
        let proof = read(text, self.dialect);
        match proof.as_ref().and_then(|proof| proof.of(self.dialect)) {
            Some(data) => {
                self.replace(span, data);
                Fate::Stays
            }
            None => if_foreign,
        }
    }

    /// Edits the fields of the object at `span` in which a mark is; those that go are cut out.
    fn object(
        &mut self,
        span: Range<usize>,
        mut edit: impl FnMut(&mut Self, &str, Range<usize>) -> Fate,
    ) -> Fate {
        let raw = self.body.get(span.clone()).unwrap_or_default();
        let Ok(Object { members, .. }) = scan::scan_object(raw, |_| false) else {
            return Fate::Stays;
        };
        let n_edits = self.splice.len();
        let mut spans = Vec::with_capacity(members.len());
        let mut stays = Vec::with_capacity(members.len());
        for member in &members {
            let value = scan::within(&span, &member.value);
            let name = str::from_utf8(member.name(raw)).unwrap_or_default();
            let fate = match self.is_marked(&value) {
                true => edit(self, name, value),
                false => Fate::Stays,
            };
            if fate == Fate::GoesWithOwner {
                self.splice.truncate(n_edits);
                return Fate::Goes;
            }
            spans.push(scan::within(&span, &(member.start..member.value.end)));
            stays.push(fate == Fate::Stays);
        }
        self.splice.cut(&spans, &stays);
        Fate::Stays
    }

    /// Edits the elements of the array at `span` in which a mark is; those that go are cut out. A list goes if all of its
    /// elements do.
    fn list(&mut self, span: Range<usize>, edit: fn(&mut Self, Range<usize>) -> Fate) -> Fate {
        let raw = self.body.get(span.clone()).unwrap_or_default();
        let n_edits = self.splice.len();
        let elements = scan::elements(raw).into_iter();
        let spans: Vec<_> = elements
            .map(|element| scan::within(&span, &element))
            .collect();
        let mut stays = Vec::with_capacity(spans.len());
        for element in &spans {
            let is_marked = self.is_marked(element);
            stays.push(!is_marked || edit(self, element.clone()) == Fate::Stays);
        }
        if !spans.is_empty() && !stays.contains(&true) {
            self.splice.truncate(n_edits);
            return Fate::Goes;
        }
        self.splice.cut(&spans, &stays);
        Fate::Stays
    }

    fn is_marked(&self, span: &Range<usize>) -> bool {
        let raw = self.body.get(span.clone()).unwrap_or_default();
        memmem::find(raw, self.mark.as_bytes()).is_some()
    }

    fn text(&self, span: Range<usize>) -> Option<String> {
        serde_json::from_slice(self.body.get(span)?).ok()
    }

    fn replace(&mut self, span: Range<usize>, text: &str) {
        let json = serde_json::Value::from(text).to_string();
        self.splice.replace(span, json);
    }
}

#[cfg(test)]
mod tests;
