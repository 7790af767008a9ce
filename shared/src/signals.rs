//! SIGTERM and SIGINT: the first asks for an orderly end, the second ends the process at once.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::tasks::spawn_named;

/// Listens from now on; the token is cancelled by the first signal.
///
/// A second signal ends the process with exit code 1, whatever it is doing.
///
/// # Errors
///
/// The system does not let this process listen.
pub fn shutdown() -> io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let shutdown = CancellationToken::new();
    let first = shutdown.clone();
    // Not waited for: it has to outlive whatever else shuts down.
    spawn_named(&TaskTracker::new(), "signals", async move {
        let name = next(&mut terminate, &mut interrupt).await;
        tracing::info!(signal = name, "Received {name}: shutting down");
        first.cancel();
        let name = next(&mut terminate, &mut interrupt).await;
        tracing::warn!(signal = name, "Received {name} again: ending at once");
        end();
    });
    Ok(shutdown)
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}

#[expect(
    clippy::exit,
    reason = "whoever sends a second signal does not want to wait for anything"
)]
fn end() {
    std::process::exit(1);
}
