//! Where each endpoint's requests have what routing reads.

mod anthropic;
mod gemini;
mod ollama;
mod openai;

use super::fields::FieldType;
use crate::Endpoint;
use crate::scan::Object;

/// One endpoint's fields; paths are dotted.
#[derive(Debug)]
pub(super) struct Grammar {
    /// Whether a language model reads the strings in the field of this name.
    pub(super) holds_text: fn(&[u8]) -> bool,
    /// Whether `model` is a field of the body, and not only a part of the path.
    pub(super) has_model: bool,
    /// Fields that repeat the path's model as `models/…`; `[]` stands for all elements of an array.
    pub(super) resource_models: &'static [&'static str],
    /// Whether each field may be written in `snake_case` too, as Google's servers take them.
    pub(super) takes_snake_case: bool,
    pub(super) stream: StreamPlace,
    /// Whether a stream's usage has to be asked for.
    pub(super) has_stream_options: bool,
    pub(super) required: &'static [(&'static str, FieldType)],
    /// Fields beside any of which nothing is required: the upstream has the prompt already.
    pub(super) required_unless: &'static [&'static str],
    pub(super) optional: &'static [(&'static str, FieldType)],
    /// Limits of the output, the first that is set counting.
    pub(super) output_limits: &'static [&'static str],
    /// How many answers, the largest counting.
    pub(super) counts: &'static [&'static str],
    /// Fields whose JSON is part of the prompt.
    pub(super) schemas: &'static [&'static str],
    /// Lists of what the model may call; `[]` stands for all elements of an array.
    pub(super) tools: &'static [&'static str],
    /// What says that the answer must follow a JSON schema.
    pub(super) answer_schemas: &'static [(&'static str, Sign)],
    /// Fields that may come only once. (A test sees to it that all of the above are among them.)
    pub(super) routing: &'static [&'static str],
}

#[derive(Debug, Clone, Copy)]
pub(super) enum StreamPlace {
    Body { default: bool },
    Path,
    Never,
}

/// What a field's value must be to say something.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sign {
    Text(&'static str),
    Object,
}

const NOTHING: Grammar = Grammar {
    holds_text: |_| false,
    has_model: true,
    resource_models: &[],
    takes_snake_case: false,
    stream: StreamPlace::Never,
    has_stream_options: false,
    required: &[],
    required_unless: &[],
    optional: &[],
    output_limits: &[],
    counts: &[],
    schemas: &[],
    tools: &[],
    answer_schemas: &[],
    routing: &["model"],
};

impl Grammar {
    pub(super) fn of(endpoint: Endpoint) -> &'static Self {
        match endpoint {
            Endpoint::ChatCompletions => &openai::CHAT_COMPLETIONS,
            Endpoint::Completions => &openai::COMPLETIONS,
            Endpoint::Embeddings => &openai::EMBEDDINGS,
            Endpoint::Responses => &openai::RESPONSES,
            Endpoint::CountResponseTokens => &openai::COUNT_RESPONSE_TOKENS,
            Endpoint::Moderations => &openai::MODERATIONS,
            Endpoint::ImageGenerations
            | Endpoint::ImageEdits
            | Endpoint::ImageVariations
            | Endpoint::Speech
            | Endpoint::Transcriptions
            | Endpoint::Translations => &openai::MEDIA,
            Endpoint::Messages => &anthropic::MESSAGES,
            Endpoint::CountMessageTokens => &anthropic::COUNT_MESSAGE_TOKENS,
            Endpoint::GenerateContent => &gemini::GENERATE_CONTENT,
            Endpoint::CountContentTokens => &gemini::COUNT_CONTENT_TOKENS,
            Endpoint::EmbedContent => &gemini::EMBED_CONTENT,
            Endpoint::BatchEmbedContents => &gemini::BATCH_EMBED_CONTENTS,
            Endpoint::OllamaChat => &ollama::OLLAMA_CHAT,
            Endpoint::OllamaGenerate => &ollama::OLLAMA_GENERATE,
            Endpoint::OllamaEmbed => &ollama::OLLAMA_EMBED,
            Endpoint::OllamaEmbeddings => &ollama::OLLAMA_EMBEDDINGS,
            // No client speaks it.
            Endpoint::Converse => &NOTHING,
        }
    }

    /// Whether a request may write the field `name` as `written`.
    pub(super) fn calls(&self, name: &str, written: &[u8]) -> bool {
        written == name.as_bytes() || (self.takes_snake_case && is_snake_case_of(written, name))
    }

    /// The value of the field `name` in `object`, which stands in `raw`.
    pub(super) fn member<'a>(
        &self,
        object: &Object,
        raw: &'a [u8],
        name: &str,
    ) -> Option<&'a [u8]> {
        let mut members = object.members.iter();
        let member = members.find(|member| self.calls(name, member.name(raw)))?;
        raw.get(member.value.clone())
    }
}

/// `max_output_tokens` is `maxOutputTokens`.
fn is_snake_case_of(written: &[u8], name: &str) -> bool {
    let mut written = written.iter();
    let is_same = name.bytes().all(|byte| match byte.is_ascii_uppercase() {
        true => written.next() == Some(&b'_') && written.next() == Some(&byte.to_ascii_lowercase()),
        false => written.next() == Some(&byte),
    });
    is_same && written.next().is_none()
}

#[cfg(test)]
mod tests;
