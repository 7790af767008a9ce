//! The listeners, and what `PUT /listener` changes about them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use shared::tasks;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::Simulator;
use crate::connection;

/// How connections are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Door {
    /// A new connection is left alone for so long.
    pub(crate) accept_delay: Duration,
    /// Whether the second address answers; if not, it refuses connections, and those that it had are dropped.
    pub(crate) is_second_open: bool,
}

/// What `PUT /listener` may change. An absent field leaves what is in force.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DoorPatch {
    accept_delay: Option<String>,
    second: Option<SecondDoor>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SecondDoor {
    Open,
    Closed,
}

/// Why a patch is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidDoorPatch {
    #[error("not a listener: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("`accept_delay`: {0}")]
    AcceptDelay(#[from] humantime::DurationError),
}

/// Takes connections until it is stopped.
#[derive(Clone)]
pub(crate) struct Reception {
    pub(crate) simulator: Arc<Simulator>,
    pub(crate) connections: TaskTracker,
    pub(crate) stop: CancellationToken,
}

impl DoorPatch {
    /// What is in force once `json` is applied to `door`.
    pub(crate) fn apply(json: &[u8], door: Door) -> Result<Door, InvalidDoorPatch> {
        let patch: Self = serde_json::from_slice(json)?;
        let accept_delay = match patch.accept_delay {
            Some(text) => humantime::parse_duration(&text)?,
            None => door.accept_delay,
        };
        let is_second_open = match patch.second {
            Some(second) => second == SecondDoor::Open,
            None => door.is_second_open,
        };
        Ok(Door {
            accept_delay,
            is_second_open,
        })
    }
}

impl Reception {
    /// Takes what comes to `listener`, until this is dropped.
    pub(crate) async fn welcome(&self, listener: TcpListener, stop: &CancellationToken) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => self.take(stream, stop.clone()),
                Err(error) => {
                    // Mostly out of file descriptors: connections that end free some.
                    tracing::warn!(%error, "Could not accept a connection");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
    }

    /// Answers on `listener` while the second door is open; binds its address again for each time.
    pub(crate) async fn keep_second_door(
        &self,
        listener: TcpListener,
        mut door: watch::Receiver<Door>,
    ) -> io::Result<()> {
        let address = listener.local_addr()?;
        let mut listener = Some(listener);
        loop {
            let is_open = door.borrow_and_update().is_second_open;
            if is_open {
                let open = match listener.take() {
                    Some(listener) => listener,
                    None => bind(address).await,
                };
                let closed = self.stop.child_token();
                tokio::select! {
                    () = self.welcome(open, &closed) => {}
                    () = until(&mut door, |door| !door.is_second_open) => {}
                }
                closed.cancel();
            } else {
                listener = None;
                until(&mut door, |door| door.is_second_open).await;
            }
        }
    }

    fn take(&self, stream: TcpStream, stop: CancellationToken) {
        let simulator = Arc::clone(&self.simulator);
        tasks::spawn_named(&self.connections, "simulator connection", async move {
            let delay = simulator.door().accept_delay;
            let served = async {
                if !delay.is_zero() {
                    tokio::time::sleep(delay).await;
                }
                connection::run(simulator, stream).await;
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = served => {}
            }
        });
    }
}

/// Waits until `is_so` holds; for ever, if nobody can change it any more.
async fn until(door: &mut watch::Receiver<Door>, is_so: impl FnMut(&Door) -> bool) {
    if door.wait_for(is_so).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// The address was ours a moment ago: whoever took it meanwhile will leave it again.
async fn bind(address: SocketAddr) -> TcpListener {
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) => {
                tracing::warn!(%address, %error, "Could not listen again");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
