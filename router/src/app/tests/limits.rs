//! What limits do to requests.

use super::client::{Connection, chat};
use super::*;

#[tokio::test]
async fn the_callers_limits_are_shown_and_named_when_they_refuse() {
    let replica = Replica::start_with(&["good"], |config| {
        config.client_keys[0].limits.rpm = Some(1);
        config.queue.timeout = Duration::from_millis(100);
    })
    .await;

    let served = replica.chat(&chat("m", false)).await;
    let refused = replica.chat(&chat("m", false)).await;

    assert_eq!(served.status, 200);
    assert_eq!(served.header("x-ratelimit-limit-requests"), Some("1"));
    assert_eq!(served.header("x-ratelimit-remaining-requests"), Some("0"));
    assert_eq!(refused.status, 429);
    assert_eq!(
        refused.header("x-sluice-limit"),
        Some("client_key/search/rpm")
    );
    let retry_after: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((58..=62).contains(&retry_after), "{retry_after}");
    assert_eq!(refused.header("x-should-retry"), Some("true"));
}

#[tokio::test]
async fn without_a_queue_nobody_waits_and_what_is_free_is_granted() {
    let replica = Replica::start_with(&["wait"], |config| {
        config.providers[0].keys[0].limits.concurrency = Some(1);
        config.queue.timeout = Duration::ZERO;
        config.timeouts.first_byte = Duration::from_secs(20);
    })
    .await;
    let mut served = Connection::open(replica.data).await;
    let body = chat("m", false);
    served
        .send("POST", "/v1/chat/completions", TOKEN, "", &body)
        .await;
    until("the first is sent", async || {
        replica.upstream.n_requests("wait") == 1
    })
    .await;

    let refused = replica.chat(&body).await;

    assert_eq!(refused.status, 429);
    assert_eq!(
        refused.header("x-sluice-limit"),
        Some("key/wait/main/concurrency")
    );
}

#[tokio::test]
async fn a_client_that_hangs_up_while_it_waits_leaves_the_queue() {
    let replica = Replica::start_with(&["wait"], |config| {
        config.providers[0].keys[0].limits.concurrency = Some(1);
        config.timeouts.first_byte = Duration::from_secs(20);
    })
    .await;
    let queued = async || {
        let view = replica.pipeline.session.view().await.unwrap();
        view.models.iter().map(|model| model.queued).sum::<u64>()
    };
    let body = chat("m", false);
    let mut connections = Vec::new();
    for _ in 0..3 {
        let mut connection = Connection::open(replica.data).await;
        connection
            .send("POST", "/v1/chat/completions", TOKEN, "", &body)
            .await;
        connections.push(connection);
    }
    until("two wait", async || queued().await == 2).await;

    connections.truncate(1);

    until("nobody waits", async || queued().await == 0).await;
    assert_eq!(replica.held_and_charged().await.0, 1);
}

#[tokio::test]
async fn what_can_never_fit_is_refused_at_once() {
    let replica = Replica::start_with(&["good"], |config| {
        config.providers[0].keys[0].limits.tpm = Some(20);
    })
    .await;

    let refused = replica.chat(&chat("m", false)).await;

    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("x-sluice-limit"), Some("key/good/main/tpm"));
    assert_eq!(refused.header("x-should-retry"), Some("false"));
    assert!(refused.text().contains("Limit 20, Requested 59"));
}
