//! One generated answer and its usage, before it is a body or a stream.

use serde::Serialize;

use crate::api::{chat, completions};
use crate::reply::write_json;
use crate::text;

/// Stands where a token's text goes while a chunk is made into a template.
const PLACEHOLDER: &str = "%token%";

const FINGERPRINT: &str = "fp_simulated";

/// A generated answer: `choices` times the same `tokens` tokens.
pub(crate) struct Generation {
    pub(crate) shape: Shape,
    pub(crate) id: String,
    /// Unix seconds.
    pub(crate) created: u64,
    pub(crate) model: String,
    pub(crate) choices: u32,
    pub(crate) tokens: u32,
    pub(crate) finish_reason: &'static str,
    /// `None` if the provider tells no usage.
    pub(crate) usage: Option<Usage>,
    /// Whether a stream ends with a usage chunk.
    pub(crate) include_usage: bool,
}

/// Which endpoint's objects the answer is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Chat,
    Completion,
}

/// Tokens as the provider reports them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Usage {
    pub(crate) prompt_tokens: u32,
    pub(crate) completion_tokens: u32,
    pub(crate) total_tokens: u32,
}

impl Usage {
    pub(crate) fn new(prompt_tokens: u32, completion_tokens: u32) -> Self {
        Self {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens.saturating_add(completion_tokens),
        }
    }

    /// The same request, reported as `total_tokens`.
    pub(crate) fn reported_as(self, total_tokens: u32) -> Self {
        let prompt_tokens = self.prompt_tokens.min(total_tokens);
        Self::new(prompt_tokens, total_tokens - prompt_tokens)
    }
}

/// The object around `choices`, in an answer and in each chunk of a stream.
#[derive(Serialize)]
struct Envelope<'a, C> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    system_fingerprint: &'static str,
    choices: &'a [C],
    /// Absent, `null` or told.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<Usage>>,
}

/// The chunk of one token, but for the token.
pub(crate) struct DeltaTemplate {
    before: Vec<u8>,
    after: Vec<u8>,
}

impl DeltaTemplate {
    pub(crate) fn write(&self, out: &mut Vec<u8>, token: u32) {
        out.extend_from_slice(&self.before);
        text::write_token(out, token);
        out.extend_from_slice(&self.after);
    }
}

impl Generation {
    /// The whole answer as JSON.
    pub(crate) fn body(&self) -> Vec<u8> {
        let content = text::of_tokens(self.tokens);
        let usage = self.usage.map(Some);
        let mut out = Vec::with_capacity(512 + content.len() * self.choices as usize);
        let indexes = 0..self.choices;
        match self.shape {
            Shape::Chat => {
                let choices: Vec<_> = indexes
                    .map(|index| chat::choice(index, &content, self.finish_reason))
                    .collect();
                self.write_envelope(&mut out, chat::OBJECT, &choices, usage);
            }
            Shape::Completion => {
                let choices: Vec<_> = indexes
                    .map(|index| completions::choice(index, &content, Some(self.finish_reason)))
                    .collect();
                self.write_envelope(&mut out, completions::OBJECT, &choices, usage);
            }
        }
        out
    }

    /// The chunks before the first token.
    pub(crate) fn write_opening(&self, out: &mut Vec<u8>) {
        match self.shape {
            Shape::Chat => {
                for index in 0..self.choices {
                    self.write_chunk(out, chat::CHUNK_OBJECT, &[chat::opening(index)]);
                }
            }
            Shape::Completion => {}
        }
    }

    /// One template per choice.
    pub(crate) fn delta_templates(&self) -> Vec<DeltaTemplate> {
        (0..self.choices)
            .filter_map(|index| {
                let mut chunk = Vec::new();
                match self.shape {
                    Shape::Chat => {
                        let choice = chat::delta(index, PLACEHOLDER);
                        self.write_chunk(&mut chunk, chat::CHUNK_OBJECT, &[choice]);
                    }
                    Shape::Completion => {
                        let choice = completions::choice(index, PLACEHOLDER, None);
                        self.write_chunk(&mut chunk, completions::OBJECT, &[choice]);
                    }
                }
                // From the right: a model may be called like the placeholder.
                let after = chunk
                    .windows(PLACEHOLDER.len())
                    .rposition(|bytes| bytes == PLACEHOLDER.as_bytes())?
                    + PLACEHOLDER.len();
                let mut before = chunk;
                let after = before.split_off(after);
                before.truncate(before.len() - PLACEHOLDER.len());
                Some(DeltaTemplate { before, after })
            })
            .collect()
    }

    /// The chunks after the last token, up to `[DONE]`.
    pub(crate) fn write_end(&self, out: &mut Vec<u8>) {
        for index in 0..self.choices {
            match self.shape {
                Shape::Chat => {
                    let choice = chat::end(index, self.finish_reason);
                    self.write_chunk(out, chat::CHUNK_OBJECT, &[choice]);
                }
                Shape::Completion => {
                    let choice = completions::choice(index, "", Some(self.finish_reason));
                    self.write_chunk(out, completions::OBJECT, &[choice]);
                }
            }
        }
        if self.include_usage
            && let Some(usage) = self.usage
        {
            let object = match self.shape {
                Shape::Chat => chat::CHUNK_OBJECT,
                Shape::Completion => completions::OBJECT,
            };
            let choices: [(); 0] = [];
            self.write_event(out, object, &choices, Some(Some(usage)));
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    /// With `include_usage`, every chunk but the last says `usage: null`.
    fn write_chunk<C: Serialize>(&self, out: &mut Vec<u8>, object: &'static str, choices: &[C]) {
        let usage = (self.include_usage && self.usage.is_some()).then_some(None);
        self.write_event(out, object, choices, usage);
    }

    fn write_event<C: Serialize>(
        &self,
        out: &mut Vec<u8>,
        object: &'static str,
        choices: &[C],
        usage: Option<Option<Usage>>,
    ) {
        out.extend_from_slice(b"data: ");
        self.write_envelope(out, object, choices, usage);
        out.extend_from_slice(b"\n\n");
    }

    fn write_envelope<C: Serialize>(
        &self,
        out: &mut Vec<u8>,
        object: &'static str,
        choices: &[C],
        usage: Option<Option<Usage>>,
    ) {
        let envelope = Envelope {
            id: &self.id,
            object,
            created: self.created,
            model: &self.model,
            system_fingerprint: FINGERPRINT,
            choices,
            usage,
        };
        write_json(out, &envelope);
    }
}
