//! Models as Ollama's clients list them.
//!
//! Where files and their sizes would be told, there are none: the values say so and are of the form that clients take
//! apart. Ollama's own client cuts the first twelve letters off a digest, so that is all zeros rather than empty.

use serde::Serialize;
use serde_json::{Map, Value, json};
use shared::config::Capability;

use crate::listing::{EPOCH, ListedModel, bytes};

const DIGEST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Models are not unloaded here; so far ahead, clients say "forever".
const NEVER: &str = "2300-01-01T00:00:00Z";

/// Clients look for the context's length under the name of the architecture.
const ARCHITECTURE: &str = "sluice";

/// `GET /api/tags`.
pub fn ollama_tags(models: &[ListedModel<'_>]) -> Vec<u8> {
    let models: Vec<_> = models.iter().map(Tag::of).collect();
    bytes(&json!({"models": models}))
}

/// `POST /api/show`.
pub fn ollama_show(model: &ListedModel<'_>) -> Vec<u8> {
    let mut model_info = Map::new();
    model_info.insert("general.architecture".to_owned(), json!(ARCHITECTURE));
    model_info.insert("general.basename".to_owned(), json!(model.name));
    if let Some(context_length) = model.context_length {
        let path = format!("{ARCHITECTURE}.context_length");
        model_info.insert(path, json!(context_length));
    }
    bytes(&Shown {
        modelfile: "",
        parameters: "",
        template: "",
        details: Details::NONE,
        model_info,
        capabilities: capabilities(model),
        modified_at: EPOCH,
    })
}

/// `GET /api/ps`, for the models that can be asked at once.
pub fn ollama_ps(models: &[ListedModel<'_>]) -> Vec<u8> {
    let models: Vec<_> = models.iter().map(Process::of).collect();
    bytes(&json!({"models": models}))
}

#[derive(Serialize)]
struct Tag<'a> {
    name: &'a str,
    model: &'a str,
    modified_at: &'static str,
    size: u64,
    digest: &'static str,
    details: Details,
    capabilities: Vec<&'static str>,
}

impl<'a> Tag<'a> {
    fn of(model: &ListedModel<'a>) -> Self {
        Self {
            name: model.name,
            model: model.name,
            modified_at: EPOCH,
            size: 0,
            digest: DIGEST,
            details: Details::NONE,
            capabilities: capabilities(model),
        }
    }
}

#[derive(Serialize)]
struct Shown {
    modelfile: &'static str,
    parameters: &'static str,
    template: &'static str,
    details: Details,
    /// The one field that Ollama's Python SDK insists on.
    model_info: Map<String, Value>,
    capabilities: Vec<&'static str>,
    modified_at: &'static str,
}

#[derive(Serialize)]
struct Process<'a> {
    name: &'a str,
    model: &'a str,
    size: u64,
    digest: &'static str,
    details: Details,
    expires_at: &'static str,
    size_vram: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    context_length: Option<u32>,
}

impl<'a> Process<'a> {
    fn of(model: &ListedModel<'a>) -> Self {
        Self {
            name: model.name,
            model: model.name,
            size: 0,
            digest: DIGEST,
            details: Details::NONE,
            expires_at: NEVER,
            size_vram: 0,
            context_length: model.context_length,
        }
    }
}

/// Of a model's file.
#[derive(Serialize)]
struct Details {
    parent_model: &'static str,
    format: &'static str,
    family: &'static str,
    families: [&'static str; 0],
    parameter_size: &'static str,
    quantization_level: &'static str,
}

impl Details {
    const NONE: Self = Self {
        parent_model: "",
        format: "",
        family: "",
        families: [],
        parameter_size: "",
        quantization_level: "",
    };
}

/// In Ollama's words, which has none for documents and schemas.
fn capabilities(model: &ListedModel<'_>) -> Vec<&'static str> {
    let mut words = Vec::new();
    if model.is_chatting() {
        words.push("completion");
    }
    let others = [
        (Capability::Vision, "vision"),
        (Capability::Audio, "audio"),
        (Capability::Tools, "tools"),
        (Capability::Embedding, "embedding"),
    ];
    let others = others
        .into_iter()
        .filter(|(capability, _)| model.has(*capability));
    words.extend(others.map(|(_, word)| word));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGE: ListedModel<'_> = ListedModel {
        name: "large:1",
        context_length: Some(8192),
        capabilities: &[Capability::Text, Capability::JsonSchema, Capability::Tools],
    };

    fn details() -> Value {
        json!({"parent_model": "", "format": "", "family": "", "families": [], "parameter_size": "", "quantization_level": ""})
    }

    #[track_caller]
    fn check(list: &[u8], expected: &Value) {
        let list: Value = serde_json::from_slice(list).unwrap();
        assert_eq!(list, *expected);
    }

    #[test]
    fn tags_name_each_model_twice() {
        check(
            &ollama_tags(&[LARGE]),
            &json!({"models": [{
                "name": "large:1", "model": "large:1", "modified_at": "1970-01-01T00:00:00Z", "size": 0,
                "digest": DIGEST, "details": details(), "capabilities": ["completion", "tools"],
            }]}),
        );
        check(&ollama_tags(&[]), &json!({"models": []}));
    }

    #[test]
    fn a_shown_model_tells_its_context_under_its_architecture() {
        check(
            &ollama_show(&LARGE),
            &json!({
                "modelfile": "", "parameters": "", "template": "", "details": details(),
                "model_info": {
                    "general.architecture": "sluice", "general.basename": "large:1", "sluice.context_length": 8192,
                },
                "capabilities": ["completion", "tools"], "modified_at": "1970-01-01T00:00:00Z",
            }),
        );
    }

    #[test]
    fn loaded_models_stay_loaded() {
        let unknown = ListedModel {
            name: "auto",
            context_length: None,
            capabilities: &[],
        };

        check(
            &ollama_ps(&[unknown]),
            &json!({"models": [{
                "name": "auto", "model": "auto", "size": 0, "digest": DIGEST, "details": details(),
                "expires_at": "2300-01-01T00:00:00Z", "size_vram": 0,
            }]}),
        );
    }

    #[test]
    fn a_model_of_unknown_capabilities_completes() {
        let words = |capabilities| {
            super::capabilities(&ListedModel {
                capabilities,
                ..LARGE
            })
        };

        assert_eq!(words(&[]), ["completion"]);
        assert_eq!(words(&[Capability::Embedding]), ["embedding"]);
        let all = ["completion", "vision", "audio", "tools", "embedding"];
        assert_eq!(words(&Capability::ALL), all);
    }
}
