//! A simulated LLM provider that speaks every API a router may have upstream, and counts what arrives.
//!
//! It answers like a strict provider (checks, pace, limits per key, faults) and is the oracle of what arrived: [`oracle`]
//! counts by itself, whatever [`limits`] enforces. Answers are the same few words, unless the request gives one of the
//! cues in [`answer`]. It reads and writes its APIs by itself and shares no code with the router that it is a witness of.

mod answer;
mod api;
mod ask;
mod base64;
mod behaviour;
mod clock;
mod connection;
mod crc32;
mod doors;
mod fields;
mod flight;
mod keys;
mod limits;
mod options;
mod oracle;
mod reply;
mod signature;
mod stream;
mod tailor;
mod text;

use std::future::Future;
use std::io;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::Simulator;
use crate::doors::Reception;

pub use crate::options::{ErrorKind, InvalidErrorKind, InvalidKeyRule, KeyRule, Options};

/// Answers on `listener` until `shutdown` resolves, then drops every connection: a provider that dies says no goodbye.
///
/// # Errors
/// When a listener's address cannot be read, or `options.second_listen` is taken.
pub async fn serve(
    listener: TcpListener,
    options: Options,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    tracing::info!(%address, "Simulating a provider on http://{address}/v1");
    let second = match options.second_listen {
        Some(second) => Some(TcpListener::bind(second).await?),
        None => None,
    };
    let simulator = Arc::new(Simulator::new(&options));
    let reception = Reception {
        simulator: Arc::clone(&simulator),
        connections: TaskTracker::new(),
        stop: CancellationToken::new(),
    };
    let second_door = async {
        match second {
            Some(second) => {
                reception
                    .keep_second_door(second, simulator.watch_door())
                    .await
            }
            None => std::future::pending().await,
        }
    };

    tokio::select! {
        () = shutdown => {}
        () = reception.welcome(listener, &reception.stop) => {}
        failed = second_door => failed?,
    }

    reception.stop.cancel();
    reception.connections.close();
    reception.connections.wait().await;
    Ok(())
}
