//! The canonical form → a whole answer for a client.

use super::line::{End, Lines, Said};
use crate::canon::{AnswerFacts, Finish, Part, Reply};

/// Writes the first of the choices: Ollama's answers have one.
pub(crate) fn write_reply(reply: Reply, facts: &AnswerFacts) -> Vec<u8> {
    let mut lines = Lines::new(facts.clone());
    if let Some(model) = reply.model {
        lines.set_model(model);
    }
    let mut end = End {
        finish: Finish::Stop,
        usage: reply.usage,
    };
    let (mut text, mut thinking, mut calls) = (String::new(), String::new(), Vec::new());
    let mut logprobs = None;
    if let Some(choice) = reply.choices.into_iter().next() {
        end.finish = choice.finish;
        logprobs = choice.logprobs;
        for part in choice.parts {
            match part {
                Part::Text(piece) | Part::Refusal(piece) => text.push_str(&piece),
                Part::Thinking { text: piece, .. } => thinking.push_str(&piece),
                Part::ToolCall(call) => calls.push(call),
                Part::RedactedThinking(_)
                | Part::Image { .. }
                | Part::Audio { .. }
                | Part::File { .. }
                | Part::ToolResult(_) => {}
            }
        }
    }
    let said = Said {
        text: &text,
        thinking: &thinking,
        calls: &calls,
        logprobs: logprobs.as_ref(),
    };
    let mut out = Vec::new();
    lines.write(&said, Some(&end), &mut out);
    out
}
