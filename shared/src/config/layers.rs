//! The layers, put over one another: defaults < file < environment (`SLUICE__A__B`) < command line.
//!
//! The defaults themselves are in `raw`. What the `config` crate and serde say of a wrong value is translated here:
//! their messages may show the value, which may be a secret.

use std::collections::HashMap;

use config::builder::DefaultState;
use config::{Environment, File, FileFormat, Map};

use super::Overrides;
use super::error::{ConfigError, Problem};
use super::nearest::nearest;
use super::raw::Settings;

/// Reads `yaml` and what is laid over it.
///
/// # Errors
///
/// The first setting that is unknown, missing, or of another type.
pub(super) fn settings(
    yaml: &str,
    environment: &HashMap<String, String>,
    overrides: &Overrides,
) -> Result<Settings, ConfigError> {
    let Overrides {
        listen,
        admin_listen,
        state,
    } = overrides;
    let ours: Map<String, String> = environment
        .iter()
        .filter(|(name, _)| name.starts_with("SLUICE__"))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let environment = Environment::with_prefix("SLUICE")
        .prefix_separator("__")
        .separator("__")
        .source(Some(ours));

    config::Config::builder()
        .add_source(File::from_str(yaml, FileFormat::Yaml))
        .add_source(environment)
        .set_override_option("listen", listen.clone())
        .and_then(|builder| builder.set_override_option("admin_listen", admin_listen.clone()))
        .and_then(|builder| builder.set_override_option("state", state.clone()))
        .and_then(config::ConfigBuilder::<DefaultState>::build)
        .and_then(config::Config::try_deserialize)
        .map_err(|error| translated(error, ""))
}

fn translated(error: config::ConfigError, setting: &str) -> ConfigError {
    use config::ConfigError as Theirs;

    let problem = match error {
        Theirs::FileParse { cause, .. } => {
            let reason = cause.to_string().replace('\n', " ");
            let is_no_map = reason.starts_with("invalid type");
            let reason = if is_no_map {
                "it must be a map of settings".to_owned()
            } else {
                reason
            };
            return ConfigError::NotYaml { reason };
        }
        Theirs::At { error, key, .. } => {
            return translated(*error, &dotted(&key.unwrap_or_default()));
        }
        Theirs::NotFound(key) => Problem::new(dotted(&key), "is missing", "add it"),
        Theirs::Type {
            unexpected,
            expected,
            key,
            ..
        } => {
            let setting = key.map_or_else(|| setting.to_owned(), |key| dotted(&key));
            wrong_type(&setting, &unexpected.to_string(), expected)
        }
        other => message(&other.to_string(), setting),
    };
    ConfigError::Refused(vec![problem])
}

/// Translates what serde says in words.
fn message(message: &str, setting: &str) -> Problem {
    if message.starts_with("unknown field ") {
        let mut names = message.split('`').skip(1).step_by(2);
        let unknown = names.next().unwrap_or_default();
        return unknown_setting(setting, unknown, &names.collect::<Vec<_>>());
    }
    let wrong = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "));
    if let Some((found, expected)) = wrong.and_then(|wrong| wrong.rsplit_once(", expected ")) {
        return wrong_type(setting, found, expected);
    }
    Problem::new(
        setting,
        "cannot be read",
        "see config/example.yaml for how it is written",
    )
}

fn unknown_setting(parent: &str, unknown: &str, known: &[&str]) -> Problem {
    let setting = if parent.is_empty() {
        unknown.to_owned()
    } else {
        format!("{parent}.{unknown}")
    };
    let remedy = match nearest(unknown, known) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("the settings here are {}", known.join(", ")),
    };
    Problem::new(setting, "is not a setting", remedy)
}

/// `found` is serde's description of the value; text is left out of it, for it may be a misplaced secret.
fn wrong_type(setting: &str, found: &str, expected: &str) -> Problem {
    let setting = if setting.is_empty() {
        "the file"
    } else {
        setting
    };
    let is_text = found.starts_with("string");
    let found = match found {
        _ if is_text => "text",
        "unit value" => "empty",
        "sequence" => "a list",
        "map" => "a map",
        other => other,
    };
    let expected = match expected {
        "a sequence" => "a list",
        other => other,
    };
    Problem::new(
        setting,
        format!("must be {expected}, not {found}"),
        "see config/example.yaml for how it is written",
    )
}

/// The `config` crate writes `providers[0]name`.
fn dotted(key: &str) -> String {
    let mut dotted = String::with_capacity(key.len() + 4);
    let mut after_index = false;
    for character in key.chars() {
        if after_index && !matches!(character, '.' | '[') {
            dotted.push('.');
        }
        after_index = character == ']';
        dotted.push(character);
    }
    dotted
}
