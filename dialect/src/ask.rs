//! What a client asks, as far as routing has to know it.

mod attachments;
mod bad_request;
mod changes;
mod estimate;
mod fields;
mod grammar;
mod image_size;
mod needs;
mod own_proofs;
mod path;
mod rewrite;

use std::ops::Range;
use std::sync::OnceLock;

use bytes::Bytes;
use serde_json::{Map, Value};

pub use self::bad_request::BadRequest;
use self::fields::FieldValue;
use self::grammar::{Grammar, StreamPlace};
pub use self::needs::Needs;
use self::path::split_path;
use crate::ollama_chat::Load;
use crate::scan::{self, Object, ScanError};
use crate::{Endpoint, TokenCounter};

/// A request, parsed once: its bytes, and where in them the fields are.
#[derive(Debug)]
pub struct Ask {
    endpoint: Endpoint,
    grammar: &'static Grammar,
    body: Bytes,
    object: Object,
    model: String,
    is_stream: bool,
    prompt_tokens: OnceLock<u32>,
}

/// What the path of a request says of it, where the dialect says it there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathFacts {
    /// Gemini's model, Azure's deployment: wins over one in the body.
    pub model: Option<String>,
    /// Gemini's `:streamGenerateContent`.
    pub is_stream: bool,
}

impl Ask {
    /// Finds the fields of `body`; of their values, only the model's name is looked at (see [`Self::check`]).
    ///
    /// # Errors
    ///
    /// What is not a JSON object, has a field twice that routing reads, or names no model.
    pub fn parse(endpoint: Endpoint, path: PathFacts, body: Bytes) -> Result<Self, BadRequest> {
        if body.starts_with(b"\xEF\xBB\xBF") {
            return Err(BadRequest::new(
                "The request body begins with a byte order mark; send the JSON without it.",
            ));
        }
        let grammar = Grammar::of(endpoint);
        let object = scan::scan_object(&body, grammar.holds_text).map_err(|error| match error {
            ScanError::Syntax {
                expected: "`{`", ..
            } => BadRequest::new(
                "The request body must be a JSON object, such as `{\"model\": \"…\", …}`.",
            ),
            error => BadRequest::new(format!("The request body is not valid JSON: {error}.")),
        })?;
        refuse_duplicates(grammar, &object, &body, "", grammar.routing)?;

        let mut ask = Self {
            endpoint,
            grammar,
            body,
            object,
            model: String::new(),
            is_stream: path.is_stream,
            prompt_tokens: OnceLock::new(),
        };
        ask.model = match path.model {
            Some(model) => model,
            None => ask.read_model()?,
        };
        ask.is_stream = match grammar.stream {
            StreamPlace::Path => path.is_stream,
            StreamPlace::Body { default } => {
                ask.field("stream").map_or(default, FieldValue::is_true)
            }
            StreamPlace::Never => false,
        };
        Ok(ask)
    }

    /// The public model name that was asked for.
    pub fn model(&self) -> &str {
        &self.model
    }

    pub fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    /// The request as it came.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Checks the other fields that routing reads; apart from [`Self::parse`], so that an unknown model is told first.
    ///
    /// # Errors
    ///
    /// A field of the wrong type, or no prompt.
    pub fn check(&self) -> Result<(), BadRequest> {
        let mut instead = self.grammar.required_unless.iter();
        let needs_all = !instead.any(|name| self.field(name).is_some());
        for (name, expected) in self.grammar.required {
            match self.field(name) {
                Some(value) => value.check(name, *expected)?,
                None if needs_all => return Err(BadRequest::missing(name)),
                None => {}
            }
        }
        for (name, expected) in self.grammar.optional {
            if let Some(value) = self.field(name) {
                value.check(name, *expected)?;
            }
        }
        Ok(())
    }

    pub fn is_stream(&self) -> bool {
        self.is_stream
    }

    /// What is wanted of the model where nothing is asked of it: Ollama's clients send a chat without messages, or an empty
    /// prompt.
    pub fn load(&self) -> Option<Load> {
        let is_empty = match self.endpoint {
            Endpoint::OllamaChat => self.field("messages").is_none_or(FieldValue::is_empty),
            Endpoint::OllamaGenerate => self.field("prompt").is_none_or(FieldValue::is_empty),
            _ => false,
        };
        let keep_alive = self.field("keep_alive").map(FieldValue::raw);
        is_empty.then(|| Load::by_keep_alive(keep_alive))
    }

    /// Whether the answer is only begun, to be looked up later by its id.
    pub fn is_background(&self) -> bool {
        self.endpoint == Endpoint::Responses
            && self.field("background").is_some_and(FieldValue::is_true)
    }

    /// The stored response that this request goes on from.
    pub fn previous_response(&self) -> Option<String> {
        match self.endpoint {
            Endpoint::Responses => self.field("previous_response_id")?.text(),
            _ => None,
        }
    }

    /// Whether the client itself asked for `stream_options.include_usage`.
    pub fn wants_usage(&self) -> bool {
        self.grammar.has_stream_options
            && self
                .field("stream_options.include_usage")
                .is_some_and(FieldValue::is_true)
    }

    /// The tokens to reserve, prompt and output, where `overrides` are the model's: see the module `estimate`.
    pub fn estimate(&self, tokens: &TokenCounter, overrides: &Map<String, Value>) -> u32 {
        estimate::tokens(self, tokens, overrides)
    }

    /// The tokens of prompt and one answer that have to fit into a model's context; `None` where nothing has to.
    pub fn context_tokens(
        &self,
        tokens: &TokenCounter,
        overrides: &Map<String, Value>,
    ) -> Option<u32> {
        estimate::context(self, tokens, overrides)
    }

    /// The prompt's tokens, counted at the first call and remembered.
    pub fn prompt_tokens(&self, tokens: &TokenCounter) -> u32 {
        *self
            .prompt_tokens
            .get_or_init(|| estimate::prompt_tokens(self, tokens))
    }

    /// How many answers the upstream gives, where `overrides` are the model's: `n` to each prompt.
    pub fn n_choices(&self, overrides: &Map<String, Value>) -> usize {
        usize::try_from(estimate::n_choices(self, overrides)).unwrap_or(usize::MAX)
    }

    /// The value at `path` (dotted); `None` if it is absent or null, which is the same to all upstreams.
    fn field(&self, path: &str) -> Option<FieldValue<'_>> {
        let (name, mut rest) = split_path(path);
        let mut raw = self.grammar.member(&self.object, &self.body, name)?;
        while let Some(path) = rest {
            let name;
            (name, rest) = split_path(path);
            let object = scan::scan_object(raw, |_| false).ok()?;
            raw = self.grammar.member(&object, raw, name)?;
        }
        FieldValue::new(raw)
    }

    /// Where all values at `path` stand (see [`path::values`]).
    fn values(&self, path: &str) -> Vec<Range<usize>> {
        path::values(self.grammar, &self.object, &self.body, 0, path)
    }

    fn model_in_body(&self) -> Option<String> {
        self.field("model").and_then(FieldValue::text)
    }

    fn read_model(&self) -> Result<String, BadRequest> {
        let Some(value) = self.field("model") else {
            return Err(BadRequest::missing("model"));
        };
        value.check("model", fields::FieldType::String)?;
        match value.text() {
            Some(model) if !model.is_empty() => Ok(model),
            _ => Err(BadRequest {
                message: "Invalid 'model': expected the name of a model.".to_owned(),
                param: Some("model".to_owned()),
                code: Some("invalid_value"),
            }),
        }
    }
}

/// A field that routing reads may not come twice: this router and the upstream could each believe another one.
///
/// `paths` are such fields of `object`, which stands in `raw`, and `place` is its own path with a dot behind.
fn refuse_duplicates(
    grammar: &Grammar,
    object: &Object,
    raw: &[u8],
    place: &str,
    paths: &[&'static str],
) -> Result<(), BadRequest> {
    let mut is_seen = vec![false; paths.len()];
    for member in &object.members {
        let written = member.name(raw);
        let mut inner_paths = Vec::new();
        let mut inner_place = String::new();
        for (path, is_seen) in paths.iter().zip(&mut is_seen) {
            let (name, rest) = split_path(path);
            if !grammar.calls(name, written) {
                continue;
            }
            match rest {
                None if std::mem::replace(is_seen, true) => {
                    return Err(BadRequest::duplicate(&format!("{place}{name}")));
                }
                None => {}
                Some(rest) => {
                    inner_paths.push(rest);
                    inner_place = format!("{place}{name}.");
                }
            }
        }
        if inner_paths.is_empty() {
            continue;
        }
        let inner = raw.get(member.value.clone()).unwrap_or_default();
        if let Ok(object) = scan::scan_object(inner, |_| false) {
            refuse_duplicates(grammar, &object, inner, &inner_place, &inner_paths)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
