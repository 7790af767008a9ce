//! Fits the conversation so far to a provider that takes less of it than OpenAI, where a client's bytes go through.
//!
//! A client sends back what it was answered with, and after a fail-over that was another's answer: thoughts under names
//! that this provider refuses, and calls whose ids it does not take. And its turns may come in an order that this provider
//! does not take. What is translated fits already. Where nothing is to fit, a few searches decide so, and the body stays as
//! it is.

use std::ops::Range;

use bytes::Bytes;
use memchr::memmem;
use serde_json::{Value, json};
use shared::config::Manners;

use super::manners::{AFTER_TOOLS, Habits};
use crate::canon::{between_turns, proof};
use crate::scan::{self, Object};
use crate::splice::Splice;

const THOUGHTS: &str = "reasoning_content";
/// Roles as they are written.
const SYSTEM: &[u8] = br#""system""#;
const USER: &[u8] = br#""user""#;
const ASSISTANT: &[u8] = br#""assistant""#;
const TOOL: &[u8] = br#""tool""#;
const PROVED_THOUGHTS: &[u8] = b"thinking_blocks";

/// `body`, whose marks are still in it, with the history as a provider with `manners` takes it; itself if it fits.
pub(crate) fn fit(body: Bytes, manners: Manners) -> Bytes {
    let habits = Habits::of(manners);
    let has = |text: &str| memmem::find(&body, text.as_bytes()).is_some();
    let has_unknown = habits.unknown_in_history.iter().any(|name| has(name));
    let has_others = !habits.takes_thoughts && has(THOUGHTS) && has(proof::MARK);
    let has_ids = habits.wants_nine_letter_ids && has("tool_call");
    let has_turns = habits.has_strict_turns && (has("tool_call") || has("system"));
    if !has_unknown && !has_others && !has_ids && !has_turns {
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
        let mut before = None;
        for element in scan::elements(self.raw(list)) {
            let span = scan::within(list, &element);
            self.object(&span, are_messages);
            if are_messages && self.habits.has_strict_turns {
                before = self.take_turn(&span, before);
            }
        }
    }

    /// Puts a message in order behind who spoke `before`; returns who speaks now, as it is written.
    fn take_turn(&mut self, span: &Range<usize>, before: Option<&[u8]>) -> Option<&'a [u8]> {
        let raw = self.raw(span);
        let Object { members, .. } = scan::scan_object(raw, |_| false).ok()?;
        let value_of = |name: &[u8]| {
            let mut members = members.iter();
            let member = members.find(|member| member.name(raw) == name)?;
            Some(scan::within(span, &member.value))
        };
        let role = value_of(b"role")?;
        let mut speaker = self.raw(&role);
        if speaker == SYSTEM && matches!(before, Some(ASSISTANT | TOOL)) {
            speaker = USER;
            self.splice
                .replace(role, String::from_utf8_lossy(USER).into_owned());
            let content = value_of(b"content")?;
            if let Ok(text) = serde_json::from_slice::<String>(self.raw(&content)) {
                let text = Value::from(between_turns(&[text]));
                self.splice.replace(content, text.to_string());
            }
        }
        if before == Some(TOOL) && speaker == USER {
            let answer = json!({"role": "assistant", "content": AFTER_TOOLS});
            self.splice.insert(span.start, format!("{answer},"));
        }
        Some(speaker)
    }

    fn object(&mut self, span: &Range<usize>, is_message: bool) {
        let raw = self.raw(span);
        let Ok(Object { members, .. }) = scan::scan_object(raw, |_| false) else {
            return;
        };
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
                b"tool_calls" if is_message => self.list(&value, false),
                b"tool_call_id" if is_message => self.call_id(value),
                b"id" if !is_message => self.call_id(value),
                _ => {}
            }
            spans.push(scan::within(span, &(member.start..member.value.end)));
            stays.push(!goes);
        }
        self.splice.cut(&spans, &stays);
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
