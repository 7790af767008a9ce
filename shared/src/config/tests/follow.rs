//! A file that changes under a running process.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Config, ConfigFile, Overrides};
use crate::tasks::spawn_named;

const PATIENCE: Duration = Duration::from_secs(10);

fn write(path: &Path, weight: &str) {
    let yaml = format!(
        "
providers:
  - name: local
    dialect: openai_chat
    base_url: http://127.0.0.1:1/v1
    keys: [{{ name: a, secret: sk-a, weight: {weight} }}]
models:
  - {{ name: demo, upstreams: [{{ provider: local }}] }}
"
    );
    // As editors and Kubernetes do it: never half of a file.
    let beside = path.with_extension("new");
    std::fs::write(&beside, yaml).unwrap();
    std::fs::rename(beside, path).unwrap();
}

#[tokio::test]
async fn a_changed_file_is_read_again_and_a_bad_one_leaves_the_last_good() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sluice.yaml");
    write(&path, "1");
    let file = ConfigFile::new(path.clone(), Overrides::default());
    let config = Config::load(Some(&path), &Overrides::default(), std::iter::empty()).unwrap();
    let current = watch::Sender::new(Arc::new(config));
    let mut seen = current.subscribe();
    let refusals = Arc::new(Mutex::new(Vec::new()));
    let (told, shutdown) = (Arc::clone(&refusals), CancellationToken::new());
    let following = file.follow(
        current,
        move |refused| told.lock().unwrap().push(refused.map(ToString::to_string)),
        shutdown.clone(),
    );
    spawn_named(&TaskTracker::new(), "follow", following);

    write(&path, "-1");
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let after_bad = seen.has_changed().unwrap();
    write(&path, "2");
    timeout(PATIENCE, seen.changed()).await.unwrap().unwrap();

    let weight = seen.borrow().providers[0].keys[0].weight;
    let refusals = refusals.lock().unwrap().clone();
    assert!(!after_bad);
    assert!((weight - 2.0).abs() < f64::EPSILON);
    assert_eq!(refusals.len(), 2, "told once each: {refusals:?}");
    assert!(refusals[0].as_ref().unwrap().contains("weight"));
    assert_eq!(refusals[1], None);
    shutdown.cancel();
}
