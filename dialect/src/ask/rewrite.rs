//! The client's bytes for an upstream of its own dialect, with what the router changes in them.

use std::ops::Range;

use bytes::Bytes;
use serde_json::{Map, Value};
use shared::config::Dialect;

use super::{Ask, BadRequest, split_path};
use crate::Operation;
use crate::canon::Field;
use crate::scan::{self, Object};
use crate::splice::Splice;

/// The object in `stream_options`.
#[derive(Debug)]
pub(super) struct StreamOptions {
    /// The position right after its `{`.
    inside: usize,
    is_empty: bool,
    pub(super) include_usage: Option<Range<usize>>,
}

impl Ask {
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
    pub(super) fn place_of<'a>(&self, name: &'a str) -> &'a str {
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

    pub(super) fn read_stream_options(&self) -> Result<Option<StreamOptions>, BadRequest> {
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
