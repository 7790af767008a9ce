//! An upstream's stream → events.

use serde::Deserialize;
use serde_json::Value;

use super::answer::{self, SERVER_TOOL, Stop};
use super::exception;
use super::read_reply::proof;
use crate::AwsMessage;
use crate::canon::{Event, StreamReader};
use crate::relay::StreamFaultKind;

/// Follows the blocks of an answer: text, thoughts and calls come in numbered blocks, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    has_started: bool,
    n_calls: u32,
    open: Vec<OpenCall>,
}

/// A tool call whose block has not ended.
#[derive(Debug)]
struct OpenCall {
    block: u64,
    /// `None`: Bedrock's own, and not told to the client.
    call: Option<u32>,
    has_arguments: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockStart {
    content_block_index: u64,
    start: Start,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Start {
    tool_use: Option<CallStart>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CallStart {
    tool_use_id: String,
    name: String,
    r#type: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockDelta {
    content_block_index: u64,
    delta: Delta,
}

/// One of these; a piece of anything else has none.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delta {
    text: Option<String>,
    tool_use: Option<CallDelta>,
    reasoning_content: Option<ReasoningDelta>,
}

#[derive(Deserialize)]
struct CallDelta {
    input: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReasoningDelta {
    text: Option<String>,
    signature: Option<String>,
    redacted_content: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockStop {
    content_block_index: u64,
}

#[derive(Deserialize)]
struct Metadata {
    usage: Option<Value>,
}

impl StreamReader for Reader {
    fn read(&mut self, frame: &[u8], events: &mut Vec<Event>) -> Result<(), StreamFaultKind> {
        let message = AwsMessage::parse(frame).ok_or(StreamFaultKind::Malformed)?;
        if message.is_exception {
            let error = exception::of_message(&message);
            return Err(StreamFaultKind::Upstream(Box::new(error)));
        }
        match message.kind {
            "messageStart" => self.start(events),
            "contentBlockStart" => {
                self.start(events);
                self.begin_block(parse(&message)?, events);
            }
            "contentBlockDelta" => {
                self.start(events);
                self.continue_block(parse(&message)?, events)?;
            }
            "contentBlockStop" => self.end_block(&parse(&message)?, events),
            "messageStop" => {
                self.start(events);
                self.finish(&parse(&message)?, events)?;
            }
            // Usage comes after the answer's end, and nothing after it.
            "metadata" => {
                let Metadata { usage } = parse(&message)?;
                let usage = usage.as_ref().and_then(answer::usage);
                events.extend(usage.map(Event::Usage));
                events.push(Event::Done);
            }
            // `initial-response`, and what is not known yet.
            _ => {}
        }
        Ok(())
    }
}

impl Reader {
    fn start(&mut self, events: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.has_started, true) {
            events.push(Event::Start {
                id: None,
                model: None,
            });
        }
    }

    fn begin_block(&mut self, block: BlockStart, events: &mut Vec<Event>) {
        let Some(start) = block.start.tool_use else {
            return;
        };
        let is_for_client = start.r#type.as_deref() != Some(SERVER_TOOL);
        let call = is_for_client.then_some(self.n_calls);
        self.open.push(OpenCall {
            block: block.content_block_index,
            call,
            has_arguments: false,
        });
        if let Some(call) = call {
            self.n_calls += 1;
            events.push(Event::ToolCall {
                choice: 0,
                call,
                id: start.tool_use_id,
                name: start.name,
                signature: None,
            });
        }
    }

    fn continue_block(
        &mut self,
        block: BlockDelta,
        events: &mut Vec<Event>,
    ) -> Result<(), StreamFaultKind> {
        let BlockDelta {
            content_block_index,
            delta,
        } = block;
        if let Some(text) = delta.text.filter(|text| !text.is_empty()) {
            events.push(Event::Text { choice: 0, text });
        }
        if let Some(CallDelta { input }) = delta.tool_use {
            let mut open = self.open.iter_mut();
            let open = open
                .find(|open| open.block == content_block_index)
                .ok_or(StreamFaultKind::Malformed)?;
            if let (Some(call), false) = (open.call, input.is_empty()) {
                open.has_arguments = true;
                events.push(Event::ToolArguments {
                    choice: 0,
                    call,
                    json: input,
                });
            }
        }
        if let Some(ReasoningDelta {
            text,
            signature,
            redacted_content,
        }) = delta.reasoning_content
        {
            let text = text.filter(|text| !text.is_empty());
            events.extend(text.map(|text| Event::Thinking { choice: 0, text }));
            events.extend(
                signature
                    .and_then(proof)
                    .map(|signature| Event::ThinkingSignature {
                        choice: 0,
                        signature,
                    }),
            );
            let data = redacted_content.and_then(proof);
            events.extend(data.map(|data| Event::RedactedThinking { choice: 0, data }));
        }
        Ok(())
    }

    /// A call without arguments has no pieces, or empty ones; in a whole answer it has `{}`.
    fn end_block(&mut self, block: &BlockStop, events: &mut Vec<Event>) {
        let mut open = self.open.iter();
        let Some(at) = open.position(|open| open.block == block.content_block_index) else {
            return;
        };
        let ended = self.open.swap_remove(at);
        if let (Some(call), false) = (ended.call, ended.has_arguments) {
            events.push(Event::ToolArguments {
                choice: 0,
                call,
                json: "{}".to_owned(),
            });
        }
    }

    fn finish(&mut self, stop: &Stop, events: &mut Vec<Event>) -> Result<(), StreamFaultKind> {
        let finish = stop
            .finish(self.n_calls > 0)
            .map_err(StreamFaultKind::Upstream)?;
        events.push(Event::Finish {
            choice: 0,
            finish,
            stop_sequence: stop.sequence(),
        });
        Ok(())
    }
}

fn parse<'a, T: Deserialize<'a>>(message: &AwsMessage<'a>) -> Result<T, StreamFaultKind> {
    serde_json::from_slice(message.payload).map_err(|_| StreamFaultKind::Malformed)
}

#[cfg(test)]
mod tests;
