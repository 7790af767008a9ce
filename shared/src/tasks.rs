//! Background tasks with a name: shutdown can wait for them, and a panic in one is logged.

use std::future::Future;

use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

/// Spawns `future` under `name`, tracked by `tracker`.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the wrapper that the lint points to"
)]
pub fn spawn_named<F>(tracker: &TaskTracker, name: &'static str, future: F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let task = tokio::task::spawn(
        tracker.track_future(future.instrument(tracing::info_span!("task", name))),
    );
    tokio::task::spawn(async move {
        if let Err(error) = task.await
            && error.is_panic()
        {
            tracing::error!(task = name, "Task `{name}` panicked");
        }
    });
}
