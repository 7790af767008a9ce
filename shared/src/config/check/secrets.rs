//! Secrets: literals, `env:NAME` or `file:PATH`. No refusal here shows a value.

use super::Checker;
use crate::config::error::Problem;
use crate::secret::Secret;

impl Checker<'_> {
    /// The secret that `text` is or points to, fit to be sent in a header.
    pub(super) fn secret(&mut self, setting: &str, text: String) -> Secret<String> {
        let secret = self.resolved(setting, text);
        let is_sendable = |character: char| character.is_ascii_graphic() || character == ' ';
        // A stand-in after a refusal is empty too, and one problem is enough.
        if secret.chars().all(is_sendable) && secret.trim() == secret {
            return Secret::new(secret);
        }
        self.refuse(Problem::new(
            setting,
            "must hold visible ASCII characters only, for it is sent in a header",
            "look for line breaks and white space around it",
        ));
        Secret::new(String::new())
    }

    pub(super) fn resolved(&mut self, setting: &str, text: String) -> String {
        let resolved = if let Some(name) = text.strip_prefix("env:") {
            self.environment.get(name).cloned().ok_or_else(|| {
                let rule = format!("needs the environment variable `{name}`, which is not set");
                Problem::new(setting, rule, "set it, or give the secret in another way")
            })
        } else if let Some(path) = text.strip_prefix("file:") {
            read(path).map_err(|reason| {
                let rule = format!("needs the file `{path}`, which cannot be read ({reason})");
                Problem::new(setting, rule, "mount it, or give the secret in another way")
            })
        } else {
            Ok(text)
        };
        let problem = match resolved {
            Ok(secret) if secret.is_empty() => Problem::new(
                setting,
                "must not be empty",
                "write the secret, `env:NAME` or `file:PATH`",
            ),
            Ok(secret) => return secret,
            Err(problem) => problem,
        };
        self.refuse(problem);
        String::new()
    }
}

/// The file's text without the line break that editors put at its end.
fn read(path: &str) -> Result<String, std::io::Error> {
    let mut text = std::fs::read_to_string(path)?;
    while text.ends_with(['\n', '\r']) {
        text.pop();
    }
    Ok(text)
}
