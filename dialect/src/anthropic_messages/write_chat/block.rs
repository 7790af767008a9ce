//! Parts → content blocks.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::BadRequest;
use crate::anthropic_messages::plain_text;
use crate::canon::{Losses, Part, Role, Source, ToolCall, ToolResult, call_id};

/// Which part of which message is meant; [`fmt::Display`] tells it as clients know it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) message: usize,
    pub(super) part: usize,
}

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

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { message, part } = self;
        write!(formatter, "messages[{message}].content[{part}]")
    }
}

impl<'a> Block<'a> {
    pub(super) fn text(text: Cow<'a, str>) -> Self {
        Self::Text { text }
    }

    /// `None` for a part that says nothing here: empty text, which the API refuses, and thoughts without the signature
    /// that it demands.
    pub(super) fn of(
        part: &'a Part,
        role: Role,
        place: Place,
        losses: &Losses,
    ) -> Result<Option<Self>, BadRequest> {
        let block = match part {
            Part::Text(text) | Part::Refusal(text) if text.trim().is_empty() => None,
            Part::Text(text) | Part::Refusal(text) => Some(Self::text(Cow::Borrowed(text))),
            Part::Thinking { text, signature } => {
                let signature = signature
                    .as_deref()
                    .filter(|signature| !signature.is_empty());
                signature.map(|signature| Self::Thinking {
                    thinking: text,
                    signature,
                })
            }
            Part::RedactedThinking(data) => Some(Self::RedactedThinking { data }),
            Part::ToolCall(call) => Some(Self::of_call(call, place)?),
            Part::ToolResult(result) => Some(Self::of_result(result, place, losses)?),
            // How close to look at it is a hint, and here there is but one way to look.
            Part::Image { source, detail: _ } if role != Role::Assistant => {
                BlockSource::of_image(source).map(|source| Self::Image { source })
            }
            Part::File { source, name } if role != Role::Assistant => {
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
            losses.lose_named(&place.to_string())?;
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

    fn of_call(call: &'a ToolCall, place: Place) -> Result<Self, BadRequest> {
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
            _ => {
                let message = place.message;
                let field = format!("messages[{message}].tool_calls");
                let expected = format!(
                    "arguments of `{}` that are a JSON object, as the upstream demands",
                    call.name
                );
                Err(BadRequest::invalid(&field, &expected))
            }
        }
    }

    fn of_result(
        result: &'a ToolResult,
        place: Place,
        losses: &Losses,
    ) -> Result<Self, BadRequest> {
        let mut content = Vec::with_capacity(result.parts.len());
        for part in &result.parts {
            content.extend(Self::of(part, Role::Tool, place, losses)?);
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
            Source::Data { media_type, base64 } if media_type == plain_text::MEDIA_TYPE => {
                let data = plain_text::of_base64(base64)?;
                Some(Self::Text { media_type, data })
            }
            Source::Data { media_type, .. } if media_type != "application/pdf" => None,
            source => Self::of_image(source),
        }
    }
}
