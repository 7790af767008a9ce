//! One router replica, from its listeners to the end of its drain.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use shared::catalog::Catalog;
use shared::config::{Config, StateStore};
use shared::ids::ReplicaName;
use shared::state::SharedState;
use shared::state::memory::MemoryState;
use shared::state::redis::RedisState;
use shared::state::session::{JoinError, JoinOptions, Session};
use shared::tasks::spawn_named;
use shared::time::SystemClock;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::dialect::TokenCounter;
use crate::fleet::CurrentFleet;
use crate::http::admin::Admin;
use crate::http::routes;
use crate::http::server::DataPort;
use crate::http::socket::Patience;
use crate::metrics;
use crate::pipeline::Pipeline;
use crate::upstream::UpstreamClient;

/// First byte of a request's head to its last.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two requests on one connection.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long streams that are broken off at the end of a drain may take to say so.
const CUT_GRACE: Duration = Duration::from_secs(2);

/// A router that listens and has joined the store, but does not serve yet.
pub struct App {
    listener: TcpListener,
    addresses: (SocketAddr, SocketAddr),
    pipeline: Arc<Pipeline>,
    admin: Admin,
    tasks: TaskTracker,
}

/// What is not configuration.
#[derive(Clone, Debug, Default)]
pub struct StartOptions {
    /// Where to write down every exchange with the store, for tests that replay it.
    pub record: Option<PathBuf>,
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
    #[error("the data port's accept loop ended by itself")]
    AcceptLoop,
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
            Self::Admin(_) | Self::Upstream(_) | Self::AcceptLoop => false,
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
    /// Binds both listeners, then joins the store.
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
        let admin = admin_listener
            .into_std()
            .and_then(Admin::start)
            .map_err(StartError::Admin)?;

        let tasks = TaskTracker::new();
        let counter = Arc::new(TokenCounter::new());
        let upstream = UpstreamClient::new(&config.timeouts)
            .map_err(|error| StartError::Upstream(error.to_string()))?;
        let session = {
            let waiting = waiting_port(&config, &tasks);
            let joined = waiting.draining.clone().drop_guard();
            let session = tokio::select! {
                session = join(&config, options, addresses.0) => session?,
                () = waiting.serve(&listener) => return Err(StartError::AcceptLoop),
            };
            drop(joined);
            session
        };
        let pipeline = Arc::new(Pipeline {
            fleet: CurrentFleet::new(Arc::clone(&config), session.catalog()),
            config,
            session,
            upstream,
            counter,
            draining: CancellationToken::new(),
            cut: CancellationToken::new(),
        });
        admin.join(Arc::clone(&pipeline));
        Ok(Self {
            listener,
            addresses,
            pipeline,
            admin,
            tasks,
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
            listener,
            addresses,
            pipeline,
            admin,
            tasks,
        } = self;
        let abandon = CancellationToken::new();
        let port = DataPort {
            draining: pipeline.draining.clone(),
            abandon: abandon.clone(),
            ..data_port(
                &pipeline.config,
                routes::router(Arc::clone(&pipeline)),
                &tasks,
            )
        };
        load_tokens(&tasks, &pipeline.counter);
        greet(&pipeline.config, addresses);

        let mut ended = None;
        {
            let mut serving = Box::pin(port.serve(&listener));
            tokio::select! {
                () = &mut serving => ended = Some(RunError::AcceptLoop),
                () = shutdown => {}
            }
        }
        drain(&pipeline, &tasks, &abandon).await;
        drop(admin);
        ended.map_or(Ok(()), Err)
    }
}

fn data_port(config: &Config, router: routes::Router, tasks: &TaskTracker) -> DataPort {
    DataPort {
        router,
        patience: Patience {
            head: HEAD_TIMEOUT,
            idle: IDLE_TIMEOUT,
            stall: config.timeouts.idle,
        },
        connections_max: config.limits.connections,
        draining: CancellationToken::new(),
        abandon: CancellationToken::new(),
        tasks: tasks.clone(),
    }
}

/// The data port while the store is away: alive, not ready, and every request told to come back.
fn waiting_port(config: &Config, tasks: &TaskTracker) -> DataPort {
    data_port(config, routes::waiting(), tasks)
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

/// Joins the cluster under the configured name, or `<host>/<listen address>`; waits while the store is away.
async fn join(
    config: &Config,
    options: StartOptions,
    listening: SocketAddr,
) -> Result<Session, StartError> {
    let host = || {
        nix::unistd::gethostname()
            .ok()
            .and_then(|host| host.into_string().ok())
    };
    let replica = config.replica_name.clone().unwrap_or_else(|| {
        format!(
            "{}/{listening}",
            host().unwrap_or_else(|| "localhost".to_owned())
        )
    });
    let state: Arc<dyn SharedState> = match &config.state {
        StateStore::Memory => Arc::new(MemoryState::new(Arc::new(SystemClock::start()))),
        StateStore::Redis(url) => {
            let redis =
                RedisState::new(url.expose(), config).map_err(|error| StartError::Join {
                    message: error.to_string(),
                    is_configuration: true,
                })?;
            Arc::new(redis)
        }
    };
    let joining = Session::join(JoinOptions {
        state,
        replica: ReplicaName::from(replica),
        catalog: Catalog::declare(config),
        record: options.record,
        // Not the requests' tracker: the drain waits for that one, and the session ends only after it.
        tracker: TaskTracker::new(),
    });
    joining.await.map_err(|error| StartError::Join {
        message: error.to_string(),
        is_configuration: !matches!(error, JoinError::Record(_)),
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

/// Refuses new work, lets what runs finish, breaks off what takes too long, and leaves the cluster.
async fn drain(pipeline: &Pipeline, tasks: &TaskTracker, abandon: &CancellationToken) {
    let limit = pipeline.config.timeouts.drain;
    tracing::info!("Draining for {limit:?} at most");
    pipeline.draining.cancel();
    tasks.close();
    if timeout(limit, tasks.wait()).await.is_err() {
        tracing::warn!(
            connections = tasks.len(),
            "The drain ran out; breaking off what still runs"
        );
        pipeline.cut.cancel();
        if timeout(CUT_GRACE, tasks.wait()).await.is_err() {
            abandon.cancel();
            tasks.wait().await;
        }
    }
    pipeline.session.leave().await;
    tracing::info!("Drained");
}

#[cfg(test)]
mod tests;
