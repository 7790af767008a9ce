use std::net::SocketAddr;
use std::time::Instant;

use axum::routing::{get, post};
use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::*;

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(60);

/// Serves a handful of routes until the test's runtime ends.
async fn serve(patience: Patience, connections_max: usize) -> SocketAddr {
    serve_until(patience, connections_max, CancellationToken::new()).await
}

async fn serve_until(
    patience: Patience,
    connections_max: usize,
    draining: CancellationToken,
) -> SocketAddr {
    serve_with(patience, connections_max, LAST_CHANCE, draining).await
}

async fn serve_with(
    patience: Patience,
    connections_max: usize,
    last_chance: Duration,
    draining: CancellationToken,
) -> SocketAddr {
    let router = Router::new()
        .route("/", get(|| async { "hello" }))
        .route(
            "/late",
            get(|| async {
                tokio::time::sleep(SHORT * 2).await;
                "late"
            }),
        )
        .route("/panic", get(panic_for_the_test))
        .route(
            "/early",
            post(|| async { (http::StatusCode::PAYLOAD_TOO_LARGE, "no") }),
        )
        .route(
            "/flood",
            get(|| async {
                Body::from_stream(futures_util::stream::repeat_with(|| {
                    Ok::<_, Infallible>(Bytes::from(vec![b'x'; 64 * 1024]))
                }))
            }),
        );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tasks = TaskTracker::new();
    let port = DataPort {
        router,
        patience,
        connections_max,
        last_chance,
        draining,
        abandon: CancellationToken::new(),
        tasks: tasks.clone(),
    };
    spawn_named(&tasks, "data port", port.serve(listener));
    address
}

async fn panic_for_the_test() -> &'static str {
    panic!("on purpose")
}

fn patient() -> Patience {
    Patience {
        head: LONG,
        idle: LONG,
        stall: LONG,
    }
}

async fn connect(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(bytes).await.unwrap();
    client
}

/// Reads what comes within five seconds, until the connection is closed.
async fn read_to_close(client: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = timeout(Duration::from_secs(5), client.read_to_end(&mut bytes));
    read.await.expect("the connection stays open").ok();
    String::from_utf8(bytes).unwrap()
}

async fn read_response(client: &mut TcpStream) -> String {
    let mut bytes = [0; 4096];
    let read = timeout(Duration::from_secs(5), client.read(&mut bytes));
    let length = read.await.expect("no response").unwrap();
    String::from_utf8(bytes[..length].to_vec()).unwrap()
}

#[tokio::test]
async fn a_head_that_does_not_end_is_given_up() {
    let address = serve(
        Patience {
            head: SHORT,
            ..patient()
        },
        10,
    )
    .await;
    let mut client = connect(address, b"GET / HTTP/1.1\r\nhost: x\r\nx-a: ").await;

    let started = Instant::now();
    let read = read_to_close(&mut client).await;

    assert_eq!(read, "");
    assert!(started.elapsed() >= SHORT / 2);
}

#[tokio::test]
async fn bytes_that_trickle_do_not_prolong_a_head() {
    let address = serve(
        Patience {
            head: SHORT,
            ..patient()
        },
        10,
    )
    .await;
    let mut client = connect(address, b"GET / HTTP/1.1\r\n").await;

    let started = Instant::now();
    while client.write_all(b"x-a: b\r\n").await.is_ok() {
        tokio::time::sleep(SHORT / 10).await;
        assert!(started.elapsed() < Duration::from_secs(5), "never given up");
    }
}

#[tokio::test]
async fn a_silent_connection_is_given_up_before_its_first_request_and_after_each() {
    let address = serve(
        Patience {
            idle: SHORT,
            ..patient()
        },
        10,
    )
    .await;
    let mut silent = connect(address, b"").await;
    let mut served = connect(address, b"GET /late HTTP/1.1\r\nhost: x\r\n\r\n").await;

    assert_eq!(read_to_close(&mut silent).await, "");
    let response = read_to_close(&mut served).await;

    assert!(response.ends_with("late"), "{response}");
}

#[tokio::test]
async fn an_idle_connection_may_wait_longer_than_a_head() {
    let address = serve(
        Patience {
            head: SHORT,
            ..patient()
        },
        10,
    )
    .await;
    let mut client = connect(address, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    read_response(&mut client).await;

    tokio::time::sleep(SHORT * 2).await;
    client
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();

    assert!(read_response(&mut client).await.ends_with("hello"));
}

#[tokio::test]
async fn a_client_that_does_not_read_is_given_up() {
    let address = serve(
        Patience {
            stall: SHORT,
            ..patient()
        },
        10,
    )
    .await;
    let mut client = connect(address, b"GET /flood HTTP/1.1\r\nhost: x\r\n\r\n").await;

    tokio::time::sleep(SHORT * 3).await;

    // What the kernel holds comes, and then the end, though the answer has none.
    let mut bytes = vec![0; 1024 * 1024];
    let end = timeout(Duration::from_secs(10), async {
        while client.read(&mut bytes).await.is_ok_and(|length| length > 0) {}
    });
    assert!(end.await.is_ok());
}

#[tokio::test]
async fn connections_beyond_the_cap_wait_for_a_free_place() {
    let address = serve(patient(), 1).await;
    let first = connect(address, b"").await;
    let mut second = connect(address, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let waits = timeout(SHORT, second.readable()).await;
    assert!(waits.is_err());

    drop(first);

    assert!(read_response(&mut second).await.ends_with("hello"));
}

#[tokio::test]
async fn a_panic_is_a_500_and_the_connection_lives_on() {
    let address = serve(patient(), 10).await;
    let mut client = connect(address, b"GET /panic HTTP/1.1\r\nhost: x\r\n\r\n").await;

    let response = read_response(&mut client).await;

    assert!(response.starts_with("HTTP/1.1 500"), "{response}");
    assert!(response.contains("x-request-id: req_"));
    assert!(response.contains("internal_error"));
    client
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    assert!(read_response(&mut client).await.ends_with("hello"));
}

#[tokio::test]
async fn an_early_answer_reaches_a_client_that_is_still_sending() {
    let address = serve(patient(), 10).await;
    let length = 8 * 1024 * 1024;
    let head = format!("POST /early HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n");
    let mut client = connect(address, head.as_bytes()).await;

    let body = vec![b'x'; length];
    let sent = client.write_all(&body).await;
    let response = read_to_close(&mut client).await;

    assert!(sent.is_ok());
    assert!(response.starts_with("HTTP/1.1 413"), "{response}");
}

#[tokio::test]
async fn ambiguous_framing_is_refused() {
    let address = serve(patient(), 10).await;
    for framing in [
        "content-length: 5\r\ncontent-length: 6",
        "content-length: +5",
        "transfer-encoding: chunked, identity",
        "content-length : 5",
    ] {
        let head = format!("POST /early HTTP/1.1\r\nhost: x\r\n{framing}\r\n\r\nhello");
        let mut client = connect(address, head.as_bytes()).await;

        let response = read_to_close(&mut client).await;

        assert!(
            response.starts_with("HTTP/1.1 400"),
            "{framing}: {response}"
        );
    }
}

#[tokio::test]
async fn a_connection_that_was_just_accepted_may_still_ask() {
    let draining = CancellationToken::new();
    let last_chance = LAST_CHANCE * 20;
    let address = serve_with(patient(), 10, last_chance, draining.clone()).await;
    let mut early = connect(address, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    read_response(&mut early).await;
    let mut client = connect(address, b"").await;
    tokio::time::sleep(LAST_CHANCE / 4).await;

    draining.cancel();
    tokio::time::sleep(LAST_CHANCE / 4).await;
    client
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();

    assert!(read_to_close(&mut client).await.ends_with("hello"));
}
