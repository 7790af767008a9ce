//! Messages → turns: user and assistant by turns, each with all that was said in it.

use serde::Serialize;
use serde_json::value::RawValue;

use super::super::OWN;
use super::media::{self, Document, Media};
use crate::BadRequest;
use crate::canon::{Chat, Losses, Message, Part, Role, ToolCall, ToolResult};

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
    Text(&'a str),
    Image(Media<'a>),
    Audio(Media<'a>),
    Video(Media<'a>),
    Document(Document<'a>),
    ReasoningContent(Reasoning<'a>),
    #[serde(rename_all = "camelCase")]
    ToolUse {
        tool_use_id: &'a str,
        name: &'a str,
        input: Box<RawValue>,
    },
    #[serde(rename_all = "camelCase")]
    ToolResult {
        tool_use_id: &'a str,
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
    /// System messages before the first turn become the system prompt. One between turns stays in its place, as text of
    /// the user's turn there: models behind Converse know no other.
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
        if message.role == Role::System && self.messages.is_empty() {
            for part in &message.parts {
                match writer.block(part)? {
                    Some(block @ Block::Text(_)) => self.system.push(block),
                    Some(_) => writer.losses.lose_part(part)?,
                    None => {}
                }
            }
            return Ok(());
        }
        let blocks = writer.blocks(&message.parts)?;
        let role = match message.role {
            Role::System | Role::User | Role::Tool => Speaker::User,
            Role::Assistant => Speaker::Assistant,
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

impl BlockWriter<'_> {
    fn blocks<'a>(&mut self, parts: &'a [Part]) -> Result<Vec<Block<'a>>, BadRequest> {
        let mut blocks = Vec::with_capacity(parts.len());
        for part in parts {
            blocks.extend(self.block(part)?);
        }
        Ok(blocks)
    }

    fn block<'a>(&mut self, part: &'a Part) -> Result<Option<Block<'a>>, BadRequest> {
        let block = match part {
            // Empty texts are refused.
            Part::Text(text) | Part::Refusal(text) => {
                return Ok((!text.is_empty()).then_some(Block::Text(text)));
            }
            Part::Image {
                source,
                detail,
                origin,
            } => {
                // Images are always looked at as a whole.
                if detail.as_deref() == Some("low") {
                    self.losses.lose_detail(origin)?;
                }
                media::image(source).map(Block::Image)
            }
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
            tool_use_id: call_id,
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
            tool_use_id: id,
            name,
            input,
        }),
        None => Err(losses.no_object(call)),
    }
}
