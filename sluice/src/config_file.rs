//! Loads a configuration file, and says which one it was when it is refused.

use std::path::Path;

use shared::config::{Config, ConfigError, Overrides};

use crate::failure::Failure;

/// Loads `path` with the environment and `overrides` over it.
pub(crate) fn load(path: &Path, overrides: &Overrides) -> Result<Config, Failure> {
    Config::load_from_process(path, overrides).map_err(|error| {
        Failure::Refused(match error {
            ConfigError::Unreadable { .. } => error.to_string(),
            ConfigError::NotYaml { .. } | ConfigError::Refused(_) => {
                format!("{}: {error}", path.display())
            }
        })
    })
}
