//! How far a streamed answer has come.

use std::collections::BTreeSet;

use crate::Usage;
use crate::canon::Event;
use crate::tokens::estimate_tokens;

/// What is known of a streamed answer so far.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) has_content: bool,
    /// How many choices the answer has, and those that came to their end.
    n_choices: usize,
    pub(super) finished: BTreeSet<u64>,
    pub(super) is_done: bool,
    /// The client's stream was ended in good order.
    pub(super) is_ended: bool,
    pub(super) usage: Option<Usage>,
    /// Events with content; most providers send one token in each.
    n_content_events: usize,
    n_content_bytes: usize,
}

impl Progress {
    /// Of an answer with so many choices.
    pub(super) fn new(n_choices: usize) -> Self {
        Self {
            has_content: false,
            n_choices,
            finished: BTreeSet::new(),
            is_done: false,
            is_ended: false,
            usage: None,
            n_content_events: 0,
            n_content_bytes: 0,
        }
    }

    pub(super) fn is_finished(&self) -> bool {
        self.is_done || self.finished.len() >= self.n_choices
    }

    pub(super) fn note(&mut self, event: &Event) {
        match event {
            Event::Start { .. } | Event::ThinkingSignature { .. } | Event::Logprobs { .. } => {}
            Event::Text { text, .. }
            | Event::Refusal { text, .. }
            | Event::Thinking { text, .. } => {
                self.note_content(text.len());
            }
            Event::RedactedThinking { .. } => self.has_content = true,
            Event::ToolCall { name, .. } => self.note_content(name.len()),
            Event::ToolArguments { json, .. } => self.note_content(json.len()),
            Event::Finish { choice, .. } => {
                self.finished.insert(u64::from(*choice));
                self.has_content = true;
            }
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Done => self.is_done = true,
        }
    }

    pub(super) fn note_content(&mut self, n_bytes: usize) {
        if n_bytes > 0 {
            self.n_content_events += 1;
            self.n_content_bytes += n_bytes;
            self.has_content = true;
        }
    }

    /// Output tokens so far, for a stream that was cut before it reported them.
    pub(super) fn completion_tokens(&self) -> u32 {
        let events = u32::try_from(self.n_content_events).unwrap_or(u32::MAX);
        events.max(estimate_tokens(self.n_content_bytes))
    }
}
