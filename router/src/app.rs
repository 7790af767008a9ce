//! One router replica, from its listeners to the end of its drain.

mod join;
mod reload;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dialect::TokenCounter;
use shared::config::{Config, ConfigFile, StateStore};
use shared::state::SharedState;
use shared::state::record::Recorder;
use shared::tasks::spawn_named;
use shared::time::SystemClock;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::join::join;
use crate::fleet::CurrentFleet;
use crate::http::admin::{Admin, Routes};
use crate::http::readiness::Readiness;
use crate::http::routes;
use crate::http::server::{DataPort, LAST_CHANCE};
use crate::http::socket::Patience;
use crate::metrics;
use crate::pipeline::Pipeline;
use crate::pipeline::stored::{ResponseMemory, SEARCHES_MAX};
use crate::upstream::UpstreamClient;

/// First byte of a request's head to its last.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two requests on one connection.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// From the moment this replica says that it is leaving to its last accepted connection: whoever sends requests here asks
/// that often whether it may.
const FAREWELL: Duration = Duration::from_millis(250);
/// How long streams that are broken off at the end of a drain may take to say so.
const CUT_GRACE: Duration = Duration::from_secs(2);

/// A router that listens and has joined the store; what it serves waits for [`App::run`].
pub struct App {
    addresses: (SocketAddr, SocketAddr),
    pipeline: Arc<Pipeline>,
    port: Port,
    admin: Admin,
}

/// The data port at work; gives up what it does when dropped.
struct Port {
    /// Others should get the new requests.
    leaving: CancellationToken,
    draining: CancellationToken,
    abandon: CancellationToken,
    /// The accept loop and its connections.
    tasks: TaskTracker,
    /// The accept loop is over, whyever.
    ended: CancellationToken,
}

/// What is not configuration.
#[derive(Clone, Default)]
pub struct StartOptions {
    /// Writes down every exchange with the store, for tests that replay it.
    pub recorder: Option<Recorder>,
    /// The store to join; `None`: the one that the configuration names.
    pub state: Option<Arc<dyn SharedState>>,
    /// What the admin port answers beside the router's own: a coordinator in the same process.
    pub admin_routes: Routes,
    /// The file to read again when it changes; `None`: the configuration is not in a file.
    pub config_file: Option<ConfigFile>,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(
        "cannot listen on `{address}`: {source}; choose another address with `{setting}` in the file or `{flag}`"
    )]
    Listen {
        setting: &'static str,
        flag: &'static str,
        address: SocketAddr,
        source: io::Error,
    },
    #[error("the admin port cannot be served: {0}")]
    Admin(#[source] io::Error),
    #[error("the client for upstreams cannot be made: {0}")]
    Upstream(String),
    #[error("{message}")]
    Join {
        message: String,
        is_configuration: bool,
    },
}

impl StartError {
    /// Whether the user has to change something before another try can succeed.
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Listen { .. } => true,
            Self::Admin(_) | Self::Upstream(_) => false,
            Self::Join {
                is_configuration, ..
            } => *is_configuration,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("the data port's accept loop ended by itself")]
    AcceptLoop,
}

impl App {
    /// Binds both listeners, then joins the store; while that is away, the ports answer that they are not ready.
    ///
    /// # Errors
    ///
    /// An address is taken, or the store refuses this replica for good.
    pub async fn start(config: Arc<Config>, options: StartOptions) -> Result<Self, StartError> {
        metrics::recorder();
        let listener = bind(config.listen, "listen", "--listen").await?;
        let admin_listener = bind(config.admin_listen, "admin_listen", "--admin-listen").await?;
        let address_of = |listener: &TcpListener| listener.local_addr().map_err(StartError::Admin);
        let addresses = (address_of(&listener)?, address_of(&admin_listener)?);
        let upstream = UpstreamClient::new(&config.timeouts)
            .map_err(|error| StartError::Upstream(error.to_string()))?;

        let leaving = CancellationToken::new();
        let draining = CancellationToken::new();
        let readiness = Readiness::new(leaving.clone());
        let admin = admin_listener
            .into_std()
            .and_then(|listener| {
                Admin::start(
                    listener,
                    Arc::clone(&readiness),
                    options.admin_routes.clone(),
                )
            })
            .map_err(StartError::Admin)?;
        let port = Port::serve(listener, &config, &readiness, leaving, draining.clone());

        // Not waited for by the drain: the session ends after it, by `leave`.
        let background = TaskTracker::new();
        let counter = Arc::new(TokenCounter::new());
        load_tokens(&background, &counter);
        let config_file = options.config_file.clone();
        let session = join(
            &config,
            options,
            addresses.0,
            readiness.store().clone(),
            background.clone(),
        )
        .await?;
        let pipeline = Arc::new(Pipeline {
            responses: ResponseMemory::default(),
            searches: Semaphore::new(SEARCHES_MAX),
            fleet: CurrentFleet::new(Arc::clone(&config), session.catalog()),
            config,
            session,
            upstream,
            counter,
            clock: SystemClock::start(),
            chance: Mutex::new(fastrand::Rng::new()),
            draining,
            cut: CancellationToken::new(),
        });
        if let Some(file) = config_file {
            reload::follow(file, &pipeline, &background);
        }
        readiness.join(Arc::clone(&pipeline));
        greet(&pipeline.config, addresses);
        Ok(Self {
            addresses,
            pipeline,
            port,
            admin,
        })
    }

    /// Where the data plane and the admin port listen.
    pub fn addresses(&self) -> (SocketAddr, SocketAddr) {
        self.addresses
    }

    /// Serves until `shutdown`, then drains: new work is refused, what runs may finish within `timeouts.drain`.
    ///
    /// # Errors
    ///
    /// Serving ended without being told to.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
        let Self {
            addresses: _,
            pipeline,
            port,
            admin,
        } = self;
        let ended = tokio::select! {
            () = shutdown => Ok(()),
            () = port.ended.cancelled() => Err(RunError::AcceptLoop),
        };
        port.drain(&pipeline).await;
        pipeline.session.leave().await;
        tracing::info!("Drained");
        drop(admin);
        ended
    }
}

impl Port {
    fn serve(
        listener: TcpListener,
        config: &Config,
        readiness: &Arc<Readiness>,
        leaving: CancellationToken,
        draining: CancellationToken,
    ) -> Self {
        let port = Self {
            leaving,
            draining,
            abandon: CancellationToken::new(),
            tasks: TaskTracker::new(),
            ended: CancellationToken::new(),
        };
        let data_port = DataPort {
            router: routes::router(Arc::clone(readiness)),
            patience: Patience {
                head: HEAD_TIMEOUT,
                idle: IDLE_TIMEOUT,
                stall: config.timeouts.idle,
            },
            connections_max: config.limits.connections,
            last_chance: LAST_CHANCE,
            draining: port.draining.clone(),
            abandon: port.abandon.clone(),
            tasks: port.tasks.clone(),
        };
        let ended = port.ended.clone().drop_guard();
        spawn_named(&port.tasks, "data port", async move {
            data_port.serve(listener).await;
            drop(ended);
        });
        port
    }

    /// Refuses new work, lets what runs finish, and breaks off what takes too long.
    async fn drain(&self, pipeline: &Pipeline) {
        let limit = pipeline.config.timeouts.drain;
        tracing::info!("Draining for {limit:?} at most");
        self.leaving.cancel();
        // Whoever still sends requests here is served until it can have seen that it should not.
        sleep(FAREWELL).await;
        self.draining.cancel();
        self.tasks.close();
        if timeout(limit, self.tasks.wait()).await.is_ok() {
            return;
        }
        let connections = self.tasks.len();
        tracing::warn!(
            connections,
            "The drain ran out; breaking off what still runs"
        );
        pipeline.cut.cancel();
        if timeout(CUT_GRACE, self.tasks.wait()).await.is_err() {
            self.abandon.cancel();
            self.tasks.wait().await;
        }
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.leaving.cancel();
        self.draining.cancel();
        self.abandon.cancel();
    }
}

async fn bind(
    address: SocketAddr,
    setting: &'static str,
    flag: &'static str,
) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| StartError::Listen {
            setting,
            flag,
            address,
            source,
        })
}

/// Loads the token counter's tables beside the start: a second of work that only unreported usage needs.
fn load_tokens(tasks: &TaskTracker, counter: &Arc<TokenCounter>) {
    let counter = Arc::clone(counter);
    spawn_named(tasks, "load token counter", async move {
        let loaded = tokio::task::spawn_blocking(move || counter.load()).await;
        if let Ok(Err(error)) = loaded {
            tracing::error!(%error, "Tokens are estimated by length: {error}");
        }
    });
}

fn greet(config: &Config, (data, admin): (SocketAddr, SocketAddr)) {
    let state = match config.state {
        StateStore::Memory => "memory",
        StateStore::Redis(_) => "redis",
    };
    let n_models = config.models.len();
    let n_keys: usize = config
        .providers
        .iter()
        .map(|provider| provider.keys.len())
        .sum();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        %data,
        %admin,
        state,
        "Sluice serves {n_models} models over {n_keys} keys on http://{data}, admin on http://{admin}, state in {state}"
    );
}

#[cfg(test)]
mod tests;
