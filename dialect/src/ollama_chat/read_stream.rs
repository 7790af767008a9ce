//! An upstream's stream → events.

use super::answer::Answer;
use crate::ReplyFault;
use crate::canon::{Event, StreamReader};
use crate::relay::StreamFaultKind;

#[derive(Debug, Default)]
pub(crate) struct Reader {
    is_started: bool,
    n_calls: u32,
}

impl StreamReader for Reader {
    fn read(&mut self, frame: &[u8], events: &mut Vec<Event>) -> Result<(), StreamFaultKind> {
        let mut answer = Answer::parse(frame).map_err(|fault| match fault {
            ReplyFault::Upstream(error) => StreamFaultKind::Upstream(error),
            ReplyFault::NotJson | ReplyFault::NoAnswer => StreamFaultKind::Malformed,
        })?;
        if !std::mem::replace(&mut self.is_started, true) {
            events.push(Event::Start {
                id: None,
                model: answer.model.take(),
            });
        }
        let mut said = answer.take_said().unwrap_or_default();
        let thinking = said.take_thinking();
        events.extend(thinking.map(|text| Event::Thinking { choice: 0, text }));
        let text = said.take_text();
        events.extend(text.map(|text| Event::Text { choice: 0, text }));
        let logprobs = answer.take_logprobs();
        events.extend(logprobs.map(|logprobs| Event::Logprobs {
            choice: 0,
            logprobs,
        }));
        // Calls come whole, in one line or several.
        for call in said.take_calls() {
            events.push(Event::ToolCall {
                choice: 0,
                call: self.n_calls,
                id: call.id,
                name: call.name,
                signature: None,
            });
            events.push(Event::ToolArguments {
                choice: 0,
                call: self.n_calls,
                json: call.arguments,
            });
            self.n_calls += 1;
        }
        if answer.is_done() {
            events.push(Event::Finish {
                choice: 0,
                finish: answer.finish(self.n_calls > 0),
                stop_sequence: None,
            });
            events.extend(answer.usage().map(Event::Usage));
            events.push(Event::Done);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::canon::Finish;

    fn read(lines: &[&str]) -> Result<Vec<Event>, StreamFaultKind> {
        let mut reader = Reader::default();
        let mut events = Vec::new();
        for line in lines {
            reader.read(line.as_bytes(), &mut events)?;
        }
        Ok(events)
    }

    #[test]
    fn calls_are_counted_over_all_lines() {
        let events = read(&[
            r#"{"message":{"tool_calls":[{"function":{"name":"a","arguments":{}}}]},"done":false}"#,
            r#"{"message":{"tool_calls":[{"function":{"name":"b","arguments":{}}}]},"done":false}"#,
            r#"{"message":{"content":""},"done":true,"done_reason":"stop"}"#,
        ])
        .unwrap();

        let numbers: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                Event::ToolCall { call, name, .. } => Some((*call, name.as_str())),
                _ => None,
            })
            .collect();
        assert_eq!(numbers, [(0, "a"), (1, "b")]);
        assert!(events.contains(&Event::Finish {
            choice: 0,
            finish: Finish::ToolCalls,
            stop_sequence: None
        }));
    }

    #[test]
    fn a_line_of_something_else_is_malformed() {
        for line in ["data: {}", "{}", r#"{"status":"pulling"}"#, "[1]", "null"] {
            assert_eq!(read(&[line]), Err(StreamFaultKind::Malformed), "{line}");
        }
    }

    #[test]
    fn an_error_in_the_stream_tells_its_status() {
        let fault = read(&[r#"{"error":"out of memory","status":500}"#]).unwrap_err();

        let StreamFaultKind::Upstream(error) = fault else {
            panic!("{fault:?}")
        };
        assert_eq!(
            (&*error.message, error.status),
            ("out of memory", Some(500))
        );
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line in ".{0,64}", field in "[a-z_]{1,20}") {
            let _ = read(&[&line]);
            let _ = read(&[&format!("{{\"{field}\":{line}}}")]);
        }
    }
}
