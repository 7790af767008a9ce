//! An upstream's stream → events.
//!
//! It has no end mark: it is over when it closes. Calls come whole, and every one of them is another call, whatever its
//! position in its chunk.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::finish::Failing;
use super::incoming::{Answer, Candidate, FunctionCall, Part, PromptFeedback};
use super::{OWN, finish, logprobs, usage};
use crate::UpstreamError;
use crate::canon::{Event, Finish, Proof, StreamReader};
use crate::relay::StreamFaultKind;

#[derive(Debug, Default)]
pub(crate) struct Reader {
    failing: Failing,
    is_started: bool,
    choices: BTreeMap<u32, Progress>,
}

/// How far one answer has come.
#[derive(Debug, Default)]
struct Progress {
    n_calls: u32,
    says_something: bool,
    /// Of the calls that have one.
    call_ids: Vec<String>,
    has_unsigned_thoughts: bool,
    is_finished: bool,
}

impl StreamReader for Reader {
    fn read(&mut self, frame: &[u8], events: &mut Vec<Event>) -> Result<(), StreamFaultKind> {
        let answer: Answer<'_> = match serde_json::from_slice(frame) {
            Ok(answer) => answer,
            Err(_) => return Err(fault_of(frame)),
        };
        if let Some(error) = answer.error.as_ref().and_then(UpstreamError::of_error) {
            return Err(StreamFaultKind::Upstream(Box::new(error)));
        }
        let Answer {
            candidates,
            prompt_feedback,
            usage_metadata,
            model_version,
            response_id,
            error: _,
        } = answer;
        let is_ours = candidates.is_some()
            || prompt_feedback.is_some()
            || usage_metadata.is_some()
            || model_version.is_some()
            || response_id.is_some();
        if !is_ours {
            // An empty object keeps the connection alive.
            return match frame.trim_ascii() {
                b"{}" => Ok(()),
                _ => Err(StreamFaultKind::Malformed),
            };
        }

        if !std::mem::replace(&mut self.is_started, true) {
            events.push(Event::Start {
                id: response_id,
                model: model_version,
            });
        }
        for candidate in candidates.unwrap_or_default() {
            self.read_candidate(candidate, events)?;
        }
        let is_blocked = prompt_feedback
            .as_ref()
            .is_some_and(PromptFeedback::is_block);
        if is_blocked && self.choices.is_empty() {
            self.finish(0, Finish::ContentFilter, events);
        }
        let usage = usage_metadata
            .map(RawValue::get)
            .and_then(usage::read_usage);
        events.extend(usage.map(Event::Usage));
        Ok(())
    }
}

impl Reader {
    /// Reads a stream that goes to a client as it is.
    pub(crate) fn observing() -> Self {
        Self {
            failing: Failing::Mistakes,
            ..Self::default()
        }
    }

    fn read_candidate(
        &mut self,
        candidate: Candidate<'_>,
        events: &mut Vec<Event>,
    ) -> Result<(), StreamFaultKind> {
        let choice = candidate.index.unwrap_or_default();
        let progress = self.choices.entry(choice).or_default();
        if let Some(raw) = candidate.logprobs_result
            && let Some(logprobs) = logprobs::to_openai(raw.get())
        {
            events.push(Event::Logprobs { choice, logprobs });
        }
        let parts = candidate.content.and_then(|content| content.parts);
        for part in parts.unwrap_or_default() {
            progress.read_part(choice, part, events);
        }
        let has_calls = progress.n_calls > 0;
        let reason = candidate.finish_reason.unwrap_or_default();
        let says_nothing = |progress: &Progress| !progress.says_something;
        if self.choices.values().all(says_nothing)
            && let Some(failure) =
                finish::failure_of(&reason, candidate.finish_message.as_deref(), self.failing)
        {
            return Err(StreamFaultKind::Upstream(Box::new(failure)));
        }
        if let Some(finish) = finish::finish_of(&reason, has_calls) {
            self.finish(choice, finish, events);
        }
        Ok(())
    }

    /// Some models give the reason in every chunk from the first on.
    fn finish(&mut self, choice: u32, finish: Finish, events: &mut Vec<Event>) {
        let progress = self.choices.entry(choice).or_default();
        if !std::mem::replace(&mut progress.is_finished, true) {
            events.push(Event::Finish {
                choice,
                finish,
                stop_sequence: None,
            });
        }
    }
}

impl Progress {
    fn read_part(&mut self, choice: u32, part: Part<'_>, events: &mut Vec<Event>) {
        self.says_something |= part.says_something();
        let Part {
            text,
            thought,
            thought_signature,
            function_call,
            ..
        } = part;
        let signature = thought_signature.and_then(|data| Proof::new(OWN, data));
        if let Some(call) = function_call {
            self.read_call(choice, call, signature, events);
            return;
        }
        let text = text.filter(|text| !text.is_empty());
        if thought == Some(true) {
            self.has_unsigned_thoughts |= text.is_some();
            events.extend(text.map(|text| Event::Thinking { choice, text }));
            self.sign(choice, signature, events);
            return;
        }
        // The answer may carry the signature of the thoughts right before it; that of an answer without any is not
        // insisted on.
        if self.has_unsigned_thoughts {
            self.sign(choice, signature, events);
        }
        if let Some(text) = text {
            self.has_unsigned_thoughts = false;
            events.push(Event::Text { choice, text });
        }
    }

    fn sign(&mut self, choice: u32, signature: Option<Proof>, events: &mut Vec<Event>) {
        if let Some(signature) = signature {
            self.has_unsigned_thoughts = false;
            events.push(Event::ThinkingSignature { choice, signature });
        }
    }

    fn read_call(
        &mut self,
        choice: u32,
        function_call: FunctionCall<'_>,
        signature: Option<Proof>,
        events: &mut Vec<Event>,
    ) {
        let json = function_call.arguments();
        let id = function_call.id.unwrap_or_default();
        let name = function_call.name.unwrap_or_default();
        // A call may be told once more, without what it was told with first.
        if name.is_empty() || self.call_ids.contains(&id) {
            return;
        }
        if !id.is_empty() {
            self.call_ids.push(id.clone());
        }
        self.has_unsigned_thoughts = false;
        let call = self.n_calls;
        self.n_calls += 1;
        events.push(Event::ToolCall {
            choice,
            call,
            id,
            name,
            signature,
        });
        events.push(Event::ToolArguments { choice, call, json });
    }
}

/// What a frame is that does not read as a chunk.
fn fault_of(frame: &[u8]) -> StreamFaultKind {
    match UpstreamError::parse(frame) {
        Some(error) => StreamFaultKind::Upstream(Box::new(error)),
        None => StreamFaultKind::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// What `chunks` tell, without the start.
    fn events(chunks: &[Value]) -> Vec<Event> {
        let mut reader = Reader::default();
        let mut events = Vec::new();
        for chunk in chunks {
            reader
                .read(chunk.to_string().as_bytes(), &mut events)
                .unwrap();
        }
        events.retain(|event| !matches!(event, Event::Start { .. }));
        events
    }

    fn fault(frame: &str) -> StreamFaultKind {
        Reader::default()
            .read(frame.as_bytes(), &mut Vec::new())
            .unwrap_err()
    }

    /// A chunk with one part.
    fn part(part: &Value) -> Value {
        json!({"candidates": [{"content": {"parts": [part], "role": "model"}}]})
    }

    fn call(call: u32, id: &str, signature: Option<&str>) -> [Event; 2] {
        [
            Event::ToolCall {
                choice: 0,
                call,
                id: id.to_owned(),
                name: "f".to_owned(),
                signature: signature.and_then(|data| Proof::new(OWN, data.to_owned())),
            },
            Event::ToolArguments {
                choice: 0,
                call,
                json: "{}".to_owned(),
            },
        ]
    }

    fn finish(finish: Finish) -> Event {
        Event::Finish {
            choice: 0,
            finish,
            stop_sequence: None,
        }
    }

    #[test]
    fn every_call_is_another_one_wherever_it_stands_in_its_chunk() {
        let function_call = json!({"functionCall": {"name": "f", "args": {}}});

        let events = events(&[
            part(&function_call),
            part(&function_call),
            json!({"candidates": [{"finishReason": "STOP"}]}),
        ]);

        let expected = [
            &call(0, "", None)[..],
            &call(1, "", None),
            &[finish(Finish::ToolCalls)],
        ];
        assert_eq!(events, expected.concat());
    }

    #[test]
    fn a_call_that_is_told_again_keeps_its_signature() {
        let function_call = json!({"id": "x", "name": "f", "args": {}});

        let events = events(&[
            part(&json!({"functionCall": function_call, "thoughtSignature": "c2ln"})),
            part(&json!({"functionCall": function_call})),
        ]);

        assert_eq!(events, call(0, "x", Some("c2ln")));
    }

    #[test]
    fn a_signature_of_the_answer_is_of_the_thoughts_before_it() {
        let text = |text: &str| Event::Text {
            choice: 0,
            text: text.to_owned(),
        };

        let events = events(&[
            part(&json!({"text": "hm", "thought": true})),
            part(&json!({"text": "Hi", "thoughtSignature": "c2ln"})),
            part(&json!({"text": "!", "thoughtSignature": "b3RoZXI="})),
        ]);

        let thinking = Event::Thinking {
            choice: 0,
            text: "hm".to_owned(),
        };
        let signature = Event::ThinkingSignature {
            choice: 0,
            signature: Proof {
                by: OWN,
                data: "c2ln".to_owned(),
            },
        };
        assert_eq!(events, [thinking, signature, text("Hi"), text("!")]);
    }

    #[test]
    fn an_answer_finishes_once_though_every_chunk_says_so() {
        let chunk = json!({"candidates": [{"finishReason": "STOP"}]});

        assert_eq!(events(&[chunk.clone(), chunk]), [finish(Finish::Stop)]);
    }

    #[test]
    fn an_answer_that_failed_is_a_fault_only_if_nothing_was_said() {
        let failed = json!({"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL", "finishMessage": "m"}]});

        let StreamFaultKind::Upstream(error) = fault(&failed.to_string()) else {
            panic!("{failed}")
        };
        let said = events(&[part(&json!({"text": "Hi"})), failed]);

        assert_eq!(error.status, Some(502));
        assert!(
            error.message.ends_with("nothing said: m"),
            "{}",
            error.message
        );
        assert_eq!(said.last(), Some(&finish(Finish::Stop)));
    }

    #[test]
    fn an_image_or_code_is_an_answer_too() {
        let failed = json!({"candidates": [{"finishReason": "TOO_MANY_TOOL_CALLS"}]});

        for said in [
            json!({"inlineData": {"mimeType": "image/png", "data": "aGk="}}),
            json!({"executableCode": {"language": "PYTHON", "code": "1"}}),
            json!({"codeExecutionResult": {"outcome": "OUTCOME_OK"}}),
        ] {
            assert_eq!(
                events(&[part(&said), failed.clone()]),
                [finish(Finish::Stop)]
            );
        }
        assert!(matches!(
            fault(&failed.to_string()),
            StreamFaultKind::Upstream(_)
        ));
    }

    #[test]
    fn to_googles_own_clients_only_the_models_mistakes_are_failures() {
        let observe = |reason: &str| {
            let frame = json!({"candidates": [{"finishReason": reason}]}).to_string();
            Reader::observing().read(frame.as_bytes(), &mut Vec::new())
        };

        assert_eq!(observe("NO_IMAGE"), Ok(()));
        assert_eq!(observe("OTHER"), Ok(()));
        assert!(observe("MALFORMED_FUNCTION_CALL").is_err());
    }

    #[test]
    fn a_blocked_prompt_is_an_empty_answer() {
        let chunk = json!({"promptFeedback": {"blockReason": "SAFETY"}});

        assert_eq!(events(&[chunk]), [finish(Finish::ContentFilter)]);
    }

    #[test]
    fn an_odd_report_of_usage_does_not_spoil_the_answer() {
        let chunk = json!({"candidates": [{"finishReason": "STOP"}], "usageMetadata": "many"});

        assert_eq!(events(&[chunk]), [finish(Finish::Stop)]);
    }

    #[test]
    fn keep_alives_tell_nothing() {
        assert_eq!(events(&[json!({})]), []);
    }

    #[test]
    fn errors_are_told_with_and_without_an_array_around_them() {
        for frame in [
            r#"{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}"#,
            r#"[{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}]"#,
        ] {
            let StreamFaultKind::Upstream(error) = fault(frame) else {
                panic!("{frame}")
            };
            assert_eq!(error.status, Some(503));
        }
    }

    #[test]
    fn what_is_of_another_dialect_is_malformed() {
        for frame in [
            "",
            "[DONE]",
            "<html>",
            "7",
            "[]",
            r#"{"choices":[]}"#,
            r#"{"candidates":7}"#,
        ] {
            assert_eq!(fault(frame), StreamFaultKind::Malformed, "{frame}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(frame in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = Reader::default().read(&frame, &mut Vec::new());
        }
    }
}
