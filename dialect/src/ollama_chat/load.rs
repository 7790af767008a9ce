//! Requests that ask nothing: Ollama takes them to load a model into memory, or out of it.

use serde_json::json;

use super::rfc3339;
use crate::Endpoint;

/// What is wanted of a model instead of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    Load,
    Unload,
}

impl Load {
    /// Of `keep_alive`, as it is written: nothing, or a duration of nothing, unloads at once.
    pub(crate) fn by_keep_alive(keep_alive: Option<&[u8]>) -> Self {
        let text = keep_alive.unwrap_or_default();
        let text = text.strip_prefix(b"\"").unwrap_or(text);
        let is_zero =
            text.first() == Some(&b'0') && !text.iter().any(|byte| (b'1'..=b'9').contains(byte));
        match is_zero {
            true => Self::Unload,
            false => Self::Load,
        }
    }
}

/// What Ollama says when it is done, asked for a stream or not.
pub fn load_reply(endpoint: Endpoint, load: Load, model: &str, created: i64) -> Vec<u8> {
    let done_reason = match load {
        Load::Load => "load",
        Load::Unload => "unload",
    };
    let created_at = rfc3339(created);
    let reply = match endpoint {
        Endpoint::OllamaGenerate => json!({
            "model": model,
            "created_at": created_at,
            "response": "",
            "done": true,
            "done_reason": done_reason,
        }),
        _ => json!({
            "model": model,
            "created_at": created_at,
            "message": {"role": "assistant", "content": ""},
            "done": true,
            "done_reason": done_reason,
        }),
    };
    reply.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_is_kept_for_no_time_is_unloaded() {
        for (keep_alive, expected) in [
            ("0", Load::Unload),
            ("0.0", Load::Unload),
            (r#""0""#, Load::Unload),
            (r#""0s""#, Load::Unload),
            ("-1", Load::Load),
            (r#""5m""#, Load::Load),
            (r#""0.5s""#, Load::Load),
            ("600", Load::Load),
        ] {
            assert_eq!(
                Load::by_keep_alive(Some(keep_alive.as_bytes())),
                expected,
                "{keep_alive}"
            );
        }
        assert_eq!(Load::by_keep_alive(None), Load::Load);
    }

    #[test]
    fn each_endpoint_has_a_word_for_nothing() {
        let reply = |endpoint, load| String::from_utf8(load_reply(endpoint, load, "m", 0)).unwrap();

        assert_eq!(
            reply(Endpoint::OllamaChat, Load::Load),
            r#"{"model":"m","created_at":"1970-01-01T00:00:00Z","message":{"role":"assistant","content":""},"done":true,"done_reason":"load"}"#
        );
        assert_eq!(
            reply(Endpoint::OllamaGenerate, Load::Unload),
            r#"{"model":"m","created_at":"1970-01-01T00:00:00Z","response":"","done":true,"done_reason":"unload"}"#
        );
    }
}
