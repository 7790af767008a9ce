//! A configuration file that is read again when it changes; the last good one stays.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Config, ConfigError, Overrides};

/// Between two looks at the file.
const POLL: Duration = Duration::from_secs(1);

/// Where a configuration came from.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    pub path: PathBuf,
    /// The command line's, laid over it each time.
    pub overrides: Overrides,
}

impl ConfigFile {
    /// Sends a new configuration to `current` whenever the file's bytes change, or on SIGHUP, until `shutdown`.
    ///
    /// A file that is refused is told to `told` once, and changes nothing; `None` tells that one was accepted.
    pub async fn follow(
        self,
        current: watch::Sender<Arc<Config>>,
        told: impl Fn(Option<&ConfigError>) + Send,
        shutdown: CancellationToken,
    ) {
        let mut hang_up = signal(SignalKind::hangup()).ok();
        let mut seen = bytes(&self.path).await;
        loop {
            let is_asked = tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(POLL) => false,
                () = asked(&mut hang_up) => true,
            };
            let found = bytes(&self.path).await;
            if !is_asked && found == seen {
                continue;
            }
            seen = found;
            match Config::load_from_process(&self.path, &self.overrides) {
                Ok(config) => {
                    told(None);
                    current.send_replace(Arc::new(config));
                }
                Err(error) => told(Some(&error)),
            }
        }
    }
}

async fn asked(hang_up: &mut Option<tokio::signal::unix::Signal>) {
    match hang_up {
        Some(hang_up) => {
            hang_up.recv().await;
        }
        // No signals on this system: the polling has to do.
        None => std::future::pending().await,
    }
}

/// `None` while there is no file, as between the two steps of a replacement.
async fn bytes(path: &Path) -> Option<Vec<u8>> {
    let path = path.to_owned();
    // A file on a network may block for long.
    let read = tokio::task::spawn_blocking(move || std::fs::read(path)).await;
    read.ok()?.ok()
}
