//! `sluice router -c FILE`.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use router::{App, StartError, StartOptions};
use shared::config::{Config, ConfigFile, Overrides};
use shared::{signals, telemetry};

use crate::config_file;
use crate::failure::Failure;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The configuration file
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Address of the data plane; overrides `listen`
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
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

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments {
        config: path,
        listen,
        admin_listen,
        state,
        record,
    } = arguments;
    let overrides = Overrides {
        listen,
        admin_listen,
        state,
    };
    let config = config_file::load(&path, &overrides)?;
    telemetry::init(&config.telemetry).context("cannot start logging")?;
    let shutdown = signals::shutdown().context("cannot listen to signals")?;

    let options = StartOptions {
        record,
        config_file: Some(ConfigFile { path, overrides }),
        ..StartOptions::default()
    };
    let app = tokio::select! {
        app = start(config, options) => app?,
        // Told to stop while the state store is away.
        () = shutdown.cancelled() => return Ok(()),
    };
    app.run(shutdown.cancelled_owned())
        .await
        .context("the router failed")?;
    Ok(())
}

pub(crate) async fn start(config: Config, options: StartOptions) -> Result<App, Failure> {
    App::start(Arc::new(config), options)
        .await
        .map_err(|error| refused_or_failed(&error))
}

fn refused_or_failed(error: &StartError) -> Failure {
    // Its messages tell their causes themselves.
    if error.is_configuration() {
        Failure::Refused(error.to_string())
    } else {
        Failure::Failed(anyhow::anyhow!("cannot start the router: {error}"))
    }
}
