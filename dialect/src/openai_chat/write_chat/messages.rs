//! The conversation so far.

use std::borrow::Cow;
use std::fmt;

use serde::{Serialize, Serializer};

use crate::canon::{
    Chat, Losses, Message, Part, Role, Source, ToolCall, ToolResult, Unsupported, between_turns,
    proof,
};
use crate::openai_chat::SIGNED_CALLS_ARE_OF;
use crate::openai_chat::manners::{AFTER_TOOLS, Habits};
use crate::openai_chat::shapes::CallShape;

#[derive(Serialize)]
pub(super) struct MessageShape<'a> {
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    content: Content<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<CallShape<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Null,
    Text(Cow<'a, str>),
    Parts(Vec<PartShape<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum PartShape<'a> {
    Text { text: Cow<'a, str> },
    ImageUrl { image_url: ImageShape<'a> },
    InputAudio { input_audio: AudioShape<'a> },
    File { file: FileShape<'a> },
}

#[derive(Serialize)]
struct ImageShape<'a> {
    url: Url<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

#[derive(Serialize)]
struct AudioShape<'a> {
    data: &'a str,
    format: &'static str,
}

#[derive(Default, Serialize)]
struct FileShape<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_data: Option<Url<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_id: Option<&'a str>,
}

/// Written straight out: data may be megabytes.
enum Url<'a> {
    Plain(&'a str),
    Data {
        media_type: &'a str,
        base64: &'a str,
    },
}

impl fmt::Display for Url<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(url) => formatter.write_str(url),
            Self::Data { media_type, base64 } => {
                write!(formatter, "data:{media_type};base64,{base64}")
            }
        }
    }
}

impl Serialize for Url<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What the writing of every message needs.
#[derive(Clone, Copy)]
struct Writing<'a> {
    habits: &'a Habits,
    losses: &'a Losses,
    /// Which message it is.
    index: usize,
}

pub(super) fn shapes<'a>(
    chat: &'a Chat,
    habits: &Habits,
    losses: &Losses,
) -> Result<Vec<MessageShape<'a>>, Unsupported> {
    let mut shapes = Vec::with_capacity(chat.messages.len());
    let mut shown = Vec::new();
    for (index, message) in chat.messages.iter().enumerate() {
        if message.role != Role::Tool {
            shapes.extend(MessageShape::showing(&mut shown));
        }
        let writing = Writing {
            habits,
            losses,
            index,
        };
        match message.role {
            Role::System => {
                let before = shapes.last().map(|before| before.role);
                shapes.extend(writing.system(message, before)?);
            }
            Role::User => shapes.push(writing.plain("user", message)?),
            Role::Assistant => shapes.extend(writing.assistant(message)?),
            Role::Tool => {
                for part in &message.parts {
                    match part {
                        Part::ToolResult(result) => {
                            shapes.push(writing.result(result, &mut shown)?);
                        }
                        _ => losses.lose_part(part)?,
                    }
                }
            }
        }
    }
    shapes.extend(MessageShape::showing(&mut shown));
    if habits.has_strict_turns {
        answer_tools(&mut shapes);
    }
    Ok(shapes)
}

/// Lets the assistant say [`AFTER_TOOLS`] wherever the user speaks right after a tool.
fn answer_tools(messages: &mut Vec<MessageShape<'_>>) {
    let mut next = 1;
    while let Some([before, after]) = messages.get(next - 1..=next) {
        if before.role == "tool" && after.role == "user" {
            let answer = MessageShape {
                content: Content::Text(Cow::Borrowed(AFTER_TOOLS)),
                ..MessageShape::new("assistant")
            };
            messages.insert(next, answer);
        }
        next += 1;
    }
}

/// Adds `text` to what the system says first.
pub(super) fn instruct(messages: &mut Vec<MessageShape<'_>>, text: Cow<'static, str>) {
    let is_system = |message: &&MessageShape<'_>| message.role == "system";
    let n_leading = messages.iter().take_while(is_system).count();
    let message = MessageShape {
        content: Content::Text(text),
        ..MessageShape::new("system")
    };
    messages.insert(n_leading, message);
}

impl Writing<'_> {
    fn plain<'a>(
        self,
        role: &'static str,
        message: &'a Message,
    ) -> Result<MessageShape<'a>, Unsupported> {
        Ok(MessageShape {
            name: self.name(message)?,
            content: self.content(&message.parts)?,
            ..MessageShape::new(role)
        })
    }

    /// Where turns are strict, the system speaks at the beginning and after the user, and else by the user's mouth.
    /// `None` if there it says nothing.
    fn system<'a>(
        self,
        message: &'a Message,
        before: Option<&str>,
    ) -> Result<Option<MessageShape<'a>>, Unsupported> {
        let is_late = matches!(before, Some("assistant" | "tool"));
        if !(is_late && self.habits.has_strict_turns) {
            return self.plain("system", message).map(Some);
        }
        let mut texts = Vec::new();
        for part in &message.parts {
            match part {
                Part::Text(text) => texts.push(text.as_str()),
                part => self.losses.lose_part(part)?,
            }
        }
        if texts.iter().all(|text| text.trim().is_empty()) {
            return Ok(None);
        }
        Ok(Some(MessageShape {
            name: self.name(message)?,
            content: Content::Text(Cow::Owned(between_turns(&texts))),
            ..MessageShape::new("user")
        }))
    }

    /// Google wants the first of the calls signed that were made at once, whoever made it.
    fn signature(self, call: &ToolCall, is_first: bool) -> Option<&str> {
        if !self.habits.takes_signatures {
            return None;
        }
        let signature = call.signature.as_ref();
        let own = signature.and_then(|proof| proof.of(SIGNED_CALLS_ARE_OF));
        own.or(is_first.then_some(proof::NOT_GEMINIS))
    }

    /// `None` for one of which nothing can be told.
    fn assistant<'a>(self, message: &'a Message) -> Result<Option<MessageShape<'a>>, Unsupported> {
        let mut shape = MessageShape {
            name: self.name(message)?,
            ..MessageShape::new("assistant")
        };
        let mut texts = Vec::new();
        for part in &message.parts {
            match part {
                Part::Text(text) => texts.push(text.as_str()),
                Part::Refusal(text) => shape.refusal.get_or_insert_default().push_str(text),
                Part::ToolCall(call) => {
                    let is_first = shape.tool_calls.is_empty();
                    shape.tool_calls.push(CallShape::new(
                        self.habits.call_id(&call.id),
                        &call.name,
                        // Servers parse it.
                        if call.arguments.is_empty() {
                            "{}"
                        } else {
                            &call.arguments
                        },
                        self.signature(call, is_first).map(Cow::Borrowed),
                    ));
                }
                Part::Thinking { text, .. } if self.habits.takes_thoughts => {
                    shape
                        .reasoning_content
                        .get_or_insert_default()
                        .push_str(text);
                }
                // The thoughts before an earlier answer are no loss: no one else could read them.
                Part::Thinking { .. } | Part::RedactedThinking(_) => {}
                Part::Image { .. }
                | Part::Audio { .. }
                | Part::File { .. }
                | Part::ToolResult(_) => self.losses.lose_part(part)?,
            }
        }
        let says_nothing =
            texts.is_empty() && shape.refusal.is_none() && shape.tool_calls.is_empty();
        if says_nothing && !message.parts.is_empty() {
            return Ok(None);
        }
        if !texts.is_empty() || says_nothing {
            shape.content = self.texts(&texts);
        }
        Ok(Some(shape))
    }

    /// That a tool failed has no field here; its text says so. A result is text only: what else it has is `shown` by the
    /// user, after the results.
    fn result<'a>(
        self,
        result: &'a ToolResult,
        shown: &mut Vec<PartShape<'a>>,
    ) -> Result<MessageShape<'a>, Unsupported> {
        let call_id = self.habits.call_id(&result.call_id);
        let mut texts = Vec::new();
        let mut media = Vec::new();
        for part in &result.parts {
            match part {
                Part::Text(text) | Part::Refusal(text) => texts.push(text.as_str()),
                part => match self.part(part) {
                    Some(shape) => media.push(shape),
                    None => self.losses.lose_part(part)?,
                },
            }
        }
        if !media.is_empty() {
            let text = Cow::Owned(format!("From the result of the tool call `{call_id}`:"));
            shown.push(PartShape::Text { text });
            shown.append(&mut media);
        }
        Ok(MessageShape {
            tool_call_id: Some(call_id),
            content: self.texts(&texts),
            ..MessageShape::new("tool")
        })
    }

    fn name(self, message: &Message) -> Result<Option<&str>, Unsupported> {
        let name = message.name.as_deref();
        if name.is_some() && !self.habits.knows_names {
            self.losses.lose_name(self.index)?;
            return Ok(None);
        }
        Ok(name)
    }

    fn content(self, parts: &[Part]) -> Result<Content<'_>, Unsupported> {
        let mut shapes = Vec::with_capacity(parts.len());
        let mut texts = Vec::with_capacity(parts.len());
        for part in parts {
            if let Part::Text(text) | Part::Refusal(text) = part {
                texts.push(text.as_str());
            }
            match self.part(part) {
                Some(shape) => shapes.push(shape),
                None => self.losses.lose_part(part)?,
            }
        }
        match shapes.len() == texts.len() {
            true => Ok(self.texts(&texts)),
            false => Ok(Content::Parts(shapes)),
        }
    }

    /// `None` for what this dialect has no words for, and for a file that another provider keeps.
    fn part(self, part: &Part) -> Option<PartShape<'_>> {
        match part {
            Part::File {
                source: Source::FileId(_),
                ..
            } if !self.losses.is_within_a_family() => None,
            part => PartShape::of(part),
        }
    }

    fn texts<'a>(self, texts: &[&'a str]) -> Content<'a> {
        match texts {
            [] => Content::Text(Cow::Borrowed("")),
            [text] => Content::Text(Cow::Borrowed(text)),
            texts if self.habits.wants_one_text => Content::Text(Cow::Owned(texts.join("\n\n"))),
            texts => Content::Parts(texts.iter().map(|text| PartShape::text(text)).collect()),
        }
    }
}

impl<'a> MessageShape<'a> {
    /// The user's message that shows what the tools have put out, if that is anything.
    fn showing(shown: &mut Vec<PartShape<'a>>) -> Option<Self> {
        (!shown.is_empty()).then(|| Self {
            content: Content::Parts(std::mem::take(shown)),
            ..Self::new("user")
        })
    }

    fn new(role: &'static str) -> Self {
        Self {
            role,
            name: None,
            tool_call_id: None,
            reasoning_content: None,
            content: Content::Null,
            refusal: None,
            tool_calls: Vec::new(),
        }
    }
}

impl<'a> PartShape<'a> {
    fn text(text: &'a str) -> Self {
        Self::Text {
            text: Cow::Borrowed(text),
        }
    }

    /// `None` for what this dialect has no words for.
    fn of(part: &'a Part) -> Option<Self> {
        match part {
            // Only an assistant's refusal is more than what it says.
            Part::Text(text) | Part::Refusal(text) => Some(Self::text(text)),
            Part::Image { source, detail, .. } => Some(Self::ImageUrl {
                image_url: ImageShape {
                    url: Url::of(source)?,
                    detail: detail.as_deref(),
                },
            }),
            Part::Audio {
                data, media_type, ..
            } => Some(Self::InputAudio {
                input_audio: AudioShape {
                    data,
                    format: match media_type.as_str() {
                        "audio/wav" | "audio/x-wav" | "audio/wave" => "wav",
                        "audio/mp3" | "audio/mpeg" => "mp3",
                        _ => return None,
                    },
                },
            }),
            Part::File { source, name, .. } => {
                let file = FileShape {
                    filename: name.as_deref(),
                    ..FileShape::default()
                };
                let file = match source {
                    Source::FileId(id) => FileShape {
                        file_id: Some(id),
                        ..file
                    },
                    Source::Data { .. } => FileShape {
                        file_data: Url::of(source),
                        ..file
                    },
                    Source::Url(_) => return None,
                };
                Some(Self::File { file })
            }
            Part::Thinking { .. }
            | Part::RedactedThinking(_)
            | Part::ToolCall(_)
            | Part::ToolResult(_) => None,
        }
    }
}

impl<'a> Url<'a> {
    fn of(source: &'a Source) -> Option<Self> {
        match source {
            Source::Url(url) => Some(Self::Plain(url)),
            Source::Data { media_type, base64 } => Some(Self::Data { media_type, base64 }),
            Source::FileId(_) => None,
        }
    }
}
