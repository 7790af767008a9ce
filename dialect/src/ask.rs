//! What a client asks, as far as routing has to know it.

mod estimate;
mod fields;
mod grammar;
mod needs;

use std::ops::Range;
use std::sync::OnceLock;

use bytes::Bytes;
use serde_json::{Map, Value};
use shared::config::Dialect;

use self::fields::FieldValue;
use self::grammar::{Grammar, StreamPlace};
pub use self::needs::Needs;
use crate::canon::Field;
use crate::error::{ErrorBody, ErrorType};
use crate::scan::{self, Object, ScanError};
use crate::splice::Splice;
use crate::{Endpoint, Operation, TokenCounter};

/// A request, parsed once: its bytes, and where in them the fields are.
#[derive(Debug)]
pub struct Ask {
    endpoint: Endpoint,
    grammar: &'static Grammar,
    body: Bytes,
    object: Object,
    model: String,
    is_stream: bool,
    stream_options: Option<StreamOptions>,
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
        refuse_duplicates(grammar, &object, &body)?;

        let mut ask = Self {
            endpoint,
            grammar,
            body,
            object,
            model: String::new(),
            is_stream: path.is_stream,
            stream_options: None,
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
        for (name, expected) in self.grammar.required {
            let Some(value) = self.field(name) else {
                return Err(BadRequest::missing(name));
            };
            value.check(name, *expected)?;
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

    /// The body for an upstream of the same dialect: the client's bytes, with another model name, the overrides in
    /// place, and a stream's usage asked for.
    ///
    /// Overrides are named as OpenAI names them, and set where this dialect has them; one that is no field of chats in
    /// general is set as it is named.
    pub fn for_same_dialect(&self, upstream_model: &str, overrides: &Map<String, Value>) -> Bytes {
        let mut splice = Splice::default();
        if self.grammar.has_model && upstream_model != self.model_in_body().unwrap_or_default() {
            self.set(&mut splice, "model", &Value::from(upstream_model));
        }
        let asks_usage = self.is_stream && self.grammar.has_stream_options;
        for (name, value) in overrides {
            let is_ours = match name.as_str() {
                "model" | "stream" => true,
                "stream_options" => asks_usage,
                _ => false,
            };
            if !is_ours {
                self.set(&mut splice, self.place_of(name), value);
            }
        }
        if asks_usage {
            self.ask_usage(&mut splice, overrides.get("stream_options"));
        }
        splice.apply(&self.body)
    }

    /// Where this dialect has the field that OpenAI calls `name`.
    fn place_of<'a>(&self, name: &'a str) -> &'a str {
        let dialect = self.endpoint.dialect();
        if dialect == Dialect::OpenaiChat || self.endpoint.operation() != Operation::Chat {
            return name;
        }
        Field::of_openai(name)
            .and_then(|field| field.path(dialect))
            .unwrap_or(name)
    }

    /// Sets the field at `path` (dotted), wherever it is; all of them, should a field that routing does not read come
    /// twice.
    fn set(&self, splice: &mut Splice, path: &str, value: &Value) {
        set_in(&self.object, &self.body, 0, splice, path, value);
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

    /// The value at `path` (dotted); `None` if it is absent or null, which is the same to all upstreams.
    fn field(&self, path: &str) -> Option<FieldValue<'_>> {
        let (name, mut rest) = split_path(path);
        let mut members = self.object.members.iter();
        let member = members.find(|member| member.name(&self.body) == name.as_bytes())?;
        let mut raw = self.body.get(member.value.clone())?;
        while let Some(path) = rest {
            let name;
            (name, rest) = split_path(path);
            let object = scan::scan_object(raw, |_| false).ok()?;
            let mut members = object.members.iter();
            let member = members.find(|member| member.name(raw) == name.as_bytes())?;
            raw = raw.get(member.value.clone())?;
        }
        FieldValue::new(raw)
    }

    fn include_usage(&self) -> Option<FieldValue<'_>> {
        let options = self.stream_options.as_ref()?;
        FieldValue::new(self.body.get(options.include_usage.clone()?)?)
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

    fn read_stream_options(&self) -> Result<Option<StreamOptions>, BadRequest> {
        if !self.grammar.has_stream_options {
            return Ok(None);
        }
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

fn split_path(path: &str) -> (&str, Option<&str>) {
    match path.split_once('.') {
        Some((name, rest)) => (name, Some(rest)),
        None => (path, None),
    }
}

/// Sets `path` in `object`, which stands in `raw`; `raw` begins at `start` of the body.
fn set_in(
    object: &Object,
    raw: &[u8],
    start: usize,
    splice: &mut Splice,
    path: &str,
    value: &Value,
) {
    let (name, rest) = split_path(path);
    let mut is_there = false;
    for member in &object.members {
        if member.name(raw) != name.as_bytes() {
            continue;
        }
        is_there = true;
        let span = start + member.value.start..start + member.value.end;
        let inner = raw.get(member.value.clone()).unwrap_or_default();
        match rest.map(|rest| (rest, scan::scan_object(inner, |_| false))) {
            Some((rest, Ok(object))) => set_in(&object, inner, span.start, splice, rest, value),
            Some((rest, Err(_))) => splice.replace(span, nest(rest, value)),
            None => splice.replace(span, value.to_string()),
        }
    }
    if !is_there {
        let comma = if object.members.is_empty() { "" } else { "," };
        let value = match rest {
            Some(rest) => nest(rest, value),
            None => value.to_string(),
        };
        splice.insert(
            start + object.inside,
            format!("{}:{value}{comma}", Value::from(name)),
        );
    }
}

/// `a.b` and 1 → `{"a":{"b":1}}`.
fn nest(path: &str, value: &Value) -> String {
    path.rsplit('.').fold(value.to_string(), |inner, name| {
        format!("{{{}:{inner}}}", Value::from(name))
    })
}

/// A field that routing reads may not come twice: this router and the upstream could each believe another one.
fn refuse_duplicates(grammar: &Grammar, object: &Object, body: &[u8]) -> Result<(), BadRequest> {
    let mut is_seen = vec![false; grammar.routing.len()];
    for member in &object.members {
        let name = member.name(body);
        for (field, is_seen) in grammar.routing.iter().zip(&mut is_seen) {
            if field.as_bytes() == name && std::mem::replace(is_seen, true) {
                return Err(BadRequest::duplicate(field));
            }
        }
    }
    Ok(())
}

impl BadRequest {
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            param: None,
            code: None,
        }
    }

    /// A field with a value that cannot be; `expected` ends the sentence "expected …".
    pub fn invalid(field: &str, expected: &str) -> Self {
        Self {
            message: format!("Invalid '{field}': expected {expected}."),
            param: Some(field.to_owned()),
            code: Some("invalid_value"),
        }
    }

    pub fn missing(field: &str) -> Self {
        Self {
            message: format!("Missing required parameter: '{field}'."),
            param: Some(field.to_owned()),
            code: Some("missing_required_parameter"),
        }
    }

    pub fn duplicate(field: &str) -> Self {
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
