//! Fits the conversation so far to a provider that takes less of it than OpenAI, where a client's bytes go through.
//!
//! A client sends back what it was answered with, and after a fail-over that was another's answer: thoughts under names
//! that this provider refuses, and calls whose ids it does not take. And it may go on without an answer to its tools' results,
//! where this provider wants one. What is translated fits already. Where nothing is to fit, a few searches decide so, and the
//! body stays as it is.

use std::ops::Range;

use bytes::Bytes;
use memchr::memmem;
use serde_json::{Value, json};
use shared::config::Manners;

use super::manners::{AFTER_TOOLS, Habits};
use crate::canon::proof;
use crate::scan::{self, Object};
use crate::splice::Splice;

const THOUGHTS: &str = "reasoning_content";
const PROVED_THOUGHTS: &[u8] = b"thinking_blocks";

/// `body`, whose marks are still in it, with the history as a provider with `manners` takes it; itself if it fits.
pub(crate) fn fit(body: Bytes, manners: Manners) -> Bytes {
    let habits = Habits::of(manners);
    let has = |text: &str| memmem::find(&body, text.as_bytes()).is_some();
    let has_unknown = habits.unknown_in_history.iter().any(|name| has(name));
    let has_others = !habits.takes_thoughts && has(THOUGHTS) && has(proof::MARK);
    let has_calls = (habits.wants_nine_letter_ids || habits.has_strict_turns) && has("tool_call");
    if !has_unknown && !has_others && !has_calls {
        return body;
    }
    let Ok(Object { members, .. }) = scan::scan_object(&body, |_| false) else {
        return body;
    };
    let mut fitting = Fitting {
        body: &body,
        habits,
        splice: Splice::default(),
    };
    for member in members {
        if member.name(&body) == b"messages" {
            fitting.list(&member.value, true);
        }
    }
    fitting.splice.apply(&body)
}

struct Fitting<'a> {
    body: &'a [u8],
    habits: &'static Habits,
    splice: Splice,
}

impl<'a> Fitting<'a> {
    /// Messages, or the calls of one.
    fn list(&mut self, list: &Range<usize>, are_messages: bool) {
        let mut before: Option<&[u8]> = None;
        for element in scan::elements(self.raw(list)) {
            let span = scan::within(list, &element);
            let role = self.object(&span, are_messages);
            let is_unanswered = before == Some(br#""tool""#) && role == Some(br#""user""#);
            if is_unanswered && self.habits.has_strict_turns {
                let answer = json!({"role": "assistant", "content": AFTER_TOOLS});
                self.splice.insert(span.start, format!("{answer},"));
            }
            before = role;
        }
    }

    /// Returns the role as it is written, if there is one.
    fn object(&mut self, span: &Range<usize>, is_message: bool) -> Option<&'a [u8]> {
        let raw = self.raw(span);
        let Object { members, .. } = scan::scan_object(raw, |_| false).ok()?;
        let mut role = None;
        let are_others = !self.habits.takes_thoughts
            && members.iter().any(|member| {
                let value = raw.get(member.value.clone()).unwrap_or_default();
                member.name(raw) == PROVED_THOUGHTS
                    && memmem::find(value, proof::MARK.as_bytes()).is_some()
            });
        let mut spans = Vec::with_capacity(members.len());
        let mut stays = Vec::with_capacity(members.len());
        for member in &members {
            let name = member.name(raw);
            let goes = self.is_unknown(name) || (are_others && name == THOUGHTS.as_bytes());
            let value = scan::within(span, &member.value);
            match name {
                _ if goes => {}
                b"role" => role = Some(self.raw(&value)),
                b"tool_calls" if is_message => self.list(&value, false),
                b"tool_call_id" if is_message => self.call_id(value),
                b"id" if !is_message => self.call_id(value),
                _ => {}
            }
            spans.push(scan::within(span, &(member.start..member.value.end)));
            stays.push(!goes);
        }
        self.splice.cut(&spans, &stays);
        role
    }

    fn call_id(&mut self, span: Range<usize>) {
        if !self.habits.wants_nine_letter_ids {
            return;
        }
        let Ok(written) = serde_json::from_slice::<String>(self.raw(&span)) else {
            return;
        };
        let (id, _) = proof::unpack(&written);
        let taken = self.habits.call_id(id);
        if taken != written {
            self.splice.replace(span, Value::from(taken).to_string());
        }
    }

    fn is_unknown(&self, name: &[u8]) -> bool {
        let mut unknown = self.habits.unknown_in_history.iter();
        unknown.any(|unknown| unknown.as_bytes() == name)
    }

    fn raw(&self, span: &Range<usize>) -> &'a [u8] {
        self.body.get(span.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
