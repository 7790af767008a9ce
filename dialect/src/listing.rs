//! Lists of the models that a client may use, as each dialect's clients know them.
//!
//! What a list must have and nobody knows (dates, owners) has a value that claims nothing; what it may have and nobody
//! knows is left out. Ollama's lists are in its own module.

use serde::Serialize;
use serde_json::json;
use shared::config::Capability;

/// When everything was made whose date is not known. Anthropic says so of its own models.
pub(crate) const EPOCH: &str = "1970-01-01T00:00:00Z";

const OWNER: &str = "sluice";

/// A model by its public name.
#[derive(Clone, Copy, Debug)]
pub struct ListedModel<'a> {
    pub name: &'a str,
    /// Prompt and answer together, in tokens.
    pub context_length: Option<u32>,
    /// Empty: unknown, and taken for a model that chats.
    pub capabilities: &'a [Capability],
}

impl ListedModel<'_> {
    pub(crate) fn has(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }

    pub(crate) fn is_chatting(&self) -> bool {
        self.has(Capability::Text) || !self.has(Capability::Embedding)
    }
}

/// `GET /v1/models` of OpenAI's.
pub fn openai_models(models: &[ListedModel<'_>]) -> Vec<u8> {
    let data: Vec<_> = models.iter().map(OpenAiModel::of).collect();
    bytes(&json!({"object": "list", "data": data}))
}

/// `GET /v1/models/{id}` of OpenAI's.
pub fn openai_model(model: &ListedModel<'_>) -> Vec<u8> {
    bytes(&OpenAiModel::of(model))
}

/// `GET /v1/models` of Anthropic's, all on one page.
pub fn anthropic_models(models: &[ListedModel<'_>]) -> Vec<u8> {
    let data: Vec<_> = models.iter().map(AnthropicModel::of).collect();
    bytes(&json!({
        "data": data,
        "has_more": false,
        "first_id": models.first().map(|model| model.name),
        "last_id": models.last().map(|model| model.name),
    }))
}

/// `GET /v1/models/{id}` of Anthropic's.
pub fn anthropic_model(model: &ListedModel<'_>) -> Vec<u8> {
    bytes(&AnthropicModel::of(model))
}

/// `GET /v1beta/models` of Gemini's, all on one page.
pub fn gemini_models(models: &[ListedModel<'_>]) -> Vec<u8> {
    let models: Vec<_> = models.iter().map(GeminiModel::of).collect();
    bytes(&json!({"models": models}))
}

/// `GET /v1beta/models/{id}` of Gemini's.
pub fn gemini_model(model: &ListedModel<'_>) -> Vec<u8> {
    bytes(&GeminiModel::of(model))
}

/// `GET /api/v0/models` of LM Studio's.
pub fn lm_studio_models(models: &[ListedModel<'_>]) -> Vec<u8> {
    let data: Vec<_> = models.iter().map(LmStudioModel::of).collect();
    bytes(&json!({"object": "list", "data": data}))
}

/// `GET /api/v0/models/{id}` of LM Studio's.
pub fn lm_studio_model(model: &ListedModel<'_>) -> Vec<u8> {
    bytes(&LmStudioModel::of(model))
}

#[derive(Serialize)]
struct OpenAiModel<'a> {
    id: &'a str,
    object: &'static str,
    /// Unix seconds; clients only want a number.
    created: u32,
    owned_by: &'static str,
}

impl<'a> OpenAiModel<'a> {
    fn of(model: &ListedModel<'a>) -> Self {
        Self {
            id: model.name,
            object: "model",
            created: 0,
            owned_by: OWNER,
        }
    }
}

#[derive(Serialize)]
struct AnthropicModel<'a> {
    r#type: &'static str,
    id: &'a str,
    display_name: &'a str,
    created_at: &'static str,
    /// A model that can be asked is not retired; SDKs since 2.0 have this field in each.
    lifecycle: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_input_tokens: Option<u32>,
}

impl<'a> AnthropicModel<'a> {
    fn of(model: &ListedModel<'a>) -> Self {
        Self {
            r#type: "model",
            id: model.name,
            display_name: model.name,
            created_at: EPOCH,
            lifecycle: "active",
            max_input_tokens: model.context_length,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GeminiModel<'a> {
    name: String,
    display_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_token_limit: Option<u32>,
    supported_generation_methods: Vec<&'static str>,
}

impl<'a> GeminiModel<'a> {
    fn of(model: &ListedModel<'a>) -> Self {
        let mut methods = Vec::new();
        if model.is_chatting() {
            methods.extend(["generateContent", "countTokens"]);
        }
        if model.has(Capability::Embedding) {
            methods.extend(["embedContent", "batchEmbedContents"]);
        }
        Self {
            name: format!("models/{}", model.name),
            display_name: model.name,
            input_token_limit: model.context_length,
            supported_generation_methods: methods,
        }
    }
}

#[derive(Serialize)]
struct LmStudioModel<'a> {
    id: &'a str,
    object: &'static str,
    r#type: &'static str,
    publisher: &'static str,
    arch: &'static str,
    /// Some clients read only a list in which each model is `gguf` or `mlx`.
    compatibility_type: &'static str,
    quantization: &'static str,
    /// A model that can be asked is loaded, as far as its client can tell.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_context_length: Option<u32>,
    capabilities: Vec<&'static str>,
}

impl<'a> LmStudioModel<'a> {
    fn of(model: &ListedModel<'a>) -> Self {
        let tools = model.has(Capability::Tools).then_some("tool_use");
        Self {
            id: model.name,
            object: "model",
            r#type: match model.is_chatting() {
                false => "embeddings",
                true if model.has(Capability::Vision) => "vlm",
                true => "llm",
            },
            publisher: OWNER,
            arch: "",
            compatibility_type: "gguf",
            quantization: "",
            state: "loaded",
            max_context_length: model.context_length,
            capabilities: tools.into_iter().collect(),
        }
    }
}

/// Names and numbers can always be written.
pub(crate) fn bytes(list: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(list).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const CHAT: ListedModel<'_> = ListedModel {
        name: "org/large:1",
        context_length: Some(8192),
        capabilities: &[Capability::Text, Capability::Vision, Capability::Tools],
    };
    const EMBEDDING: ListedModel<'_> = ListedModel {
        name: "embed",
        context_length: None,
        capabilities: &[Capability::Embedding],
    };
    const UNKNOWN: ListedModel<'_> = ListedModel {
        name: "auto",
        context_length: None,
        capabilities: &[],
    };

    #[track_caller]
    fn check(list: &[u8], expected: &Value) {
        let list: Value = serde_json::from_slice(list).unwrap();
        assert_eq!(list, *expected);
    }

    #[test]
    fn openai_gets_ids_and_an_owner() {
        let large =
            json!({"id": "org/large:1", "object": "model", "created": 0, "owned_by": "sluice"});

        check(&openai_model(&CHAT), &large);
        check(
            &openai_models(&[CHAT]),
            &json!({"object": "list", "data": [large]}),
        );
        check(&openai_models(&[]), &json!({"object": "list", "data": []}));
    }

    #[test]
    fn anthropic_gets_one_page() {
        let large = json!({"type": "model", "id": "org/large:1", "display_name": "org/large:1",
            "created_at": "1970-01-01T00:00:00Z", "lifecycle": "active", "max_input_tokens": 8192});
        let auto = json!({"type": "model", "id": "auto", "display_name": "auto",
            "created_at": "1970-01-01T00:00:00Z", "lifecycle": "active"});

        check(&anthropic_model(&CHAT), &large);
        check(
            &anthropic_models(&[CHAT, UNKNOWN]),
            &json!({"data": [large, auto], "has_more": false, "first_id": "org/large:1", "last_id": "auto"}),
        );
        check(
            &anthropic_models(&[]),
            &json!({"data": [], "has_more": false, "first_id": null, "last_id": null}),
        );
    }

    #[test]
    fn gemini_is_told_what_each_model_does() {
        let large = json!({"name": "models/org/large:1", "displayName": "org/large:1", "inputTokenLimit": 8192,
            "supportedGenerationMethods": ["generateContent", "countTokens"]});
        let embed = json!({"name": "models/embed", "displayName": "embed",
            "supportedGenerationMethods": ["embedContent", "batchEmbedContents"]});

        check(&gemini_model(&CHAT), &large);
        check(
            &gemini_models(&[CHAT, EMBEDDING]),
            &json!({"models": [large, embed]}),
        );
    }

    #[test]
    fn lm_studio_is_told_the_kind_of_each_model() {
        let entry = |id, kind, capabilities: &[&str]| {
            json!({"id": id, "object": "model", "type": kind, "publisher": "sluice", "arch": "",
                "compatibility_type": "gguf", "quantization": "", "state": "loaded", "capabilities": capabilities})
        };
        let mut large = entry("org/large:1", "vlm", &["tool_use"]);
        large["max_context_length"] = json!(8192);

        check(&lm_studio_model(&CHAT), &large);
        check(
            &lm_studio_models(&[CHAT, EMBEDDING, UNKNOWN]),
            &json!({"object": "list", "data": [large, entry("embed", "embeddings", &[]), entry("auto", "llm", &[])]}),
        );
    }
}
