//! `sluice serve -c FILE`: router and coordinator in one process, on one admin port.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use coordinator::{Coordinator, Options};
use router::{App, StartOptions};
use shared::config::{Config, ConfigFile, StateStore};
use shared::state::open;
use shared::state::record::Recorder;
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;
use crate::start::{Common, Start, start};
use crate::{coordinator as coordinator_command, router as router_command};

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
    let both = tokio::select! {
        both = Both::start(config, Some(file), recorder) => both?,
        // Told to stop while the state store is away.
        () = shutdown.cancelled() => return Ok(()),
    };
    both.run(shutdown).await
}

/// A router that listens and has joined the store, and a coordinator beside it.
pub(crate) struct Both {
    app: App,
    coordinator: Coordinator,
}

impl Both {
    pub(crate) async fn start(
        config: Config,
        file: Option<ConfigFile>,
        recorder: Option<Recorder>,
    ) -> Result<Self, Failure> {
        // To Redis each has a connection of its own: it carries one session's wake-ups.
        let state = match config.state {
            StateStore::Memory => {
                let state = open(&config);
                Some(state.map_err(|error| Failure::Refused(error.to_string()))?)
            }
            StateStore::Redis(_) => None,
        };
        let coordinator = coordinator_command::prepare(Options {
            config: Arc::new(config.clone()),
            file: file.clone(),
            state: state.clone(),
            recorder: recorder.clone(),
        })?;
        let options = StartOptions {
            recorder,
            state,
            admin_routes: coordinator.routes(),
            config_file: file,
        };
        let app = router_command::join(config, options).await?;
        Ok(Self { app, coordinator })
    }

    /// Where the data plane and the admin port listen.
    pub(crate) fn addresses(&self) -> (SocketAddr, SocketAddr) {
        self.app.addresses()
    }

    /// Serves until `shutdown`; the coordinator resigns at once, the router drains.
    pub(crate) async fn run(self, shutdown: CancellationToken) -> Result<(), Failure> {
        let (_, admin) = self.addresses();
        let Self { app, coordinator } = self;
        // Neither goes on without the other: a supervisor starts both again.
        let stop = shutdown.child_token();
        let routed = async {
            let routed = app.run(stop.clone().cancelled_owned()).await;
            stop.cancel();
            routed
        };
        let coordinated = async {
            let coordinated = coordinator.run(admin, stop.clone()).await;
            stop.cancel();
            coordinated
        };
        let (routed, coordinated) = tokio::join!(routed, coordinated);
        routed.context("the router failed")?;
        coordinated.map_err(|error| coordinator_command::refused_or_failed(&error))
    }
}
