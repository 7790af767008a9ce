//! What a client asks, as far as routing has to know it.

mod estimate;
mod fields;

use std::ops::Range;
use std::sync::OnceLock;

use bytes::Bytes;
use serde_json::{Map, Value};

use self::fields::{FieldType, FieldValue};
use super::error::{ErrorBody, ErrorType};
use super::scan::{self, Object, ScanError};
use super::splice::Splice;
use super::{Endpoint, TokenCounter};

/// The fields that routing reads. One that comes twice is refused: this router and the upstream could each
/// believe another one.
const ROUTING_FIELDS: [&str; 13] = [
    "model",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "best_of",
    "messages",
    "prompt",
    "input",
    "tools",
    "functions",
    "response_format",
];

/// A request, parsed once: its bytes, and where in them the fields are.
#[derive(Debug)]
pub struct Ask {
    endpoint: Endpoint,
    body: Bytes,
    object: Object,
    model: String,
    stream_options: Option<StreamOptions>,
    prompt_tokens: OnceLock<u32>,
}

/// The object in `stream_options`.
#[derive(Debug)]
struct StreamOptions {
    /// The position right after its `{`.
    inside: usize,
    is_empty: bool,
    include_usage: Option<Range<usize>>,
}

/// A request that no upstream would understand, in words for its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRequest {
    pub message: String,
    /// The path of the field at fault.
    pub param: Option<String>,
    pub code: Option<&'static str>,
}

impl Ask {
    /// Finds the fields of `body`; of their values, only `model` is looked at (see [`Self::check`]).
    ///
    /// # Errors
    ///
    /// What is not a JSON object, has a field twice that routing reads, or names no model.
    pub fn parse(endpoint: Endpoint, body: Bytes) -> Result<Self, BadRequest> {
        if body.starts_with(b"\xEF\xBB\xBF") {
            return Err(BadRequest::new(
                "The request body begins with a byte order mark; send the JSON without it.",
            ));
        }
        let holds_text: fn(&[u8]) -> bool = match endpoint {
            Endpoint::ChatCompletions => |name| name == b"messages",
            Endpoint::Completions => |name| name == b"prompt",
            Endpoint::Embeddings => |name| name == b"input",
        };
        let object = scan::scan_object(&body, holds_text).map_err(|error| match error {
            ScanError::Syntax {
                expected: "`{`", ..
            } => BadRequest::new(
                "The request body must be a JSON object, such as `{\"model\": \"…\", …}`.",
            ),
            error => BadRequest::new(format!("The request body is not valid JSON: {error}.")),
        })?;
        refuse_duplicates(&object, &body)?;

        let mut ask = Self {
            endpoint,
            body,
            object,
            model: String::new(),
            stream_options: None,
            prompt_tokens: OnceLock::new(),
        };
        ask.model = ask.read_model()?;
        ask.stream_options = ask.read_stream_options()?;
        Ok(ask)
    }

    /// The public model name that was asked for.
    pub fn model(&self) -> &str {
        &self.model
    }

    pub fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    /// Checks the other fields that routing reads; apart from [`Self::parse`], so that an unknown model is told first.
    ///
    /// # Errors
    ///
    /// A field of the wrong type, or no prompt.
    pub fn check(&self) -> Result<(), BadRequest> {
        let prompt = self.endpoint.prompt_field();
        let prompt_type = match self.endpoint {
            Endpoint::ChatCompletions => FieldType::Array,
            Endpoint::Completions | Endpoint::Embeddings => FieldType::StringOrArray,
        };
        let Some(value) = self.field(prompt) else {
            return Err(BadRequest::missing(prompt));
        };
        value.check(prompt, prompt_type)?;
        if self.endpoint == Endpoint::Embeddings {
            return Ok(());
        }

        for (name, expected) in [
            ("stream", FieldType::Boolean),
            ("stream_options", FieldType::Object),
            ("max_tokens", FieldType::Integer),
            ("max_completion_tokens", FieldType::Integer),
            ("n", FieldType::PositiveInteger),
            ("best_of", FieldType::PositiveInteger),
        ] {
            if let Some(value) = self.field(name) {
                value.check(name, expected)?;
            }
        }
        match self.include_usage() {
            Some(value) => value.check("stream_options.include_usage", FieldType::Boolean),
            None => Ok(()),
        }
    }

    pub fn is_stream(&self) -> bool {
        self.endpoint != Endpoint::Embeddings
            && self.field("stream").is_some_and(FieldValue::is_true)
    }

    /// Whether the client itself asked for `stream_options.include_usage`.
    pub fn wants_usage(&self) -> bool {
        self.include_usage().is_some_and(FieldValue::is_true)
    }

    /// The tokens to reserve, prompt and output, where `overrides` are the model's: see the module `estimate`.
    pub fn estimate(&self, tokens: &TokenCounter, overrides: &Map<String, Value>) -> u32 {
        estimate::tokens(self, tokens, overrides)
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

    /// The body for an upstream: the client's bytes, with another model name, the overrides in place, and a stream's
    /// usage asked for.
    pub fn for_upstream(&self, upstream_model: &str, overrides: &Map<String, Value>) -> Bytes {
        let mut splice = Splice::default();
        if upstream_model != self.model {
            self.set(&mut splice, "model", &Value::from(upstream_model));
        }
        let asks_usage = self.is_stream();
        for (name, value) in overrides {
            let is_ours = match name.as_str() {
                "model" | "stream" => true,
                "stream_options" => asks_usage,
                _ => false,
            };
            if !is_ours {
                self.set(&mut splice, name, value);
            }
        }
        if asks_usage {
            self.ask_usage(&mut splice, overrides.get("stream_options"));
        }
        splice.apply(&self.body)
    }

    /// Sets the field, wherever it is; all of them, should a field that routing does not read come twice.
    fn set(&self, splice: &mut Splice, name: &str, value: &Value) {
        let value = value.to_string();
        let mut is_there = false;
        for member in &self.object.members {
            if member.name(&self.body) == name.as_bytes() {
                splice.replace(member.value.clone(), value.clone());
                is_there = true;
            }
        }
        if !is_there {
            // There is a member after it: `model`.
            splice.insert(
                self.object.inside,
                format!("{}:{value},", Value::from(name)),
            );
        }
    }

    /// Sets `stream_options.include_usage` and keeps what else is in `stream_options`.
    fn ask_usage(&self, splice: &mut Splice, overridden: Option<&Value>) {
        match (overridden, &self.stream_options) {
            (Some(options), _) => {
                let mut options = options.as_object().cloned().unwrap_or_default();
                options.insert("include_usage".to_owned(), Value::from(true));
                self.set(splice, "stream_options", &Value::from(options));
            }
            (None, None) => {
                let options = Map::from_iter([("include_usage".to_owned(), Value::from(true))]);
                self.set(splice, "stream_options", &Value::from(options));
            }
            (None, Some(_)) if self.wants_usage() => {}
            (None, Some(options)) => match &options.include_usage {
                Some(span) => splice.replace(span.clone(), "true".to_owned()),
                None => {
                    let comma = if options.is_empty { "" } else { "," };
                    splice.insert(options.inside, format!("\"include_usage\":true{comma}"));
                }
            },
        }
    }

    /// A field's value; `None` if it is absent or null, which is the same to all upstreams.
    fn field(&self, name: &str) -> Option<FieldValue<'_>> {
        let mut members = self.object.members.iter();
        let member = members.find(|member| member.name(&self.body) == name.as_bytes())?;
        self.value(&member.value)
    }

    fn include_usage(&self) -> Option<FieldValue<'_>> {
        let options = self.stream_options.as_ref()?;
        self.value(options.include_usage.as_ref()?)
    }

    fn value(&self, span: &Range<usize>) -> Option<FieldValue<'_>> {
        FieldValue::new(self.body.get(span.clone())?)
    }

    fn read_model(&self) -> Result<String, BadRequest> {
        let Some(value) = self.field("model") else {
            return Err(BadRequest::missing("model"));
        };
        value.check("model", FieldType::String)?;
        match value.text() {
            Some(model) if !model.is_empty() => Ok(model),
            _ => Err(BadRequest {
                message: "Invalid 'model': expected the name of a model.".to_owned(),
                param: Some("model".to_owned()),
                code: Some("invalid_value"),
            }),
        }
    }

    fn read_stream_options(&self) -> Result<Option<StreamOptions>, BadRequest> {
        let mut members = self.object.members.iter();
        let Some(member) = members.find(|member| member.name(&self.body) == b"stream_options")
        else {
            return Ok(None);
        };
        let start = member.value.start;
        let raw = self.body.get(member.value.clone()).unwrap_or_default();
        if !raw.starts_with(b"{") {
            return Ok(None);
        }
        let object = scan::scan_object(raw, |_| false)
            .map_err(|error| BadRequest::new(format!("Invalid 'stream_options': {error}.")))?;
        let mut include_usage = None;
        for option in &object.members {
            if option.name(raw) != b"include_usage" {
                continue;
            }
            let span = start + option.value.start..start + option.value.end;
            if include_usage.replace(span).is_some() {
                return Err(BadRequest::duplicate("stream_options.include_usage"));
            }
        }
        Ok(Some(StreamOptions {
            inside: start + object.inside,
            is_empty: object.members.is_empty(),
            include_usage,
        }))
    }
}

fn refuse_duplicates(object: &Object, body: &[u8]) -> Result<(), BadRequest> {
    let mut is_seen = [false; ROUTING_FIELDS.len()];
    for member in &object.members {
        let name = member.name(body);
        for (field, is_seen) in ROUTING_FIELDS.iter().zip(&mut is_seen) {
            if field.as_bytes() == name && std::mem::replace(is_seen, true) {
                return Err(BadRequest::duplicate(field));
            }
        }
    }
    Ok(())
}

impl BadRequest {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            param: None,
            code: None,
        }
    }

    fn missing(field: &str) -> Self {
        Self {
            message: format!("Missing required parameter: '{field}'."),
            param: Some(field.to_owned()),
            code: Some("missing_required_parameter"),
        }
    }

    fn duplicate(field: &str) -> Self {
        Self {
            message: format!("Duplicate parameter: '{field}' may be given only once."),
            param: Some(field.to_owned()),
            code: Some("duplicate_parameter"),
        }
    }

    /// As the body of a 400.
    pub fn body(&self) -> ErrorBody<'_> {
        ErrorBody {
            message: &self.message,
            kind: ErrorType::InvalidRequest,
            param: self.param.as_deref(),
            code: self.code,
        }
    }
}

#[cfg(test)]
mod tests;
