//! Messages → turns that alternate, the user's first.
//!
//! System messages before all others become `system`. Later ones have no place of their own on the version of the API
//! that is asked: they go as text, between `<system>` tags, into the user's turn around them or after them. Where there
//! are no other messages at all, the user's turn is theirs.

use std::borrow::Cow;

use serde::Serialize;

use super::block::Block;
use crate::BadRequest;
use crate::canon::{Losses, Message, Part, Role, Unsupported, between_turns};

pub(super) struct Conversation<'a> {
    pub(super) system: Option<String>,
    pub(super) turns: Vec<Turn<'a>>,
}

#[derive(Serialize)]
pub(super) struct Turn<'a> {
    role: Speaker,
    content: Vec<Block<'a>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Speaker {
    User,
    Assistant,
}

impl<'a> Conversation<'a> {
    pub(super) fn of(messages: &'a [Message], losses: &Losses) -> Result<Self, BadRequest> {
        let is_system = |message: &Message| message.role == Role::System;
        let n_leading = messages.iter().take_while(|one| is_system(one)).count();
        let mut leading = Vec::new();
        let mut turns = Vec::new();
        for (index, message) in messages.iter().enumerate() {
            if message.name.is_some() {
                losses.lose_name(index)?;
            }
            if !is_system(message) {
                push_message(message, &mut turns, losses)?;
                continue;
            }
            let texts = system_texts(message, losses)?;
            if index < n_leading {
                leading.extend(texts);
            } else if !texts.is_empty() {
                let text = Block::text(Cow::Owned(between_turns(&texts)));
                push(&mut turns, Speaker::User, vec![text]);
            }
        }
        turns.iter_mut().for_each(Turn::put_results_first);
        trim_end(&mut turns);

        let system = (!leading.is_empty()).then(|| leading.join("\n\n"));
        match system {
            Some(text) if turns.is_empty() => Ok(Self {
                system: None,
                turns: vec![Turn {
                    role: Speaker::User,
                    content: vec![Block::text(Cow::Owned(text))],
                }],
            }),
            system => Ok(Self { system, turns }),
        }
    }

    /// Whether the assistant's last turn calls tools without a thought before, after which the API refuses a budget for
    /// thoughts.
    pub(super) fn has_unthought_calls(&self) -> bool {
        let mut turns = self.turns.iter().rev();
        let last = turns.find(|turn| turn.role == Speaker::Assistant);
        last.is_some_and(|turn| {
            let begins_with_thoughts = turn.content.first().is_some_and(Block::is_thought);
            !begins_with_thoughts && turn.content.iter().any(Block::is_tool_use)
        })
    }
}

impl Turn<'_> {
    /// The API finds the answers to an assistant's calls only there.
    fn put_results_first(&mut self) {
        self.content.sort_by_key(|block| !block.is_tool_result());
    }
}

fn push_message<'a>(
    message: &'a Message,
    turns: &mut Vec<Turn<'a>>,
    losses: &Losses,
) -> Result<(), BadRequest> {
    let speaker = match message.role {
        Role::Assistant => Speaker::Assistant,
        Role::User | Role::Tool | Role::System => Speaker::User,
    };
    if speaker == Speaker::Assistant && turns.is_empty() {
        losses.lose_first_answer()?;
        return Ok(());
    }
    let mut blocks = Vec::with_capacity(message.parts.len());
    for part in &message.parts {
        blocks.extend(Block::of(part, message.role, losses)?);
    }
    push(turns, speaker, blocks);
    Ok(())
}

fn push<'a>(turns: &mut Vec<Turn<'a>>, role: Speaker, content: Vec<Block<'a>>) {
    match turns.last_mut() {
        _ if content.is_empty() => {}
        Some(last) if last.role == role => last.content.extend(content),
        _ => turns.push(Turn { role, content }),
    }
}

fn system_texts<'a>(message: &'a Message, losses: &Losses) -> Result<Vec<&'a str>, Unsupported> {
    let mut texts = Vec::with_capacity(message.parts.len());
    for part in &message.parts {
        match part {
            Part::Text(text) if text.trim().is_empty() => {}
            Part::Text(text) => texts.push(&**text),
            _ => losses.lose_part(part)?,
        }
    }
    Ok(texts)
}

/// An assistant's turn that the model is to go on with must not end in white space.
fn trim_end(turns: &mut Vec<Turn<'_>>) {
    let Some(last) = turns.last_mut() else {
        return;
    };
    if last.role == Speaker::Assistant
        && let Some(block) = last.content.last_mut()
    {
        block.trim_end();
    }
}
