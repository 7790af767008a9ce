//! An upstream's stream → events.
//!
//! Usage is told when the answer ends, not when it begins: the first report has the prompt's count beside a token or two
//! of output, and a stream that is cut would be charged by it.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use super::block::Block;
use super::read_reply::proof;
use super::stop_reason;
use super::usage::Tally;
use crate::UpstreamError;
use crate::canon::{Event, StreamReader};
use crate::relay::StreamFaultKind;

#[derive(Debug, Default)]
pub(crate) struct Reader {
    is_started: bool,
    n_calls: u32,
    open_calls: Vec<OpenCall>,
    tally: Tally,
}

/// A tool call whose block has not ended.
#[derive(Debug)]
struct OpenCall {
    /// Of the block, among all blocks.
    index: u64,
    /// Among the calls.
    call: u32,
    /// What the block began with: the arguments, if no more are sent.
    input: String,
    has_arguments: bool,
}

impl StreamReader for Reader {
    fn read(&mut self, frame: &[u8], events: &mut Vec<Event>) -> Result<(), StreamFaultKind> {
        let kind = match serde_json::from_slice(frame) {
            Ok(Kind { kind }) if !kind.is_empty() => kind,
            _ => return not_an_event(frame),
        };
        match &*kind {
            "message_start" => self.start(parse(frame)?, events),
            "content_block_start" => self.begin_block(parse(frame)?, events),
            "content_block_delta" => self.continue_block(parse(frame)?, events),
            "content_block_stop" => {
                let BlockStop { index } = parse(frame)?;
                self.end_calls(|call| call.index == index, events);
            }
            "message_delta" => self.end(parse(frame)?, events),
            "message_stop" => events.push(Event::Done),
            "error" => return Err(fault(frame)),
            // `ping`, and what later versions add.
            _ => {}
        }
        Ok(())
    }
}

impl Reader {
    fn start(&mut self, MessageStart { message }: MessageStart, events: &mut Vec<Event>) {
        let Message { id, model, usage } = message.unwrap_or_default();
        usage.iter().for_each(|report| self.tally.merge(report));
        if !std::mem::replace(&mut self.is_started, true) {
            events.push(Event::Start { id, model });
        }
    }

    fn begin_block(
        &mut self,
        BlockStart { index, block }: BlockStart<'_>,
        events: &mut Vec<Event>,
    ) {
        match &*block.kind {
            "text" => push_text(block.text, events),
            "thinking" => {
                push_thinking(block.thinking, events);
                push_signature(block.signature, events);
            }
            "redacted_thinking" => {
                let data = block.data.and_then(proof);
                events.extend(data.map(|data| Event::RedactedThinking { choice: 0, data }));
            }
            "tool_use" => {
                let call = self.n_calls;
                self.n_calls += 1;
                self.open_calls.push(OpenCall {
                    index,
                    call,
                    input: block.input.map_or("{}", |input| input.get()).to_owned(),
                    has_arguments: false,
                });
                events.push(Event::ToolCall {
                    choice: 0,
                    call,
                    id: block.id.unwrap_or_default(),
                    name: block.name.unwrap_or_default(),
                    signature: None,
                });
            }
            _ => {}
        }
    }

    fn continue_block(
        &mut self,
        BlockDelta { index, delta }: BlockDelta<'_>,
        events: &mut Vec<Event>,
    ) {
        match &*delta.kind {
            "text_delta" => push_text(delta.text, events),
            "thinking_delta" => push_thinking(delta.thinking, events),
            "signature_delta" => push_signature(delta.signature, events),
            "input_json_delta" => {
                let mut calls = self.open_calls.iter_mut().rev();
                // The provider's own tools have input too.
                let Some(call) = calls.find(|call| call.index == index) else {
                    return;
                };
                let Some(json) = delta.partial_json.filter(|json| !json.is_empty()) else {
                    return;
                };
                call.has_arguments = true;
                events.push(Event::ToolArguments {
                    choice: 0,
                    call: call.call,
                    json,
                });
            }
            _ => {}
        }
    }

    /// A call that came without arguments gets those that its block began with: `{}` mostly.
    fn end_calls(&mut self, ends: impl Fn(&OpenCall) -> bool, events: &mut Vec<Event>) {
        self.open_calls.retain_mut(|call| {
            let is_over = ends(call);
            if is_over && !call.has_arguments {
                events.push(Event::ToolArguments {
                    choice: 0,
                    call: call.call,
                    json: std::mem::take(&mut call.input),
                });
            }
            !is_over
        });
    }

    fn end(&mut self, MessageDelta { delta, usage }: MessageDelta, events: &mut Vec<Event>) {
        usage.iter().for_each(|report| self.tally.merge(report));
        let EndDelta {
            stop_reason,
            stop_sequence,
        } = delta.unwrap_or_default();
        if stop_reason.is_some() {
            self.end_calls(|_| true, events);
            events.push(Event::Finish {
                choice: 0,
                finish: stop_reason::read(stop_reason.as_deref(), self.n_calls > 0),
                stop_sequence,
            });
        }
        events.extend(self.tally.usage().map(Event::Usage));
    }
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(rename = "type", default, borrow)]
    kind: Cow<'a, str>,
}

#[derive(Deserialize)]
struct MessageStart {
    message: Option<Message>,
}

#[derive(Default, Deserialize)]
struct Message {
    id: Option<String>,
    model: Option<String>,
    usage: Option<Value>,
}

#[derive(Deserialize)]
struct BlockStart<'a> {
    #[serde(default)]
    index: u64,
    #[serde(rename = "content_block", borrow)]
    block: Block<'a>,
}

#[derive(Deserialize)]
struct BlockDelta<'a> {
    #[serde(default)]
    index: u64,
    #[serde(borrow)]
    delta: Delta<'a>,
}

/// All kinds in one, as with [`Block`].
#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(rename = "type", default, borrow)]
    kind: Cow<'a, str>,
    text: Option<String>,
    thinking: Option<String>,
    signature: Option<String>,
    partial_json: Option<String>,
}

#[derive(Deserialize)]
struct BlockStop {
    #[serde(default)]
    index: u64,
}

#[derive(Deserialize)]
struct MessageDelta {
    delta: Option<EndDelta>,
    usage: Option<Value>,
}

#[derive(Default, Deserialize)]
struct EndDelta {
    stop_reason: Option<String>,
    stop_sequence: Option<String>,
}

fn parse<'a, T: Deserialize<'a>>(frame: &'a [u8]) -> Result<T, StreamFaultKind> {
    serde_json::from_slice(frame).map_err(|_| StreamFaultKind::Malformed)
}

fn not_an_event(frame: &[u8]) -> Result<(), StreamFaultKind> {
    match frame.trim_ascii() {
        // Gateways that put it at the end of every stream; `message_stop` came before.
        b"[DONE]" => Ok(()),
        frame => Err(fault(frame)),
    }
}

fn fault(frame: &[u8]) -> StreamFaultKind {
    match UpstreamError::parse(frame) {
        Some(error) => StreamFaultKind::Upstream(Box::new(error)),
        None => StreamFaultKind::Malformed,
    }
}

fn push_text(text: Option<String>, events: &mut Vec<Event>) {
    let text = text.filter(|text| !text.is_empty());
    events.extend(text.map(|text| Event::Text { choice: 0, text }));
}

fn push_thinking(text: Option<String>, events: &mut Vec<Event>) {
    let text = text.filter(|text| !text.is_empty());
    events.extend(text.map(|text| Event::Thinking { choice: 0, text }));
}

fn push_signature(signature: Option<String>, events: &mut Vec<Event>) {
    let signature = signature.and_then(proof);
    events.extend(signature.map(|signature| Event::ThinkingSignature {
        choice: 0,
        signature,
    }));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Usage;
    use crate::canon::Finish;

    fn read(frames: &[&str]) -> Result<Vec<Event>, StreamFaultKind> {
        let mut reader = Reader::default();
        let mut events = Vec::new();
        for frame in frames {
            reader.read(frame.as_bytes(), &mut events)?;
        }
        Ok(events)
    }

    fn arguments(call: u32, json: &str) -> Event {
        Event::ToolArguments {
            choice: 0,
            call,
            json: json.to_owned(),
        }
    }

    const CALL: &str = r#"{"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"toolu_1","name":"find","input":{}}}"#;

    #[test]
    fn a_call_without_arguments_gets_an_empty_object() {
        let stop = r#"{"type":"content_block_stop","index":3}"#;

        let events = read(&[CALL, stop]).unwrap();

        assert_eq!(events[1..], [arguments(0, "{}")]);
    }

    #[test]
    fn arguments_in_pieces_are_not_told_again_when_their_block_ends() {
        let piece = r#"{"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{\"a\":1}"}}"#;
        let stop = r#"{"type":"content_block_stop","index":3}"#;

        let events = read(&[CALL, piece, stop]).unwrap();

        assert_eq!(events[1..], [arguments(0, r#"{"a":1}"#)]);
    }

    #[test]
    fn arguments_that_come_at_once_are_told_once() {
        let whole = r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","name":"find","input":{"a":1}}}"#;
        let end = r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"}}"#;

        let events = read(&[whole, end]).unwrap();

        assert_eq!(events[1], arguments(0, r#"{"a":1}"#));
        assert_eq!(events.len(), 3);
    }

    #[test]
    fn the_input_of_the_providers_own_tools_is_nobodys() {
        let events = read(&[
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"server_tool_use","id":"s","name":"web_search","input":{}}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{}"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
        ]);

        assert_eq!(events, Ok(vec![]));
    }

    #[test]
    fn usage_is_told_when_the_answer_ends() {
        let start = r#"{"type":"message_start","message":{"usage":{"input_tokens":9,"cache_read_input_tokens":90,"output_tokens":1}}}"#;
        let end = r#"{"type":"message_delta","delta":{"stop_reason":"max_tokens"},"usage":{"output_tokens":7}}"#;

        let events = read(&[start, end]).unwrap();

        let expected = [
            Event::Start {
                id: None,
                model: None,
            },
            Event::Finish {
                choice: 0,
                finish: Finish::Length,
                stop_sequence: None,
            },
            Event::Usage(Usage {
                prompt_tokens: 99,
                completion_tokens: 7,
                cached_tokens: 90,
                ..Usage::default()
            }),
        ];
        assert_eq!(events, expected);
    }

    #[test]
    fn unknown_events_and_blocks_and_deltas_are_passed_over() {
        let events = read(&[
            r#"{"type":"ping"}"#,
            r#"{"type":"from_the_future","delta":"text"}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"from_the_future"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"citations_delta","citation":{}}}"#,
            "[DONE]",
        ]);

        assert_eq!(events, Ok(vec![]));
    }

    #[test]
    fn errors_of_both_shapes_are_the_upstreams() {
        for frame in [
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            r#"{"error":{"message":"Overloaded"}}"#,
        ] {
            let Err(StreamFaultKind::Upstream(error)) = read(&[frame]) else {
                panic!("no error: {frame}")
            };
            assert_eq!(error.message, "Overloaded");
        }
    }

    #[test]
    fn what_is_no_event_is_malformed() {
        for frame in ["<html>", "{}", "[]", r#"{"type":7}"#, r#"{"type":"error"}"#] {
            assert_eq!(read(&[frame]), Err(StreamFaultKind::Malformed), "{frame}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(frames in proptest::collection::vec(frame(), 0..6)) {
            let mut reader = Reader::default();
            for frame in frames {
                let _ = reader.read(&frame, &mut Vec::new());
            }
        }
    }

    fn frame() -> impl Strategy<Value = Vec<u8>> {
        let kinds = "message_start|content_block_start|content_block_delta|content_block_stop|message_delta|error";
        let fields = "(,\"(index|delta|content_block|usage|message|error)\":(0|-1|null|\\{\\}|\\[\\]|\"x\"|\\{\"type\":\"(tool_use|text_delta|input_json_delta)\"\\})){0,4}";
        let likely = format!("\\{{\"type\":\"({kinds})\"{fields}\\}}");
        prop_oneof![
            proptest::string::string_regex(&likely)
                .unwrap()
                .prop_map(String::into_bytes),
            proptest::collection::vec(any::<u8>(), 0..64),
        ]
    }
}
