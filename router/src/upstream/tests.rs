//! Against providers of raw bytes, which misbehave exactly as told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use dialect::canon::StreamVariant;
use dialect::{Ask, Endpoint, Framing, Overrides, PathFacts, Target};
use http::HeaderName;
use shared::config::Dialect;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::*;

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";

const STREAM_HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n";

/// What a provider does with one connection, once it has read a request from it.
#[derive(Clone, Copy)]
enum Manner {
    Answer(&'static [u8]),
    /// Answers, and closes the connection a little later.
    AnswerAndClose(&'static [u8]),
    Close,
    Silence,
}

struct Provider {
    address: SocketAddr,
    requests: mpsc::UnboundedReceiver<String>,
    n_connections: Arc<AtomicUsize>,
    /// Hears of connections that the client closed.
    hang_ups: mpsc::UnboundedReceiver<()>,
}

impl Provider {
    async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (requests_out, requests) = mpsc::unbounded_channel();
        let (hang_ups_out, hang_ups) = mpsc::unbounded_channel();
        let n_connections = Arc::new(AtomicUsize::new(0));
        let counter = n_connections.clone();
        let tracker = TaskTracker::new();
        shared::tasks::spawn_named(&tracker.clone(), "provider", async move {
            while let Ok((connection, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::Relaxed);
                let connection = converse(
                    connection,
                    manner,
                    requests_out.clone(),
                    hang_ups_out.clone(),
                );
                shared::tasks::spawn_named(&tracker, "connection", connection);
            }
        });
        Self {
            address,
            requests,
            n_connections,
            hang_ups,
        }
    }
}

async fn converse(
    mut connection: TcpStream,
    manner: Manner,
    requests: mpsc::UnboundedSender<String>,
    hang_ups: mpsc::UnboundedSender<()>,
) {
    while let Some(request) = read_request(&mut connection).await {
        requests.send(request).ok();
        match manner {
            Manner::Answer(bytes) => connection.write_all(bytes).await.unwrap(),
            Manner::AnswerAndClose(bytes) => {
                connection.write_all(bytes).await.unwrap();
                tokio::time::sleep(Duration::from_millis(20)).await;
                return;
            }
            Manner::Close => return,
            Manner::Silence => {}
        }
    }
    hang_ups.send(()).ok();
}

/// A head and a body of the announced length; `None` when the client has closed.
async fn read_request(connection: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let n_read = connection.read(&mut piece).await.ok().filter(|&n| n > 0)?;
        request.extend_from_slice(&piece[..n_read]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let mut lines = head.lines();
        let length = lines
            .find_map(|line| line.strip_prefix("content-length: "))
            .unwrap();
        if body.len() == length.parse::<usize>().unwrap() {
            return Some(text);
        }
    }
}

fn client() -> UpstreamClient {
    UpstreamClient::new(&Timeouts {
        connect: Duration::from_secs(1),
        first_byte: Duration::from_secs(10),
        idle: Duration::from_millis(100),
        total: Duration::from_secs(10),
        drain: Duration::from_secs(10),
    })
    .unwrap()
}

/// Sends to `base_url` with short patience.
async fn send(client: &UpstreamClient, base_url: &str) -> Result<UpstreamReply, SendError> {
    send_until(client, base_url, Duration::from_secs(10)).await
}

/// The same, of a request that may take only so long as a whole.
async fn send_until(
    client: &UpstreamClient,
    base_url: &str,
    total: Duration,
) -> Result<UpstreamReply, SendError> {
    let client_headers = [
        ("authorization", "Bearer sk-client"),
        ("cookie", "c"),
        ("traceparent", "00-1"),
    ];
    let client_headers =
        client_headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    client
        .send(Attempt {
            base_url,
            provider_headers: &[
                ("x-team".to_owned(), Secret::new("search".to_owned())),
                ("Connection".to_owned(), Secret::new("x-team".to_owned())),
            ],
            secret: &Secret::new("sk-upstream".to_owned()),
            manners: Manners::Plain,
            api_version: None,
            model: "m",
            exchange: &exchange(),
            form: None,
            request_id: "req-1",
            client_headers: &HeaderMap::from_iter(client_headers),
            first_byte: Duration::from_millis(200),
            deadline: Instant::now() + total,
        })
        .await
}

fn exchange() -> Exchange {
    let body = Bytes::from_static(b"{\"model\":\"m\"}");
    let ask = Ask::parse(Endpoint::ChatCompletions, PathFacts::default(), body).unwrap();
    let target = Target {
        dialect: Dialect::OpenaiChat,
        manners: Manners::Plain,
        model: "m",
        overrides: &Overrides::default(),
        drop_unsupported: false,
    };
    Exchange::new(&ask, StreamVariant::Usual, &target).unwrap()
}

fn base_url(provider: &Provider) -> String {
    format!("http://{}/v1", provider.address)
}

#[tokio::test]
async fn a_provider_sees_its_own_key_and_nothing_of_the_clients() {
    let mut provider = Provider::start(Manner::Answer(ANSWER)).await;

    let reply = send(&client(), &base_url(&provider)).await.unwrap();

    assert_eq!(reply.read_all(1000).await.unwrap(), "{}");
    let request = provider.requests.recv().await.unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<_> = head.lines().collect();
    lines.sort_unstable();
    assert_eq!(body, "{\"model\":\"m\"}");
    assert_eq!(
        lines,
        [
            "POST /v1/chat/completions HTTP/1.1",
            "accept-encoding: identity",
            "accept: application/json, text/event-stream",
            "authorization: Bearer sk-upstream",
            "content-length: 13",
            "content-type: application/json",
            &format!("host: {}", provider.address),
            "traceparent: 00-1",
            &format!("user-agent: sluice/{}", env!("CARGO_PKG_VERSION")),
            "x-request-id: req-1",
            "x-team: search",
        ]
    );
}

#[tokio::test]
async fn a_client_sees_nothing_of_the_upstream_keys_limits() {
    let provider = Provider::start(Manner::Answer(
        b"HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\nretry-after: 7\r\n\
          x-ratelimit-limit-requests: 60\r\nset-cookie: a=b\r\nopenai-organization: acme\r\n\
          x-request-id: up-1\r\ncontent-length: 2\r\n\r\n{}",
    ))
    .await;

    let reply = send(&client(), &base_url(&provider)).await.unwrap();

    let mut names: Vec<_> = reply.headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-type", "x-upstream-request-id"]);
    assert_eq!(reply.retry_after, Some(Duration::from_secs(7)));
    assert_eq!(reply.status, 429);
}

#[tokio::test]
async fn a_refused_connection_is_unsent_and_names_no_url() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);

    let error = send(&client(), &format!("http://{address}/v1?key=sk-in-url"))
        .await
        .unwrap_err();

    assert!(matches!(error, SendError::Connect(_)), "{error}");
    assert!(error.is_unsent());
    assert!(!error.to_string().contains("sk-in-url"), "{error}");
}

#[tokio::test]
async fn a_base_url_that_is_none_is_unsent() {
    let error = send(&client(), "not a url").await.unwrap_err();

    assert!(matches!(error, SendError::Unbuildable(_)), "{error:?}");
    assert!(error.is_unsent());
}

#[tokio::test]
async fn a_connection_closed_after_the_request_may_have_been_billed() {
    let mut provider = Provider::start(Manner::Close).await;

    let error = send(&client(), &base_url(&provider)).await.unwrap_err();

    assert!(matches!(error, SendError::Reset(_)), "{error:?}");
    assert!(!error.is_unsent());
    provider.requests.recv().await.unwrap();
    assert!(provider.requests.try_recv().is_err(), "it was sent twice");
}

#[tokio::test]
async fn a_pooled_connection_that_was_closed_meanwhile_is_not_an_error() {
    let provider = Provider::start(Manner::AnswerAndClose(ANSWER)).await;
    let client = client();

    for _ in 0..20 {
        let reply = send(&client, &base_url(&provider)).await.unwrap();
        assert_eq!(reply.read_all(1000).await.unwrap(), "{}");
        tokio::time::sleep(Duration::from_millis(40)).await;
    }

    assert_eq!(provider.n_connections.load(Ordering::Relaxed), 20);
}

#[tokio::test]
async fn connections_are_used_again() {
    let provider = Provider::start(Manner::Answer(ANSWER)).await;
    let client = client();

    for _ in 0..5 {
        let reply = send(&client, &base_url(&provider)).await.unwrap();
        reply.read_all(1000).await.unwrap();
    }

    assert_eq!(provider.n_connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_silent_provider_times_out_and_sees_the_hang_up() {
    let mut provider = Provider::start(Manner::Silence).await;

    let error = send(&client(), &base_url(&provider)).await.unwrap_err();

    assert_eq!(error, SendError::Timeout(Duration::from_millis(200)));
    assert!(!error.is_unsent());
    provider.hang_ups.recv().await.unwrap();
}

#[tokio::test]
async fn no_attempt_goes_on_after_the_requests_deadline() {
    let total = Duration::from_millis(150);
    let silent = Provider::start(Manner::Silence).await;
    let stalling = Provider::start(Manner::Answer(STREAM_HEAD)).await;
    let client = client();

    let error = send_until(&client, &base_url(&silent), total).await;
    let mut reply = send_until(&client, &base_url(&stalling), total)
        .await
        .unwrap();

    assert!(matches!(error, Err(SendError::Timeout(after)) if after <= total));
    let chunk = reply.next_chunk().await.unwrap();
    assert_eq!(chunk, Err(BodyError::TotalTimeout));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_takes_the_key_nowhere() {
    let provider = Provider::start(Manner::Answer(
        b"HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
    ))
    .await;

    let reply = send(&client(), &base_url(&provider)).await.unwrap();

    assert_eq!(reply.status, 307);
    assert!(!reply.headers.contains_key("location"));
}

#[tokio::test]
async fn an_answer_in_an_unknown_encoding_is_refused() {
    let provider = Provider::start(Manner::Answer(
        b"HTTP/1.1 200 OK\r\ncontent-encoding: ZSTD\r\ncontent-length: 2\r\n\r\nxx",
    ))
    .await;

    let error = send(&client(), &base_url(&provider)).await.unwrap_err();

    assert_eq!(error, SendError::Encoded("zstd".to_owned()));
}

#[tokio::test]
async fn a_stream_that_stalls_is_given_up_and_its_provider_sees_the_hang_up() {
    let head_and_chunk = [STREAM_HEAD, b"8\r\ndata: 1\n\r\n"].concat();
    let mut provider = Provider::start(Manner::Answer(head_and_chunk.leak())).await;
    let mut reply = send(&client(), &base_url(&provider)).await.unwrap();

    let first = reply.next_chunk().await.unwrap();
    let second = reply.next_chunk().await.unwrap();

    assert!(reply.is_stream_of(Framing::Sse));
    assert_eq!(first.unwrap(), "data: 1\n");
    assert_eq!(
        second,
        Err(BodyError::IdleTimeout(Duration::from_millis(100)))
    );
    drop(reply);
    provider.hang_ups.recv().await.unwrap();
}

#[tokio::test]
async fn an_encoded_stream_is_decoded_as_it_comes_in() {
    const FLUSHED: &[u8] = &[0, 0, 0xff, 0xff];
    let encoded = include_bytes!("../../fixtures/encoded/stream.sse.gz");
    let flush = memchr::memmem::find(encoded, FLUSHED).unwrap() + FLUSHED.len();
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\n\
        content-length: 9999\r\n\r\n";
    let first_event = [&head[..], &encoded[..flush]].concat();
    let provider = Provider::start(Manner::Answer(first_event.leak())).await;
    let mut reply = send(&client(), &base_url(&provider)).await.unwrap();

    let first = reply.next_chunk().await.unwrap().unwrap();
    let second = reply.next_chunk().await.unwrap();

    let events = include_str!("../../fixtures/encoded/stream.sse");
    let event = events.split_inclusive("\n\n").next().unwrap();
    assert_eq!(first, event);
    assert_eq!(
        second,
        Err(BodyError::IdleTimeout(Duration::from_millis(100)))
    );
}

#[tokio::test]
async fn a_stream_without_a_first_byte_times_out() {
    let provider = Provider::start(Manner::Answer(STREAM_HEAD)).await;
    let mut reply = send(&client(), &base_url(&provider)).await.unwrap();

    let first = reply.next_chunk().await.unwrap();

    assert_eq!(first, Err(BodyError::FirstByteTimeout));
}

#[tokio::test]
async fn a_stream_cut_short_is_no_end() {
    let head_and_chunk = [STREAM_HEAD, b"8\r\ndata: 1\n\r\n"].concat();
    let provider = Provider::start(Manner::AnswerAndClose(head_and_chunk.leak())).await;
    let mut reply = send(&client(), &base_url(&provider)).await.unwrap();

    reply.next_chunk().await.unwrap().unwrap();
    let second = reply.next_chunk().await.unwrap();

    assert!(matches!(second, Err(BodyError::Reset(_))), "{second:?}");
}

#[tokio::test]
async fn an_answer_may_be_only_so_long() {
    let provider = Provider::start(Manner::Answer(ANSWER)).await;
    let reply = send(&client(), &base_url(&provider)).await.unwrap();

    let result = reply.read_all(1).await;

    assert_eq!(result, Err(BodyError::TooLong(1)));
}
