//! A request that came as a form with files: on its way to an upstream, its files lie on disk.

mod multipart;

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};
use tempfile::NamedTempFile;

pub(in crate::upstream) use self::multipart::multipart;

/// Parts in the order they came.
#[derive(Clone, Debug, Default)]
pub struct Form {
    pub parts: Vec<FormPart>,
}

#[derive(Clone, Debug)]
pub struct FormPart {
    pub name: String,
    pub content: FormContent,
}

#[derive(Clone, Debug)]
pub enum FormContent {
    Text(String),
    File {
        /// As the client named it.
        name: String,
        media_type: Option<String>,
        /// Deleted with the last request that sends it.
        file: Arc<NamedTempFile>,
        /// In bytes.
        len: u64,
    },
}

impl Form {
    /// Its plain fields as the object that routing reads: texts, but for `stream`.
    pub fn to_json(&self) -> Bytes {
        let texts = self.parts.iter().filter_map(|part| match &part.content {
            FormContent::Text(text) => Some((part.name.clone(), text)),
            FormContent::File { .. } => None,
        });
        let fields: Map<String, Value> = texts
            .map(|(name, text)| {
                let value = match (name.as_str(), text.as_str()) {
                    ("stream", "true") => Value::Bool(true),
                    ("stream", "false") => Value::Bool(false),
                    (_, text) => Value::from(text),
                };
                (name, value)
            })
            .collect();
        Bytes::from(Value::Object(fields).to_string())
    }

    /// The same for an upstream: its name of the model, and the forced fields in place.
    pub fn for_upstream(&self, model: &str, overrides: &Map<String, Value>) -> Self {
        let mut parts = self.parts.clone();
        let forced = overrides
            .iter()
            .map(|(name, value)| (name.as_str(), text_of(value)));
        for (name, text) in forced.chain([("model", model.to_owned())]) {
            parts.retain(|part| part.name != name);
            parts.insert(
                0,
                FormPart {
                    name: name.to_owned(),
                    content: FormContent::Text(text),
                },
            );
        }
        Self { parts }
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(name: &str, text: &str) -> FormPart {
        FormPart {
            name: name.to_owned(),
            content: FormContent::Text(text.to_owned()),
        }
    }

    #[test]
    fn plain_fields_are_what_routing_reads() {
        let form = Form {
            parts: vec![text("stream", "true"), text("model", "whisper")],
        };

        assert_eq!(form.to_json(), r#"{"stream":true,"model":"whisper"}"#);
    }

    #[test]
    fn the_model_and_forced_fields_are_the_upstreams() {
        let form = Form {
            parts: vec![text("temperature", "1"), text("model", "public")],
        };
        let overrides = json!({"temperature": 0.2, "language": "de"});

        let sent = form.for_upstream("whisper-1", overrides.as_object().unwrap());

        let fields: Value = serde_json::from_slice(&sent.to_json()).unwrap();
        assert_eq!(
            fields,
            json!({"model": "whisper-1", "temperature": "0.2", "language": "de"})
        );
    }
}
