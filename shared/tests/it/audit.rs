//! The audit, against a store that somebody wrote to by hand.

use std::sync::Arc;

use shared::catalog::Strategy;
use shared::ids::Fence;
use shared::state::SharedState;
use shared::state::redis::RedisState;

use super::server::RedisServer;
use super::sessions::{claim, config, join, slots};

#[tokio::test]
async fn an_audit_repairs_what_somebody_wrote_by_hand() {
    let server = RedisServer::start();
    let config = config(&[slots(2)], Strategy::Weighted);
    let state = Arc::new(RedisState::new(&server.url, &config).unwrap());
    let session = join(state.clone(), &config, "a").await;
    let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
    let _lease = session.acquire(claim(5), until).await.unwrap();
    assert_eq!(state.audit(Fence::NONE).await.unwrap().1, []);
    let client = redis::Client::open(server.url.as_str()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    // Leases of a session that does not exist: nobody would ever give them back.
    let held = rmp_serde::to_vec(&[0, 1]).unwrap();
    redis::cmd("HSET")
        .arg("sluice:1:{main}:held")
        .arg("nobody")
        .arg(held)
        .exec_async(&mut connection)
        .await
        .unwrap();
    let row: Vec<u8> = redis::cmd("HGET")
        .arg("sluice:1:{main}:rows")
        .arg(0)
        .query_async(&mut connection)
        .await
        .unwrap();
    let mut fields: Vec<rmpv::Value> = rmp_serde::from_slice(&row).unwrap();
    fields[1] = 2.into();
    let row = rmp_serde::to_vec(&fields).unwrap();
    redis::cmd("HSET")
        .arg("sluice:1:{main}:rows")
        .arg(0)
        .arg(row)
        .exec_async(&mut connection)
        .await
        .unwrap();

    let differences = state.audit(Fence::NONE).await.unwrap().1;

    assert_eq!(
        (
            differences.len(),
            differences[0].counted,
            differences[0].found
        ),
        (1, 1, 2)
    );
    assert_eq!(state.audit(Fence::NONE).await.unwrap().1, []);
    assert_eq!(state.view().await.unwrap().scopes[0].held, 1);
}
