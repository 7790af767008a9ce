//! Parts → content blocks.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::anthropic_messages::{OWN, PLAIN_TEXT};
use crate::canon::{Losses, Part, Role, Source, ToolCall, ToolResult, call_id};
use crate::{BadRequest, base64};

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block<'a> {
    Text {
        text: Cow<'a, str>,
    },
    Image {
        source: BlockSource<'a>,
    },
    Document {
        source: BlockSource<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'a str>,
    },
    Thinking {
        thinking: &'a str,
        signature: &'a str,
    },
    RedactedThinking {
        data: &'a str,
    },
    ToolUse {
        id: Cow<'a, str>,
        name: &'a str,
        input: &'a RawValue,
    },
    ToolResult {
        tool_use_id: Cow<'a, str>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        content: Vec<Self>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
    },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum BlockSource<'a> {
    Base64 {
        media_type: &'a str,
        data: &'a str,
    },
    /// The text itself.
    Text {
        media_type: &'a str,
        data: String,
    },
    Url {
        url: &'a str,
    },
}

impl<'a> Block<'a> {
    pub(super) fn text(text: Cow<'a, str>) -> Self {
        Self::Text { text }
    }

    /// `None` for a part that says nothing here: empty text, which the API refuses, and thoughts that it did not sign
    /// itself.
    pub(super) fn of(
        part: &'a Part,
        role: Role,
        losses: &Losses,
    ) -> Result<Option<Self>, BadRequest> {
        let block = match part {
            Part::Text(text) | Part::Refusal(text) if text.trim().is_empty() => None,
            Part::Text(text) | Part::Refusal(text) => Some(Self::text(Cow::Borrowed(text))),
            Part::Thinking { text, signature } => {
                let signature = signature.as_ref().and_then(|proof| proof.of(OWN));
                signature.map(|signature| Self::Thinking {
                    thinking: text,
                    signature,
                })
            }
            Part::RedactedThinking(sealed) => {
                sealed.of(OWN).map(|data| Self::RedactedThinking { data })
            }
            Part::ToolCall(call) => Some(Self::of_call(call, losses)?),
            Part::ToolResult(result) => Some(Self::of_result(result, losses)?),
            // How close to look at it is a hint, and here there is but one way to look.
            Part::Image { source, .. } if role != Role::Assistant => {
                BlockSource::of_image(source).map(|source| Self::Image { source })
            }
            Part::File { source, name, .. } if role != Role::Assistant => {
                let title = name.as_deref();
                BlockSource::of_document(source).map(|source| Self::Document { source, title })
            }
            Part::Image { .. } | Part::File { .. } | Part::Audio { .. } => None,
        };
        let is_file = matches!(
            part,
            Part::Image { .. } | Part::File { .. } | Part::Audio { .. }
        );
        if block.is_none() && is_file {
            losses.lose_part(part)?;
        }
        Ok(block)
    }

    pub(super) fn is_tool_result(&self) -> bool {
        matches!(self, Self::ToolResult { .. })
    }

    pub(super) fn is_tool_use(&self) -> bool {
        matches!(self, Self::ToolUse { .. })
    }

    pub(super) fn is_thought(&self) -> bool {
        matches!(self, Self::Thinking { .. } | Self::RedactedThinking { .. })
    }

    pub(super) fn trim_end(&mut self) {
        if let Self::Text { text } = self {
            match text {
                Cow::Borrowed(borrowed) => *borrowed = borrowed.trim_end(),
                Cow::Owned(owned) => owned.truncate(owned.trim_end().len()),
            }
        }
    }

    fn of_call(call: &'a ToolCall, losses: &Losses) -> Result<Self, BadRequest> {
        let arguments = match call.arguments.trim() {
            "" => "{}",
            arguments => arguments,
        };
        match serde_json::from_str::<&RawValue>(arguments) {
            Ok(input) if input.get().starts_with('{') => Ok(Self::ToolUse {
                id: call_id::plain(&call.id),
                name: &call.name,
                input,
            }),
            _ => Err(losses.no_object(call)),
        }
    }

    fn of_result(result: &'a ToolResult, losses: &Losses) -> Result<Self, BadRequest> {
        let mut content = Vec::with_capacity(result.parts.len());
        for part in &result.parts {
            content.extend(Self::of(part, Role::Tool, losses)?);
        }
        Ok(Self::ToolResult {
            tool_use_id: call_id::plain(&result.call_id),
            content,
            is_error: result.is_error,
        })
    }
}

impl<'a> BlockSource<'a> {
    /// `None` for an image that another provider keeps.
    fn of_image(source: &'a Source) -> Option<Self> {
        match source {
            Source::Url(url) => Some(Self::Url { url }),
            Source::Data { media_type, base64 } => Some(Self::Base64 {
                media_type,
                data: base64,
            }),
            Source::FileId(_) => None,
        }
    }

    /// `None` for what is neither PDF nor text, and for a document that another provider keeps.
    fn of_document(source: &'a Source) -> Option<Self> {
        match source {
            Source::Data { media_type, base64 } if media_type == PLAIN_TEXT => {
                let data = String::from_utf8(base64::decode(base64)?).ok()?;
                Some(Self::Text { media_type, data })
            }
            Source::Data { media_type, .. } if media_type != "application/pdf" => None,
            source => Self::of_image(source),
        }
    }
}
