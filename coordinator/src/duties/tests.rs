use std::sync::Arc;

use shared::catalog::Catalog;
use shared::config::Config;
use shared::state::SharedState;
use shared::tasks::spawn_named;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use super::*;
use crate::leadership::Campaign;
use crate::scripted::{Scripted, config, join};

/// A coordinator that leads, and stops when dropped.
pub(super) struct Leading {
    pub(super) standing: Standing,
    shutdown: CancellationToken,
}

impl Leading {
    pub(super) async fn on(state: &Arc<Scripted>) -> Self {
        let leading = Self {
            standing: Standing::new(),
            shutdown: CancellationToken::new(),
        };
        let campaign = Campaign {
            state: Arc::clone(state) as Arc<dyn SharedState>,
            standing: leading.standing.clone(),
            owner: "leader".to_owned(),
            address: "leader:9090".to_owned(),
        };
        let running = campaign.run(leading.shutdown.clone());
        spawn_named(&TaskTracker::new(), "campaign", running);
        leading.standing.next_term().await;
        leading
    }
}

impl Drop for Leading {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

async fn publish_of(
    changed: &Config,
) -> (Arc<Scripted>, Leading, Publish, watch::Sender<Arc<Config>>) {
    let state = Scripted::new();
    join(
        state.clone(),
        &config("http://127.0.0.1:1/v1", "probe: none"),
    )
    .await;
    let leading = Leading::on(&state).await;
    let current = watch::Sender::new(Arc::new(changed.clone()));
    let publish = Publish::new(state.clone(), current.subscribe());
    (state, leading, publish, current)
}

fn other_config() -> Config {
    let mut config = config("http://127.0.0.1:1/v1", "probe: none");
    config.providers[0].keys[0].weight = 9.0;
    config
}

#[tokio::test]
async fn what_is_in_force_already_is_only_made_whole_once_a_term() {
    // How a provider is probed is in no catalog.
    let same = config("http://127.0.0.1:1/v1", "probe: models");
    let (state, leading, mut publish, _current) = publish_of(&same).await;

    let term = leading.standing.term().unwrap();
    for _ in 0..3 {
        publish.run_once(&term).await.unwrap();
    }

    let in_force = state.catalog().await.unwrap();
    assert_eq!(state.published(), [(term.fence().unwrap(), in_force)]);
}

#[tokio::test]
async fn a_changed_file_is_published_as_the_successor_with_the_leaders_fence() {
    let (state, leading, mut publish, current) =
        publish_of(&config("http://127.0.0.1:1/v1", "probe: none")).await;
    let term = leading.standing.term().unwrap();
    publish.run_once(&term).await.unwrap();

    current.send_replace(Arc::new(other_config()));
    publish.run_once(&term).await.unwrap();

    let published = state.published();
    let in_force = state.catalog().await.unwrap();
    assert_eq!(published.len(), 2);
    assert_eq!(published[1].0, term.fence().unwrap());
    assert_eq!(published[1].1, Catalog::succeed(&other_config(), &in_force));
}

#[tokio::test]
async fn a_catalog_that_came_in_between_is_succeeded_too() {
    let (state, leading, mut publish, _current) = publish_of(&other_config()).await;
    state.answer(&[Status::Stale]);

    publish
        .run_once(&leading.standing.term().unwrap())
        .await
        .unwrap();

    assert_eq!(state.published().len(), 2);
}

#[tokio::test]
async fn a_write_that_is_refused_ends_the_term() {
    let (state, leading, publish, _current) = publish_of(&other_config()).await;
    let term = leading.standing.term().unwrap();
    state.answer(&[Status::Fenced]);

    let shutdown = CancellationToken::new();
    let attending = attend(
        Box::new(publish),
        leading.standing.clone(),
        shutdown.clone(),
    );
    spawn_named(&TaskTracker::new(), "publish", attending);
    let ended = tokio::time::timeout(Duration::from_secs(2), async {
        while term.fence().is_some() {
            sleep(Duration::from_millis(10)).await;
        }
    });

    assert!(ended.await.is_ok());
    shutdown.cancel();
}
