//! The end of a replica.

use super::client::{Connection, chat, get};
use super::*;

#[tokio::test]
async fn a_drain_lets_streams_finish_and_takes_nothing_new() {
    let mut replica = Replica::start(&["slow"]).await;
    let mut connection = Connection::open(replica.data).await;
    let mut idle = Connection::open(replica.data).await;
    connection
        .send("POST", "/v1/chat/completions", TOKEN, "", &chat("m", true))
        .await;
    connection.read_some().await;

    replica.stop();

    until("readiness is over", async || {
        get(replica.admin, "/readyz", "").await.status == 503
    })
    .await;
    assert_eq!(get(replica.admin, "/livez", "").await.status, 200);
    until("the listener is closed", async || {
        tokio::net::TcpStream::connect(replica.data).await.is_err()
    })
    .await;
    assert!(idle.is_closed().await);
    let received = connection.receive().await;
    assert!(received.is_whole);
    assert!(received.text().ends_with("data: [DONE]\n\n"));
    replica.running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_drain_that_runs_out_breaks_streams_off_in_band_and_answers_who_waits() {
    let mut replica = Replica::start_with(&["endless"], |config| {
        config.timeouts.drain = Duration::from_millis(200);
    })
    .await;
    let mut connection = Connection::open(replica.data).await;
    connection
        .send("POST", "/v1/chat/completions", TOKEN, "", &chat("m", true))
        .await;
    connection.read_some().await;
    let mut waiting = Connection::open(replica.data).await;
    waiting
        .send("POST", "/v1/chat/completions", TOKEN, "", &chat("m", false))
        .await;
    until("both are sent", async || {
        replica.upstream.n_requests("endless") == 2
    })
    .await;

    replica.stop();

    let received = connection.receive().await;
    assert!(!received.is_whole);
    assert!(received.text().contains("shutting down"));
    let waited = waiting.receive().await;
    assert_eq!(waited.status, 503);
    assert_eq!(waited.header("retry-after"), Some("1"));
    replica.running.await.unwrap().unwrap();
}
