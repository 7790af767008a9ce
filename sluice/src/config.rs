//! `sluice config check FILE` and `sluice config schema`.

use std::path::PathBuf;

use clap::Subcommand;
use shared::config::{Config, Overrides};

use crate::failure::Failure;
use crate::{config_file, output};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Check a file, its secrets and what the environment lays over it
    Check {
        /// A YAML file
        file: PathBuf,
    },
    /// Print the JSON schema of the file, for editors
    Schema,
}

pub(crate) fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Check { file } => {
            let config = config_file::load(&file, &Overrides::default())?;
            output::print(&format!("{}: fine: {}\n", file.display(), summary(&config)))
        }
        Command::Schema => output::print(&format!("{:#}\n", Config::schema())),
    }
}

fn summary(config: &Config) -> String {
    let n_keys = config.providers.iter().map(|provider| provider.keys.len());
    [
        counted(config.providers.len(), "provider"),
        counted(n_keys.sum(), "key"),
        counted(config.models.len(), "model"),
        counted(config.client_keys.len(), "client key"),
    ]
    .join(", ")
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
