//! How a replica joins its cluster.

use std::net::SocketAddr;
use std::sync::Arc;

use shared::catalog::Catalog;
use shared::config::{Config, StateStore};
use shared::ids::ReplicaName;
use shared::state::memory::MemoryState;
use shared::state::redis::RedisState;
use shared::state::session::{JoinError, JoinOptions, Session};
use shared::state::trouble::StoreStatus;
use shared::state::{SharedState, StateError};
use shared::time::SystemClock;
use tokio_util::task::TaskTracker;

use crate::app::{StartError, StartOptions};

/// Joins under the configured name, or `<host>/<listen address>`; keeps trying while the store is away.
pub(super) async fn join(
    config: &Config,
    options: StartOptions,
    listening: SocketAddr,
    status: StoreStatus,
    tracker: TaskTracker,
) -> Result<Session, StartError> {
    let state: Arc<dyn SharedState> = match (options.state, &config.state) {
        (Some(state), _) => state,
        (None, StateStore::Memory) => Arc::new(MemoryState::new(Arc::new(SystemClock::start()))),
        (None, StateStore::Redis(url)) => {
            Arc::new(RedisState::new(url.expose(), config).map_err(StartError::from)?)
        }
    };
    let replica = match &config.replica_name {
        Some(name) => ReplicaName::from(name.as_str()),
        None => ReplicaName::from(format!("{}/{listening}", host())),
    };
    let session = Session::join(JoinOptions {
        state,
        replica,
        catalog: Catalog::declare(config),
        record: options.record,
        status,
        tracker,
    })
    .await?;
    Ok(session)
}

/// This machine's name; a Kubernetes pod's is the pod's.
fn host() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| "localhost".to_owned())
}

impl From<StateError> for StartError {
    fn from(error: StateError) -> Self {
        let is_configuration = matches!(error, StateError::Refused(_));
        Self::Join {
            message: error.to_string(),
            is_configuration,
        }
    }
}

impl From<JoinError> for StartError {
    fn from(error: JoinError) -> Self {
        let is_configuration = match error {
            JoinError::Duplicate(_) | JoinError::Refused(_) => true,
            JoinError::Record(_) => false,
        };
        Self::Join {
            message: error.to_string(),
            is_configuration,
        }
    }
}
