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
/// Between the look that finds a change and the one that finds it complete: half a file is mostly valid too.
const SETTLING: Duration = Duration::from_millis(100);

/// Where a configuration came from.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    path: PathBuf,
    /// The command line's, laid over it each time.
    overrides: Overrides,
    /// What it held when it was last taken note of.
    seen: Option<Vec<u8>>,
}

impl ConfigFile {
    /// Looks at the file, so that no change after this is missed; to be called before the file is loaded.
    pub fn new(path: PathBuf, overrides: Overrides) -> Self {
        let seen = std::fs::read(&path).ok();
        Self {
            path,
            overrides,
            seen,
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Loads it with this process's environment over it.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or a setting breaks a rule.
    pub fn load(&self) -> Result<Config, ConfigError> {
        Config::load_from_process(&self.path, &self.overrides)
    }

    /// Sends a new configuration to `current` whenever the file's bytes change, or on SIGHUP, until `shutdown`.
    ///
    /// A file that is refused is told to `told` once, and changes nothing; `None` tells that one was accepted.
    pub async fn follow(
        mut self,
        current: watch::Sender<Arc<Config>>,
        told: impl Fn(Option<&ConfigError>) + Send,
        shutdown: CancellationToken,
    ) {
        let mut hang_up = signal(SignalKind::hangup()).ok();
        // What changed since the start waits for no poll.
        let mut pause = Duration::ZERO;
        loop {
            let is_asked = tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(pause) => false,
                () = asked(&mut hang_up) => true,
            };
            pause = POLL;
            let found = bytes(&self.path).await;
            // No file at all is the moment between the two steps of a replacement.
            if !is_asked && (found.is_none() || found == self.seen) {
                continue;
            }
            tokio::time::sleep(SETTLING).await;
            if bytes(&self.path).await != found {
                // Somebody is still writing it.
                pause = SETTLING;
                continue;
            }
            self.seen = found;
            // It may read from a network, and secrets from other files.
            let file = self.clone();
            match tokio::task::spawn_blocking(move || file.load()).await {
                Ok(Ok(config)) => {
                    told(None);
                    current.send_replace(Arc::new(config));
                }
                Ok(Err(error)) => told(Some(&error)),
                // Only where the process is ending.
                Err(_) => return,
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
