//! What `router`, `serve` and `coordinator` have in common: a file, what lies over it, logs and signals.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use shared::config::{Config, ConfigFile, Overrides};
use shared::state::record::Recorder;
use shared::{signals, telemetry};
use tokio_util::sync::CancellationToken;

use crate::config_file;
use crate::failure::Failure;

#[derive(Args)]
pub(crate) struct Common {
    /// The configuration file
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Address of /metrics and /view; overrides `admin_listen`
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<String>,
    /// Where replicas agree; overrides `state`
    #[arg(long, value_name = "URL")]
    state: Option<String>,
    /// Write what is agreed with the store to a file, as JSON lines (for tests)
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

/// A process that may begin.
pub(crate) struct Start {
    pub(crate) config: Config,
    pub(crate) file: ConfigFile,
    pub(crate) recorder: Option<Recorder>,
    pub(crate) shutdown: CancellationToken,
}

/// Loads the configuration, asks `is_fit`, then begins to log and to listen to signals.
pub(crate) fn start(
    common: Common,
    listen: Option<String>,
    is_fit: impl FnOnce(&Config) -> Result<(), Failure>,
) -> Result<Start, Failure> {
    let Common {
        config: path,
        admin_listen,
        state,
        record,
    } = common;
    let overrides = Overrides {
        listen,
        admin_listen,
        state,
    };
    let file = ConfigFile::new(path.clone(), overrides.clone());
    let config = config_file::load(&path, &overrides)?;
    is_fit(&config)?;
    telemetry::init(&config.telemetry).context("cannot start logging")?;
    let shutdown = signals::shutdown().context("cannot listen to signals")?;
    let recorder = record
        .map(|path| Recorder::create(&path))
        .transpose()
        .context("the recording cannot be written")?;
    Ok(Start {
        config,
        file,
        recorder,
        shutdown,
    })
}
