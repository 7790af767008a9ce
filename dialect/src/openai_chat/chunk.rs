//! What one chunk of a stream tells, found by looking for keys: a chunk is only parsed when the key is there.
//!
//! In a JSON text `"key"` with both its quotes stands only for itself: inside a string the quotes are escaped.

use memchr::memmem::Finder;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::{Endpoint, UpstreamError, Usage};

/// The keys of a delta whose string values are output.
const CHAT_CONTENT: &[&str] = &[
    "\"content\"",
    "\"reasoning_content\"",
    "\"reasoning\"",
    "\"refusal\"",
    "\"arguments\"",
];
const COMPLETION_CONTENT: &[&str] = &["\"text\""];

#[derive(Debug)]
pub(crate) struct ChunkReader {
    error: Key,
    usage: Key,
    finish_reason: Key,
    content: Vec<Key>,
}

/// A usage report inside a chunk.
pub(crate) struct UsageReport {
    /// `None` if it cannot be believed.
    pub(crate) usage: Option<Usage>,
    /// Whether the chunk has nothing else: `"choices": []`.
    pub(crate) is_alone: bool,
}

#[derive(Debug)]
struct Key(Finder<'static>);

impl Key {
    fn new(quoted: &'static str) -> Self {
        Self(Finder::new(quoted))
    }

    /// What follows the key's colon, wherever in `data` the key is.
    fn values<'a>(&self, data: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.0.find_iter(data).filter_map(|at| {
            let after = data.get(at + self.0.needle().len()..)?.trim_ascii_start();
            Some(after.strip_prefix(b":")?.trim_ascii_start())
        })
    }

    /// Whether it is there with a value other than null.
    fn is_set(&self, data: &[u8]) -> bool {
        self.values(data).any(|value| !value.starts_with(b"null"))
    }
}

#[derive(Deserialize)]
struct UsageChunk<'a> {
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    choices: Option<&'a RawValue>,
    #[serde(borrow)]
    x_groq: Option<GroqExtension<'a>>,
}

#[derive(Deserialize)]
struct GroqExtension<'a> {
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct ChoicesChunk {
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    index: Option<u64>,
    finish_reason: Option<IgnoredAny>,
}

impl ChunkReader {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        let content = match endpoint {
            Endpoint::ChatCompletions => CHAT_CONTENT,
            Endpoint::Completions => COMPLETION_CONTENT,
            _ => &[],
        };
        Self {
            error: Key::new("\"error\""),
            usage: Key::new("\"usage\""),
            finish_reason: Key::new("\"finish_reason\""),
            content: content.iter().map(|&key| Key::new(key)).collect(),
        }
    }

    /// The error that the chunk tells of, at the top or (late, from Groq) in `x_groq`.
    pub(crate) fn error(&self, data: &[u8]) -> Option<UpstreamError> {
        if !self.error.is_set(data) {
            return None;
        }
        let chunk: Value = serde_json::from_slice(data).ok()?;
        UpstreamError::of_body(&chunk)
            .or_else(|| UpstreamError::of_error(chunk.get("x_groq")?.get("error")?))
    }

    /// The choices that the chunk finishes, by index.
    pub(crate) fn finished(&self, data: &[u8]) -> Vec<u64> {
        if !self.finish_reason.is_set(data) {
            return Vec::new();
        }
        let chunk: ChoicesChunk = serde_json::from_slice(data).unwrap_or_default();
        let finished = chunk
            .choices
            .into_iter()
            .filter(|choice| choice.finish_reason.is_some());
        // Whoever leaves it out has one choice.
        finished
            .map(|choice| choice.index.unwrap_or_default())
            .collect()
    }

    /// Bytes of output in the chunk, as they are written.
    pub(crate) fn content_len(&self, data: &[u8]) -> usize {
        let values = self.content.iter().flat_map(|key| key.values(data));
        values.filter_map(string_len).sum()
    }

    pub(crate) fn usage(&self, data: &[u8]) -> Option<UsageReport> {
        if !self.usage.is_set(data) {
            return None;
        }
        let chunk: UsageChunk<'_> = serde_json::from_slice(data).ok()?;
        let in_extension = chunk.x_groq.and_then(|extension| extension.usage);
        let raw = chunk.usage.or(in_extension)?.get();
        let no_choices = chunk
            .choices
            .is_some_and(|choices| is_empty_array(choices.get()));
        Some(UsageReport {
            usage: Usage::parse(raw.as_bytes()),
            is_alone: no_choices && raw.starts_with('{'),
        })
    }
}

/// Whether a chunk has something for a reader, beyond what [`ChunkReader::content_len`] counts: a tool call that
/// begins, a sound, an image.
pub(crate) fn has_content(data: &[u8]) -> bool {
    let Ok(chunk) = serde_json::from_slice::<Value>(data) else {
        return false;
    };
    let choices = chunk.get("choices").and_then(Value::as_array);
    choices.into_iter().flatten().any(|choice| {
        let delta = choice.get("delta").and_then(Value::as_object);
        let mut fields = delta.into_iter().flatten();
        fields.any(|(name, value)| name != "role" && !is_empty(value))
    })
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn is_empty_array(raw: &str) -> bool {
    let inner = raw.strip_prefix('[').and_then(|raw| raw.strip_suffix(']'));
    inner.is_some_and(|inner| inner.trim_ascii().is_empty())
}

/// The length of the string that `value` begins with; `None` if it begins with something else.
fn string_len(value: &[u8]) -> Option<usize> {
    let text = value.strip_prefix(b"\"")?;
    let mut at = 0;
    loop {
        let rest = text.get(at..)?;
        let offset = memchr::memchr2(b'"', b'\\', rest)?;
        at += offset;
        match text.get(at) {
            Some(b'"') => return Some(at),
            _ => at += 2,
        }
    }
}
