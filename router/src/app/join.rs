//! How a replica joins its cluster.

use std::net::SocketAddr;

use shared::catalog::Catalog;
use shared::config::Config;
use shared::host;
use shared::ids::ReplicaName;
use shared::state::session::{JoinError, JoinOptions, Session};
use shared::state::trouble::StoreStatus;
use shared::state::{StateError, open};
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
    let state = match options.state {
        Some(state) => state,
        None => open(config)?,
    };
    let replica = match &config.replica_name {
        Some(name) => ReplicaName::from(name.as_str()),
        None => ReplicaName::from(format!("{}/{listening}", host::name())),
    };
    let session = Session::join(JoinOptions {
        state,
        replica,
        catalog: Catalog::declare(config),
        recorder: options.recorder,
        status,
        tracker,
    })
    .await?;
    Ok(session)
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
        // Of both kinds, a name that is taken and a store that refuses, only an operator can help.
        Self::Join {
            message: error.to_string(),
            is_configuration: true,
        }
    }
}
