//! Messages → turns: user and assistant by turns, each with all that was said in it.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::super::OWN;
use super::media::{self, Document, Media};
use crate::BadRequest;
use crate::canon::{
    Chat, Losses, Message, Part, Role, ToolCall, ToolResult, between_turns, call_id,
};

/// The longest id that a call may have.
const CALL_ID_BYTES_MAX: usize = 64;

pub(super) struct Turns<'a> {
    pub(super) system: Vec<Block<'a>>,
    pub(super) messages: Vec<Turn<'a>>,
}

#[derive(Serialize)]
pub(super) struct Turn<'a> {
    role: Speaker,
    content: Vec<Block<'a>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Speaker {
    User,
    Assistant,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Block<'a> {
    Text(Cow<'a, str>),
    Image(Media<'a>),
    Audio(Media<'a>),
    Video(Media<'a>),
    Document(Document<'a>),
    ReasoningContent(Reasoning<'a>),
    #[serde(rename_all = "camelCase")]
    ToolUse {
        tool_use_id: Cow<'a, str>,
        name: &'a str,
        input: Box<RawValue>,
    },
    #[serde(rename_all = "camelCase")]
    ToolResult {
        tool_use_id: Cow<'a, str>,
        content: Vec<Self>,
        /// Not every model knows it, so it is only there where it says something.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<&'static str>,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Reasoning<'a> {
    ReasoningText { text: &'a str, signature: &'a str },
    RedactedContent(&'a str),
}

/// Writes blocks.
struct BlockWriter<'l> {
    losses: &'l Losses,
    documents: media::DocumentNames,
}

impl<'a> Turns<'a> {
    /// System messages before the first turn become the system prompt. One between turns stays in its place, as text
    /// between `<system>` tags in the user's turn there: models behind Converse know no other. Where there are no other
    /// messages at all, the user's turn is theirs.
    ///
    /// # Errors
    ///
    /// What cannot be told.
    pub(super) fn of(chat: &'a Chat, losses: &Losses) -> Result<Self, BadRequest> {
        let mut turns = Self {
            system: Vec::new(),
            messages: Vec::new(),
        };
        let mut writer = BlockWriter {
            losses,
            documents: media::DocumentNames::default(),
        };
        for (index, message) in chat.messages.iter().enumerate() {
            turns.add(index, message, &mut writer)?;
        }
        if turns.messages.is_empty() && !turns.system.is_empty() {
            turns.messages.push(Turn {
                role: Speaker::User,
                content: std::mem::take(&mut turns.system),
            });
        }
        for turn in &mut turns.messages {
            // Results answer the turn before, and models refuse them behind anything else.
            let is_result = |block: &Block<'_>| matches!(block, Block::ToolResult { .. });
            turn.content.sort_by_key(|block| !is_result(block));
        }
        Ok(turns)
    }

    /// Whether there is a call or a result.
    pub(super) fn have_tools(&self) -> bool {
        let mut blocks = self.messages.iter().flat_map(|turn| &turn.content);
        blocks.any(|block| matches!(block, Block::ToolUse { .. } | Block::ToolResult { .. }))
    }

    fn add(
        &mut self,
        index: usize,
        message: &'a Message,
        writer: &mut BlockWriter<'_>,
    ) -> Result<(), BadRequest> {
        if message.name.is_some() {
            writer.losses.lose_name(index)?;
        }
        let (role, blocks) = match message.role {
            Role::System => {
                let texts = writer.texts(&message.parts)?;
                if self.messages.is_empty() {
                    self.system.extend(texts.into_iter().map(Block::Text));
                    return Ok(());
                }
                let is_empty = texts.is_empty();
                let text = between_turns(&texts);
                let block = (!is_empty).then_some(Block::Text(Cow::Owned(text)));
                (Speaker::User, block.into_iter().collect())
            }
            Role::User | Role::Tool => (Speaker::User, writer.blocks(&message.parts)?),
            // Whoever speaks first is refused, unless it is the user.
            Role::Assistant if self.messages.is_empty() => {
                return Ok(writer.losses.lose_first_answer()?);
            }
            Role::Assistant => (Speaker::Assistant, writer.blocks(&message.parts)?),
        };
        match self.messages.last_mut() {
            Some(last) if last.role == role => last.content.extend(blocks),
            // Without a word there was no turn.
            _ if blocks.is_empty() => {}
            _ => self.messages.push(Turn {
                role,
                content: blocks,
            }),
        }
        Ok(())
    }
}

impl<'a> Block<'a> {
    pub(super) fn text(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl BlockWriter<'_> {
    /// The texts of what the system said, which is nothing else.
    fn texts<'a>(&mut self, parts: &'a [Part]) -> Result<Vec<Cow<'a, str>>, BadRequest> {
        let mut texts = Vec::with_capacity(parts.len());
        for part in parts {
            match self.block(part)? {
                Some(Block::Text(text)) => texts.push(text),
                Some(_) => self.losses.lose_part(part)?,
                None => {}
            }
        }
        Ok(texts)
    }

    fn blocks<'a>(&mut self, parts: &'a [Part]) -> Result<Vec<Block<'a>>, BadRequest> {
        let mut blocks = Vec::with_capacity(parts.len());
        for part in parts {
            blocks.extend(self.block(part)?);
        }
        Ok(blocks)
    }

    fn block<'a>(&mut self, part: &'a Part) -> Result<Option<Block<'a>>, BadRequest> {
        let block = match part {
            // Blank texts are refused.
            Part::Text(text) | Part::Refusal(text) => {
                return Ok((!text.trim().is_empty()).then(|| Block::text(text)));
            }
            // How close to look at it is a hint, and here there is but one way to look.
            Part::Image { source, .. } => media::image(source).map(Block::Image),
            Part::Audio {
                data, media_type, ..
            } => media::audio(data, media_type).map(Block::Audio),
            Part::File { source, name, .. } => match media::video(source) {
                Some(video) => Some(Block::Video(video)),
                None => {
                    let document = media::document(source, name.as_deref(), &mut self.documents);
                    document.map(Block::Document)
                }
            },
            // Another provider's thoughts, or nobody's, prove nothing.
            Part::Thinking { text, signature } => {
                let signature = signature.as_ref().and_then(|proof| proof.of(OWN));
                return Ok(signature.map(|signature| {
                    Block::ReasoningContent(Reasoning::ReasoningText { text, signature })
                }));
            }
            Part::RedactedThinking(sealed) => {
                let data = sealed.of(OWN);
                return Ok(
                    data.map(|data| Block::ReasoningContent(Reasoning::RedactedContent(data)))
                );
            }
            Part::ToolCall(call) => Some(tool_use(call, self.losses)?),
            Part::ToolResult(result) => Some(self.tool_result(result)?),
        };
        if block.is_none() {
            self.losses.lose_part(part)?;
        }
        Ok(block)
    }

    fn tool_result<'a>(&mut self, result: &'a ToolResult) -> Result<Block<'a>, BadRequest> {
        let ToolResult {
            call_id,
            // The id tells which call it answers.
            name: _,
            parts,
            is_error,
        } = result;
        Ok(Block::ToolResult {
            tool_use_id: call_id::short(call_id, CALL_ID_BYTES_MAX),
            content: self.blocks(parts)?,
            status: is_error.then_some("error"),
        })
    }
}

fn tool_use<'a>(call: &'a ToolCall, losses: &Losses) -> Result<Block<'a>, BadRequest> {
    let ToolCall {
        id,
        name,
        arguments,
        // Gemini's, and of no use to anyone else.
        signature: _,
    } = call;
    let arguments = match arguments.trim() {
        "" => "{}",
        arguments => arguments,
    };
    let input = arguments
        .starts_with('{')
        .then(|| serde_json::from_str(arguments).ok())
        .flatten();
    match input {
        Some(input) => Ok(Block::ToolUse {
            tool_use_id: call_id::short(id, CALL_ID_BYTES_MAX),
            name,
            input,
        }),
        None => Err(losses.no_object(call)),
    }
}
