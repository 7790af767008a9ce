//! A changed file takes effect without a restart, as far as it can; what is agreed on cluster-wide, a coordinator publishes.

use std::fmt::Debug;
use std::sync::Arc;

use shared::catalog::Catalog;
use shared::config::{Config, ConfigError, ConfigFile};
use shared::tasks::spawn_named;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::metrics;
use crate::pipeline::Pipeline;

/// Follows `file` until the drain begins.
pub(super) fn follow(file: ConfigFile, pipeline: &Arc<Pipeline>, tasks: &TaskTracker) {
    let (sender, mut changed) = watch::channel(Arc::clone(&pipeline.config));
    let path = file.path().display().to_string();
    let told = move |refused: Option<&ConfigError>| {
        metrics::config_rejected(refused.is_some());
        if let Some(refused) = refused {
            tracing::warn!("{path} has changed and is refused, the last good one stays: {refused}");
        }
    };
    metrics::config_rejected(false);
    let draining = pipeline.draining.clone();
    spawn_named(tasks, "config file", file.follow(sender, told, draining));

    let pipeline = Arc::clone(pipeline);
    spawn_named(tasks, "config reload", async move {
        // Ends with the task above.
        while changed.changed().await.is_ok() {
            let config = Arc::clone(&changed.borrow_and_update());
            take_over(&pipeline, config);
        }
    });
}

fn take_over(pipeline: &Pipeline, config: Arc<Config>) {
    let waiting = needs_restart(&pipeline.config, &config);
    if !waiting.is_empty() {
        tracing::warn!(
            "Changed in the file, and in force only after a restart: {}",
            waiting.join(", ")
        );
    }
    pipeline.session.declare(&Catalog::declare(&config));
    pipeline.fleet.reload(config);
    tracing::info!("The configuration file was read again");
}

/// The settings that a running router cannot change.
fn needs_restart(running: &Config, read: &Config) -> Vec<&'static str> {
    fn differ(a: &impl Debug, b: &impl Debug) -> bool {
        format!("{a:?}") != format!("{b:?}")
    }
    let queue = |config: &Config| config.queue.timeout;
    let retries = |config: &Config| (config.retries.max_attempts, config.retries.replay_max);
    let checks = [
        ("listen", running.listen != read.listen),
        ("admin_listen", running.admin_listen != read.admin_listen),
        ("state", running.state != read.state),
        ("state_tls", differ(&running.state_tls, &read.state_tls)),
        ("replica.name", running.replica_name != read.replica_name),
        ("queue.timeout", queue(running) != queue(read)),
        ("timeouts", differ(&running.timeouts, &read.timeouts)),
        ("retries", retries(running) != retries(read)),
        ("limits", differ(&running.limits, &read.limits)),
        ("telemetry", differ(&running.telemetry, &read.telemetry)),
    ];
    let changed = checks.into_iter().filter(|(_, has_changed)| *has_changed);
    changed.map(|(setting, _)| setting).collect()
}
