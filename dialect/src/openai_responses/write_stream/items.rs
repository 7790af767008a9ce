//! The items of a streamed answer, one after the other: announced, told in pieces, repeated whole at their end.

use serde_json::Value;

use super::frame::{Frame, Frames, Part};
use crate::canon::{AnswerFacts, Proof, ToolCall};
use crate::openai_responses::item::{
    Call, Content, Item, Message, Status, Summary, Thought, encrypted,
};

#[derive(Debug)]
pub(super) struct ItemWriter {
    pub(super) facts: AnswerFacts,
    pub(super) frames: Frames,
    /// Those that have come to their end.
    pub(super) done: Vec<Item>,
    /// The one that is being told.
    pub(super) live: Option<Item>,
    /// Of the text that comes next.
    logprobs: Vec<Value>,
}

impl ItemWriter {
    pub(super) fn new(facts: AnswerFacts) -> Self {
        Self {
            facts,
            frames: Frames::default(),
            done: Vec::new(),
            live: None,
            logprobs: Vec::new(),
        }
    }

    pub(super) fn note_logprobs(&mut self, logprobs: Vec<Value>) {
        self.logprobs.extend(logprobs);
    }

    pub(super) fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        if text.is_empty() && self.logprobs.is_empty() {
            return;
        }
        if !matches!(self.live_content(), Some(Content::OutputText { .. })) {
            self.open_content(Content::text(String::new()), out);
        }
        let logprobs = std::mem::take(&mut self.logprobs);
        let output_index = self.done.len();
        let Some(Item::Message(message)) = &mut self.live else {
            return;
        };
        let frame = Frame {
            item_id: Some(&message.id),
            output_index: Some(output_index),
            content_index: message.content.len().checked_sub(1),
            delta: Some(text),
            logprobs: Some(&logprobs),
            ..Frame::of("response.output_text.delta")
        };
        self.frames.write(frame, out);
        if let Some(Content::OutputText {
            text: whole,
            logprobs: all,
            ..
        }) = message.content.last_mut()
        {
            whole.push_str(text);
            all.extend(logprobs);
        }
    }

    pub(super) fn refusal(&mut self, text: &str, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        if !matches!(self.live_content(), Some(Content::Refusal { .. })) {
            let refusal = String::new();
            self.open_content(Content::Refusal { refusal }, out);
        }
        let output_index = self.done.len();
        let Some(Item::Message(message)) = &mut self.live else {
            return;
        };
        let frame = Frame {
            item_id: Some(&message.id),
            output_index: Some(output_index),
            content_index: message.content.len().checked_sub(1),
            delta: Some(text),
            ..Frame::of("response.refusal.delta")
        };
        self.frames.write(frame, out);
        if let Some(Content::Refusal { refusal }) = message.content.last_mut() {
            refusal.push_str(text);
        }
    }

    /// Thoughts, their proof, or both. Thoughts after a proof are others, and so is a proof that comes too late.
    pub(super) fn thought(&mut self, text: &str, proof: Option<&Proof>, out: &mut Vec<u8>) {
        if text.is_empty() && proof.is_none() {
            return;
        }
        let is_open = match &self.live {
            Some(Item::Reasoning(thought)) => thought.encrypted_content.is_none(),
            _ => false,
        };
        if !is_open {
            self.open_thought(out);
        }
        let output_index = self.done.len();
        let Some(Item::Reasoning(thought)) = &mut self.live else {
            return;
        };
        if !text.is_empty() {
            let frame = Frame {
                item_id: Some(&thought.id),
                output_index: Some(output_index),
                summary_index: Some(0),
                delta: Some(text),
                ..Frame::of("response.reasoning_summary_text.delta")
            };
            self.frames.write(frame, out);
        }
        if let Some(summary) = thought.summary.first_mut() {
            summary.text.push_str(text);
        }
        thought.encrypted_content = proof.map(encrypted);
    }

    pub(super) fn redacted(&mut self, sealed: &Proof, out: &mut Vec<u8>) {
        self.close(Status::Completed, out);
        let thought = Thought::new(&self.facts, self.done.len());
        let encrypted_content = Some(encrypted(sealed));
        let item = Item::Reasoning(Thought {
            encrypted_content,
            ..thought
        });
        self.open(item, out);
    }

    pub(super) fn open_call(&mut self, call: ToolCall, out: &mut Vec<u8>) {
        self.close(Status::Completed, out);
        let index = self.done.len();
        let signature = call.signature.as_ref();
        let item = Call::new(&self.facts, index, &call.id, call.name, signature);
        self.open(Item::FunctionCall(item), out);
    }

    pub(super) fn arguments(&mut self, json: &str, out: &mut Vec<u8>) {
        let output_index = self.done.len();
        let Some(Item::FunctionCall(call)) = &mut self.live else {
            return;
        };
        if json.is_empty() {
            return;
        }
        let frame = Frame {
            item_id: Some(&call.id),
            output_index: Some(output_index),
            delta: Some(json),
            ..Frame::of("response.function_call_arguments.delta")
        };
        self.frames.write(frame, out);
        call.arguments.push_str(json);
    }

    pub(super) fn whole_call(&mut self, mut call: ToolCall, out: &mut Vec<u8>) {
        let arguments = std::mem::take(&mut call.arguments);
        self.open_call(call, out);
        self.arguments(&arguments, out);
    }

    /// Ends the live item, if there is one.
    pub(super) fn close(&mut self, status: Status, out: &mut Vec<u8>) {
        let arguments_missing = match &self.live {
            Some(Item::FunctionCall(call)) => call.arguments.is_empty(),
            _ => false,
        };
        if arguments_missing {
            // Clients parse them.
            self.arguments("{}", out);
        }
        self.close_content(out);
        let Some(mut item) = self.live.take() else {
            return;
        };
        item.end(status);
        let frame = Frame {
            output_index: Some(self.done.len()),
            item: Some(&item),
            ..Frame::of("response.output_item.done")
        };
        self.frames.write(frame, out);
        self.done.push(item);
    }

    fn open(&mut self, item: Item, out: &mut Vec<u8>) {
        let frame = Frame {
            output_index: Some(self.done.len()),
            item: Some(&item),
            ..Frame::of("response.output_item.added")
        };
        self.frames.write(frame, out);
        self.live = Some(item);
    }

    fn open_thought(&mut self, out: &mut Vec<u8>) {
        self.close(Status::Completed, out);
        let output_index = self.done.len();
        self.open(
            Item::Reasoning(Thought::new(&self.facts, output_index)),
            out,
        );
        let Some(Item::Reasoning(thought)) = &mut self.live else {
            return;
        };
        let summary = Summary {
            text: String::new(),
        };
        let frame = Frame {
            item_id: Some(&thought.id),
            output_index: Some(output_index),
            summary_index: Some(0),
            part: Some(Part::Summary(&summary)),
            ..Frame::of("response.reasoning_summary_part.added")
        };
        self.frames.write(frame, out);
        thought.summary.push(summary);
    }

    /// Opens a part of the live message, or of a new one.
    fn open_content(&mut self, content: Content, out: &mut Vec<u8>) {
        if let Some(Item::Message(_)) = &self.live {
            self.close_content(out);
        } else {
            self.close(Status::Completed, out);
            let message = Message::new(&self.facts, self.done.len());
            self.open(Item::Message(message), out);
        }
        let output_index = self.done.len();
        let Some(Item::Message(message)) = &mut self.live else {
            return;
        };
        let frame = Frame {
            item_id: Some(&message.id),
            output_index: Some(output_index),
            content_index: Some(message.content.len()),
            part: Some(Part::Content(&content)),
            ..Frame::of("response.content_part.added")
        };
        self.frames.write(frame, out);
        message.content.push(content);
    }

    fn live_content(&self) -> Option<&Content> {
        match &self.live {
            Some(Item::Message(message)) => message.content.last(),
            _ => None,
        }
    }

    /// Ends the last part of the live item; each is ended before the next begins.
    fn close_content(&mut self, out: &mut Vec<u8>) {
        let is_text = matches!(self.live_content(), Some(Content::OutputText { .. }));
        if is_text && !self.logprobs.is_empty() {
            // They came after the text that they are of.
            self.text("", out);
        }
        let Some(item) = &self.live else {
            return;
        };
        let frame = |kind| Frame {
            item_id: Some(item.id()),
            output_index: Some(self.done.len()),
            ..Frame::of(kind)
        };
        match item {
            Item::Reasoning(thought) => {
                let Some(summary) = thought.summary.first() else {
                    return;
                };
                let text = Frame {
                    summary_index: Some(0),
                    text: Some(&summary.text),
                    ..frame("response.reasoning_summary_text.done")
                };
                let part = Frame {
                    summary_index: Some(0),
                    part: Some(Part::Summary(summary)),
                    ..frame("response.reasoning_summary_part.done")
                };
                self.frames.write(text, out);
                self.frames.write(part, out);
            }
            Item::Message(message) => {
                let Some(content) = message.content.last() else {
                    return;
                };
                let content_index = message.content.len().checked_sub(1);
                let whole = match content {
                    Content::OutputText { text, logprobs, .. } => Frame {
                        content_index,
                        text: Some(text),
                        logprobs: Some(logprobs),
                        ..frame("response.output_text.done")
                    },
                    Content::Refusal { refusal } => Frame {
                        content_index,
                        refusal: Some(refusal),
                        ..frame("response.refusal.done")
                    },
                };
                let part = Frame {
                    content_index,
                    part: Some(Part::Content(content)),
                    ..frame("response.content_part.done")
                };
                self.frames.write(whole, out);
                self.frames.write(part, out);
            }
            Item::FunctionCall(call) => {
                let whole = Frame {
                    name: Some(&call.name),
                    arguments: Some(&call.arguments),
                    ..frame("response.function_call_arguments.done")
                };
                self.frames.write(whole, out);
            }
        }
    }
}
