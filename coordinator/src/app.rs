//! One coordinator, from its start to its resignation: alone with an admin port of its own, or beside a router.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use shared::catalog::Catalog;
use shared::config::{Config, ConfigError, ConfigFile};
use shared::host;
use shared::ids::ReplicaName;
use shared::state::record::{Recorder, Recording};
use shared::state::session::{JoinError, JoinOptions, Session};
use shared::state::trouble::StoreStatus;
use shared::state::{SharedState, StateError, open};
use shared::tasks::spawn_named;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::admin::{self, Office};
use crate::duties::{Audit, Duty, Probe, ProbeClient, Publish, attend};
use crate::leadership::{Campaign, Standing};
use crate::metrics;

/// What a coordinator is made of.
pub struct Options {
    pub config: Arc<Config>,
    /// The file to follow; `None`: the configuration stays as it is.
    pub file: Option<ConfigFile>,
    /// The store that is shared with a router in this process; `None`: the one that the configuration names.
    pub state: Option<Arc<dyn SharedState>>,
    /// Writes down what changes the store.
    pub recorder: Option<Recorder>,
}

/// A coordinator that has asked nobody yet.
pub struct Coordinator {
    config: Arc<Config>,
    file: Option<ConfigFile>,
    state: Arc<dyn SharedState>,
    recorder: Option<Recorder>,
    client: ProbeClient,
    owner: String,
    standing: Standing,
    office: Arc<Office>,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(
        "cannot listen on `{address}`: {source}; choose another address with `admin_listen` in the file or \
         `--admin-listen`"
    )]
    Listen {
        address: SocketAddr,
        source: io::Error,
    },
    #[error("the admin port cannot be served: {0}")]
    Admin(#[source] io::Error),
    #[error("{0}")]
    Client(String),
    #[error("{0}")]
    Store(#[from] StateError),
    #[error("{0}")]
    Join(#[from] JoinError),
}

impl StartError {
    /// Whether the user has to change something before another try can succeed.
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Listen { .. } | Self::Join(_) => true,
            Self::Store(error) => matches!(error, StateError::Refused(_)),
            Self::Admin(_) | Self::Client(_) => false,
        }
    }
}

impl Coordinator {
    /// Makes everything that needs nobody else.
    ///
    /// # Errors
    ///
    /// The store's setting names no store, or there is no TLS on this machine.
    pub fn prepare(options: Options) -> Result<Self, StartError> {
        let Options {
            config,
            file,
            state,
            recorder,
        } = options;
        let state = match state {
            Some(state) => state,
            None => open(&config)?,
        };
        let state = match &recorder {
            Some(recorder) => Arc::new(Recording {
                state,
                recorder: recorder.clone(),
            }),
            None => state,
        };
        let client =
            ProbeClient::new(&config).map_err(|error| StartError::Client(error.to_string()))?;
        let owner = Uuid::new_v4().to_string();
        let office = Arc::new(Office::new(Arc::clone(&state), owner.clone()));
        Ok(Self {
            config,
            file,
            state,
            recorder,
            client,
            owner,
            standing: Standing::new(),
            office,
        })
    }

    /// What a router's admin port answers for a coordinator in the same process.
    pub fn routes(&self) -> axum::Router {
        admin::routes(Arc::clone(&self.office))
    }

    /// Listens on `admin_listen`, and works until `shutdown`.
    ///
    /// # Errors
    ///
    /// The address is taken, or the store refuses this coordinator for good.
    pub async fn serve(self, shutdown: CancellationToken) -> Result<(), StartError> {
        metrics::recorder();
        let address = self.config.admin_listen;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| StartError::Listen { address, source })?;
        let address = listener.local_addr().map_err(StartError::Admin)?;
        let port = axum::serve(listener, admin::port(Arc::clone(&self.office)));
        tracing::info!(admin = %address, "A coordinator starts, admin on http://{address}");
        tokio::select! {
            result = self.run(address, shutdown) => result,
            served = async { port.await } => served.map_err(StartError::Admin),
        }
    }

    /// Works until `shutdown`, then resigns. `address` is where this process's admin port answers.
    ///
    /// # Errors
    ///
    /// The store refuses this coordinator for good.
    pub async fn run(
        self,
        address: SocketAddr,
        shutdown: CancellationToken,
    ) -> Result<(), StartError> {
        metrics::describe();
        let joining = self.join(address);
        let session = tokio::select! {
            session = joining => session?,
            // Told to stop while the store is away.
            () = shutdown.cancelled() => return Ok(()),
        };
        self.office.open(session.clone());

        let tasks = TaskTracker::new();
        let current = watch::Sender::new(Arc::clone(&self.config));
        let config = current.subscribe();
        if let Some(file) = self.file.clone() {
            let following = file.follow(current, tell, shutdown.clone());
            spawn_named(&tasks, "configuration", following);
        }
        let campaign = Campaign {
            state: Arc::clone(&self.state),
            standing: self.standing.clone(),
            owner: self.owner.clone(),
            address: address.to_string(),
        };
        spawn_named(&tasks, "leadership", campaign.run(shutdown.clone()));
        let duties: [Box<dyn Duty>; 3] = [
            Box::new(Audit {
                state: Arc::clone(&self.state),
            }),
            Box::new(Publish::new(Arc::clone(&self.state), config.clone())),
            Box::new(Probe::new(
                Arc::clone(&self.state),
                session.clone(),
                config,
                self.client,
                tasks.clone(),
                shutdown.clone(),
            )),
        ];
        for duty in duties {
            let name = duty.name();
            let attending = attend(duty, self.standing.clone(), shutdown.clone());
            spawn_named(&tasks, name, attending);
        }

        shutdown.cancelled().await;
        self.office.close();
        tasks.close();
        tasks.wait().await;
        // Probes under way are left: their leases end with the session's expiry.
        session.leave().await;
        tracing::info!("The coordinator has resigned");
        Ok(())
    }

    async fn join(&self, address: SocketAddr) -> Result<Session, StartError> {
        let replica = match &self.config.replica_name {
            Some(name) => format!("{name}/coordinator"),
            None => format!("{}/{address}/coordinator", host::name()),
        };
        let session = Session::join(JoinOptions {
            status: StoreStatus::default(),
            state: Arc::clone(&self.state),
            replica: ReplicaName::from(replica),
            catalog: Catalog::declare(&self.config),
            recorder: self.recorder.clone(),
            tracker: TaskTracker::new(),
        })
        .await?;
        Ok(session)
    }
}

fn tell(refused: Option<&ConfigError>) {
    metrics::config_rejected(refused.is_some());
    match refused {
        None => tracing::info!("The configuration was read again"),
        Some(error) => {
            tracing::warn!("The configuration stays as it was: the file is refused: {error}");
        }
    }
}
