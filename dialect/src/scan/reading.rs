//! What the values in a message are to its reader, by what any of the dialects calls them.
//!
//! One vocabulary for all: where two dialects use the same word, they mean the same, or what stands beside it decides.

use super::text::AttachmentKind;

/// What the strings of a value are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    Text,
    /// Content that is no text: each string is one, or the address of one.
    Attachment,
    /// JSON that is read as it is written, whatever its members are called: what tools are given, and what they return.
    Verbatim,
    /// Tells what the attachments beside it are.
    Clue(Clue),
    /// Roles, ids and signatures; and everything outside the members that hold text.
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clue {
    Type,
    MediaType,
    Detail,
}

/// What an attachment turns out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Attachment(AttachmentKind),
    /// A document that is given as its text.
    Text,
    /// A thought that only its provider can read, the address of a web page.
    Nothing,
}

/// What an object tells of the attachments in it.
#[derive(Default)]
pub(super) struct Clues {
    by_type: Option<Verdict>,
    by_media_type: Option<Verdict>,
    pub(super) is_low_detail: bool,
}

const IMAGE: Verdict = Verdict::Attachment(AttachmentKind::Image);
const SOUND: Verdict = Verdict::Attachment(AttachmentKind::Sound);
const DOCUMENT: Verdict = Verdict::Attachment(AttachmentKind::Document);

impl Reading {
    /// How the value of the outermost member `name` is read, which is known to hold text.
    pub(super) fn of_outermost(name: &[u8]) -> Self {
        match name {
            // Ollama's, beside its prompt.
            b"images" => Self::Attachment,
            _ => Self::Text,
        }
    }

    /// How the value of member `name` is read inside a value that is read as `self`.
    pub(super) fn of_member(self, name: &[u8]) -> Self {
        if !matches!(self, Self::Text | Self::Attachment) {
            return Self::Nothing;
        }
        match name {
            // The most frequent of all.
            b"text" | b"content" | b"parts" => Self::Text,
            b"type" => Self::Clue(Clue::Type),
            b"media_type" | b"mimeType" | b"mime_type" => Self::Clue(Clue::MediaType),
            b"detail" => Self::Clue(Clue::Detail),
            b"url" | b"image_url" | b"data" | b"images" | b"file_data" | b"file_url"
            | b"file_id" | b"fileUri" | b"file_uri"
            // Of OpenAI's own image tool.
            | b"result" => Self::Attachment,
            b"input" | b"arguments" | b"args" | b"response" | b"action" | b"results" => {
                Self::Verbatim
            }
            b"role"
            | b"id"
            | b"tool_call_id"
            | b"tool_use_id"
            | b"call_id"
            | b"status"
            | b"index"
            | b"model"
            | b"format"
            | b"filename"
            | b"finish_reason"
            | b"logprobs"
            | b"signature"
            | b"thoughtSignature"
            | b"thought_signature"
            | b"extra_content"
            | b"encrypted_content"
            | b"reasoning_details"
            | b"cache_control"
            | b"prompt_cache_breakpoint"
            | b"annotations"
            | b"citations"
            | b"videoMetadata"
            | b"video_metadata"
            | b"taskType"
            | b"task_type"
            | b"outputDimensionality"
            | b"output_dimensionality" => Self::Nothing,
            _ => Self::Text,
        }
    }
}

/// What the name of a member tells of the attachments in its value.
pub(super) fn verdict_of_member(name: &[u8]) -> Option<Verdict> {
    match name {
        b"image_url" | b"images" | b"image" | b"input_image" => Some(IMAGE),
        b"input_audio" | b"audio" => Some(SOUND),
        b"file" | b"document" | b"input_file" => Some(DOCUMENT),
        _ => None,
    }
}

/// The kind that a `data:` URL names; `None` for what is no such URL, or names nothing in particular.
pub(super) fn kind_of_data_url(raw: &[u8]) -> Option<AttachmentKind> {
    match verdict_of_media_type(raw.strip_prefix(b"data:")?) {
        Some(Verdict::Attachment(kind)) => Some(kind),
        _ => None,
    }
}

impl Clues {
    /// Takes the value of a member, as it is written.
    pub(super) fn note(&mut self, clue: Clue, raw: &[u8]) {
        let Some(raw) = raw
            .strip_prefix(b"\"")
            .and_then(|raw| raw.strip_suffix(b"\""))
        else {
            return;
        };
        match clue {
            Clue::Type => self.by_type = verdict_of_type(raw),
            Clue::MediaType => self.by_media_type = verdict_of_media_type(raw),
            Clue::Detail => self.is_low_detail = raw == b"low",
        }
    }

    pub(super) fn verdict(&self) -> Option<Verdict> {
        match self.by_type {
            // "text/plain" names no document when the text itself is there.
            Some(Verdict::Text | Verdict::Nothing) => self.by_type,
            by_type => self.by_media_type.or(by_type),
        }
    }
}

fn verdict_of_type(name: &[u8]) -> Option<Verdict> {
    match name {
        b"image" | b"image_url" | b"input_image" | b"image_generation_call" => Some(IMAGE),
        b"audio" | b"input_audio" => Some(SOUND),
        b"document" | b"input_file" => Some(DOCUMENT),
        b"text" => Some(Verdict::Text),
        b"redacted_thinking" | b"web_search_result" | b"url_citation" => Some(Verdict::Nothing),
        // `base64`, `url` and `file` say how a source is given, not what it is.
        _ => None,
    }
}

/// `media_type` may go on after the type proper, with parameters or with data.
fn verdict_of_media_type(media_type: &[u8]) -> Option<Verdict> {
    let is_of = |family: &[u8]| {
        let head = media_type.get(..family.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(family))
    };
    if is_of(b"image") {
        return Some(IMAGE);
    }
    if is_of(b"audio") {
        return Some(SOUND);
    }
    // PHP writes the slash as `\/`.
    let says_nothing = is_of(b"application/octet-stream")
        || is_of(b"application\\/octet-stream")
        || matches!(media_type.first(), None | Some(b';' | b','));
    (!says_nothing).then_some(DOCUMENT)
}
