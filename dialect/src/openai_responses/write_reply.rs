//! The canonical form → a whole answer for a client.

use super::item::{
    Call, Content, Item, Message, Status, Summary, Thought, encrypted, logprobs_list,
};
use super::output::{Response, response_id};
use crate::canon::{AnswerFacts, Choice, Finish, Part, Reply};

/// Of several answers only the first is written: requests of this dialect cannot ask for more.
pub(crate) fn write_reply(reply: Reply, facts: &AnswerFacts) -> Vec<u8> {
    let choice = reply.choices.into_iter().next();
    let finish = choice.as_ref().map_or(Finish::Stop, |choice| choice.finish);
    let items = choice.map_or_else(Vec::new, |choice| items(choice, facts));
    let id = response_id(reply.id, facts);
    let model = reply.model.as_ref().unwrap_or(&facts.model);
    let response = Response::new(&id, model, facts.created, &items, Some(finish), reply.usage);
    // Nothing in it can fail to be written.
    serde_json::to_vec(&response).unwrap_or_default()
}

fn items(choice: Choice, facts: &AnswerFacts) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    for part in choice.parts {
        let index = items.len();
        match part {
            Part::Text(text) => say(&mut items, facts, Content::text(text)),
            Part::Refusal(refusal) => say(&mut items, facts, Content::Refusal { refusal }),
            Part::Thinking { text, signature } => items.push(Item::Reasoning(Thought {
                summary: vec![Summary { text }],
                encrypted_content: signature.as_ref().map(encrypted),
                ..Thought::new(facts, index)
            })),
            Part::RedactedThinking(sealed) => items.push(Item::Reasoning(Thought {
                encrypted_content: Some(encrypted(&sealed)),
                ..Thought::new(facts, index)
            })),
            Part::ToolCall(call) => {
                let signature = call.signature.as_ref();
                items.push(Item::FunctionCall(Call {
                    arguments: call.arguments,
                    ..Call::new(facts, index, &call.id, call.name, signature)
                }));
            }
            Part::Image { .. } | Part::Audio { .. } | Part::File { .. } | Part::ToolResult(_) => {}
        }
    }
    if let Some(logprobs) = choice.logprobs {
        add_logprobs(&mut items, logprobs_list(logprobs));
    }
    let n_items = items.len();
    for (index, item) in items.iter_mut().enumerate() {
        item.end(match index + 1 == n_items {
            true => Status::of(choice.finish),
            false => Status::Completed,
        });
    }
    items
}

/// Texts beside each other are one message.
fn say(items: &mut Vec<Item>, facts: &AnswerFacts, content: Content) {
    match items.last_mut() {
        Some(Item::Message(message)) => message.content.push(content),
        _ => items.push(Item::Message(Message {
            content: vec![content],
            ..Message::new(facts, items.len())
        })),
    }
}

/// They are of all texts together, and belong to one here.
fn add_logprobs(items: &mut [Item], list: Vec<serde_json::Value>) {
    let messages = items.iter_mut().filter_map(|item| match item {
        Item::Message(message) => Some(message),
        Item::Reasoning(_) | Item::FunctionCall(_) => None,
    });
    let mut contents = messages.flat_map(|message| &mut message.content);
    let first = contents.find_map(|content| match content {
        Content::OutputText { logprobs, .. } => Some(logprobs),
        Content::Refusal { .. } => None,
    });
    if let Some(logprobs) = first {
        *logprobs = list;
    }
}

#[cfg(test)]
mod tests;
