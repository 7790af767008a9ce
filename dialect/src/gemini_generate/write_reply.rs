//! The canonical form → a whole answer for a client.

use super::finish;
use super::logprobs::LogprobsResult;
use super::outgoing::{Answer, Candidate, Content, Part as WrittenPart, told, told_call};
use super::usage::UsageMetadata;
use crate::canon::{AnswerFacts, Choice, Part, Reply};

pub(crate) fn write_reply(mut reply: Reply, facts: &AnswerFacts) -> Vec<u8> {
    let logprobs: Vec<Option<LogprobsResult>> = reply
        .choices
        .iter_mut()
        .map(|choice| choice.logprobs.as_mut().map(LogprobsResult::of_openai))
        .collect();
    let choices = (0..).zip(&reply.choices).zip(logprobs);
    let candidates = choices.map(|((index, choice), logprobs_result)| Candidate {
        index,
        logprobs_result,
        ..candidate(choice)
    });
    let answer = Answer {
        candidates: candidates.collect(),
        usage_metadata: reply.usage.map(UsageMetadata::from),
        model_version: reply.model.as_deref().unwrap_or(&facts.model),
        response_id: &facts.request_id,
    };
    serde_json::to_vec(&answer).unwrap_or_default()
}

fn candidate(choice: &Choice) -> Candidate<'_> {
    let mut finish_reason = finish::reason_of(choice.finish);
    let mut finish_message = None;
    let mut parts = Vec::new();
    let mut is_signed = false;
    for part in &choice.parts {
        match part {
            Part::Text(text) | Part::Refusal(text) => parts.push(WrittenPart::text(text)),
            Part::Thinking { text, signature } => {
                parts.push(WrittenPart::thinking(text, signature.as_ref().map(told)));
            }
            Part::ToolCall(call) => match told_call(call, &mut is_signed) {
                Some(part) => parts.push(part),
                // As Google does where its own model wrote no object.
                None => {
                    finish_reason = finish::MALFORMED_CALL;
                    finish_message = Some(finish::malformed_call(&call.name, &call.arguments));
                }
            },
            // What only its provider can read, and what no answer has.
            Part::RedactedThinking(_)
            | Part::Image { .. }
            | Part::Audio { .. }
            | Part::File { .. }
            | Part::ToolResult(_) => {}
        }
    }
    Candidate {
        content: Some(Content::of_model(parts)),
        finish_reason: Some(finish_reason),
        finish_message,
        ..Candidate::default()
    }
}
