//! A simulated LLM provider that speaks OpenAI's dialect, and counts what arrives.
//!
//! It answers like a strict provider (pace, limits per key, faults) and is the oracle of what arrived: [`oracle`] counts
//! by itself, whatever [`limits`] enforces. What the text says is no concern of it: every answer is the same few words.

mod api;
mod behaviour;
mod clock;
mod connection;
mod flight;
mod generation;
mod keys;
mod limits;
mod options;
mod oracle;
mod reply;
mod stream;
mod text;

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use shared::tasks;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::Simulator;

pub use crate::options::{ErrorKind, InvalidErrorKind, InvalidKeyRule, KeyRule, Options};

/// Answers on `listener` until `shutdown` resolves, then drops every connection: a provider that dies says no goodbye.
///
/// # Errors
/// When the listener's address cannot be read.
pub async fn serve(
    listener: TcpListener,
    options: Options,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    tracing::info!(%address, "Simulating a provider on http://{address}/v1");
    let simulator = Arc::new(Simulator::new(&options));
    let connections = TaskTracker::new();
    let stop = CancellationToken::new();
    let mut shutdown = pin!(shutdown);

    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = connection::run(Arc::clone(&simulator), stream);
                let stopped = stop.clone().cancelled_owned();
                tasks::spawn_named(&connections, "simulator connection", async move {
                    tokio::select! {
                        () = stopped => {}
                        () = connection => {}
                    }
                });
            }
            Err(error) => {
                // Mostly out of file descriptors: connections that end free some.
                tracing::warn!(%error, "Could not accept a connection");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }

    stop.cancel();
    connections.close();
    connections.wait().await;
    Ok(())
}
