//! `sluice router -c FILE`.

use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use router::{App, StartError, StartOptions};
use shared::config::Config;

use crate::failure::Failure;
use crate::start::{Common, Start, start};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    common: Common,
    /// Address of the data plane; overrides `listen`
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { common, listen } = arguments;
    let Start {
        config,
        file,
        recorder,
        shutdown,
    } = start(common, listen, |_| Ok(()))?;
    let options = StartOptions {
        recorder,
        config_file: Some(file),
        ..StartOptions::default()
    };
    let app = tokio::select! {
        app = join(config, options) => app?,
        // Told to stop while the state store is away.
        () = shutdown.cancelled() => return Ok(()),
    };
    app.run(shutdown.cancelled_owned())
        .await
        .context("the router failed")?;
    Ok(())
}

/// A router that listens and has joined the store.
pub(crate) async fn join(config: Config, options: StartOptions) -> Result<App, Failure> {
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
