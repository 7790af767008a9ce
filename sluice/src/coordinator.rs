//! `sluice coordinator -c FILE`.

use std::sync::Arc;

use clap::Args;
use coordinator::{Coordinator, Options, StartError};
use shared::config::{Config, StateStore};

use crate::failure::Failure;
use crate::start::{Common, Start, start};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    common: Common,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { common } = arguments;
    let Start {
        config,
        file,
        recorder,
        shutdown,
    } = start(common, None, has_common_state)?;
    let coordinator = prepare(Options {
        config: Arc::new(config),
        file: Some(file),
        state: None,
        recorder,
    })?;
    coordinator
        .serve(shutdown)
        .await
        .map_err(|error| refused_or_failed(&error))
}

pub(crate) fn prepare(options: Options) -> Result<Coordinator, Failure> {
    Coordinator::prepare(options).map_err(|error| refused_or_failed(&error))
}

pub(crate) fn refused_or_failed(error: &StartError) -> Failure {
    // Its messages tell their causes themselves.
    if error.is_configuration() {
        Failure::Refused(error.to_string())
    } else {
        Failure::Failed(anyhow::anyhow!("the coordinator failed: {error}"))
    }
}

fn has_common_state(config: &Config) -> Result<(), Failure> {
    match config.state {
        StateStore::Redis(_) => Ok(()),
        StateStore::Memory => Err(Failure::Refused(
            "`state` is `memory`, which no router shares with a process of its own; use `sluice serve`, which runs both \
             in one, or a `redis://` URL"
                .to_owned(),
        )),
    }
}
