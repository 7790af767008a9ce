//! The files, and what is expected of each.
//!
//! `UPDATE_FIXTURES=1` writes what comes out instead of comparing it: read the difference before you commit it.

use std::fs;
use std::path::{Path, PathBuf};

use dialect::Endpoint;
use dialect::canon::{AnswerFacts, StreamVariant};

/// One file that goes in.
pub(crate) struct Case {
    /// The folder it lies in, and its name without the extension.
    pub(crate) folder: PathBuf,
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

/// Every file of `fixtures/<folder>` with this extension whose name has no other dot, by name.
pub(crate) fn cases(folder: &str, extension: &str) -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(folder);
    let Ok(entries) = fs::read_dir(&folder) else {
        return Vec::new();
    };
    let mut cases: Vec<Case> = entries
        .filter_map(|entry| {
            let path = entry.expect("a readable folder").path();
            let file = path.file_name()?.to_str()?;
            let name = file.strip_suffix(extension)?.strip_suffix('.')?;
            (!name.contains('.')).then(|| Case {
                folder: folder.clone(),
                name: name.to_owned(),
                bytes: fs::read(&path).expect("a readable file"),
            })
        })
        .collect();
    cases.sort_by(|one, other| one.name.cmp(&other.name));
    cases
}

impl Case {
    /// Compares `output` with the file `<name>.<suffix>` beside this case.
    pub(crate) fn check(&self, suffix: &str, output: &[u8], differences: &mut Vec<String>) {
        let path = self.folder.join(format!("{}.{suffix}", self.name));
        if std::env::var_os("UPDATE_FIXTURES").is_some() {
            fs::write(&path, output).expect("a writable file");
            return;
        }
        match fs::read(&path) {
            Ok(expected) if expected == output => {}
            Ok(expected) => differences.push(format!(
                "{}:\n  expected {}\n  got      {}",
                path.display(),
                String::from_utf8_lossy(&expected),
                String::from_utf8_lossy(output)
            )),
            Err(error) => differences.push(format!("{}: {error}", path.display())),
        }
    }
}

/// The endpoints at which clients chat, with the name of their folder.
pub(crate) const CLIENTS: [(&str, Endpoint); 6] = [
    ("openai_chat", Endpoint::ChatCompletions),
    ("openai_responses", Endpoint::Responses),
    ("anthropic_messages", Endpoint::Messages),
    ("gemini_generate", Endpoint::GenerateContent),
    ("ollama_chat", Endpoint::OllamaChat),
    ("ollama_generate", Endpoint::OllamaGenerate),
];

/// What the router would add to every answer of these tests.
pub(crate) fn facts(endpoint: Endpoint) -> AnswerFacts {
    AnswerFacts {
        request_id: "0f8fad5bd9cb469fa16570867728950e".to_owned(),
        created: 1_790_000_000,
        model: "public".to_owned(),
        prompt_tokens: 9,
        wants_usage: true,
        variant: match endpoint {
            Endpoint::OllamaGenerate => StreamVariant::Generate,
            _ => StreamVariant::Usual,
        },
    }
}

/// JSON as people read it, and as `git diff` shows it.
pub(crate) fn pretty(json: &[u8]) -> Vec<u8> {
    let value: serde_json::Value = match serde_json::from_slice(json) {
        Ok(value) => value,
        Err(_) => return json.to_vec(),
    };
    let mut text = serde_json::to_vec_pretty(&value).expect("a value has a text");
    text.push(b'\n');
    text
}
