//! An upstream that behaves as the first part of the path says.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

/// What `good` reports.
pub(super) const USAGE_TOKENS: u64 = 9 + 3;
/// What the router counts for the prompt of [`super::client::chat`], with its vocabulary or by its length.
pub(super) const PROMPT_TOKENS: u64 = 9;

#[derive(Clone)]
pub(super) struct FakeUpstream {
    pub(super) address: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    requests: Mutex<HashMap<String, usize>>,
    last_body: Mutex<Value>,
    n_aborted: AtomicUsize,
}

impl FakeUpstream {
    #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
        };
        let seen = Arc::clone(&upstream.seen);
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let seen = Arc::clone(&seen);
                tokio::spawn(async move { serve(socket, &seen).await });
            }
        });
        upstream
    }

    pub(super) fn n_requests(&self, behaviour: &str) -> usize {
        let requests = self.seen.requests.lock().unwrap();
        requests.get(behaviour).copied().unwrap_or_default()
    }

    pub(super) fn last_body(&self) -> Value {
        self.seen.last_body.lock().unwrap().clone()
    }

    /// Requests whose connection the router closed before their answer.
    pub(super) fn n_aborted(&self) -> usize {
        self.seen.n_aborted.load(Ordering::SeqCst)
    }
}

async fn serve(mut socket: TcpStream, seen: &Seen) {
    let mut bytes = Vec::new();
    let mut patience = Duration::MAX;
    while let Ok(Some((behaviour, body))) =
        timeout(patience, receive(&mut socket, &mut bytes)).await
    {
        if behaviour == "hasty" {
            patience = HASTE;
        }
        *seen
            .requests
            .lock()
            .unwrap()
            .entry(behaviour.clone())
            .or_default() += 1;
        let is_stream = body["stream"] == true;
        *seen.last_body.lock().unwrap() = body;
        let (mut reader, mut writer) = socket.split();
        let closed = async {
            let mut byte = [0];
            while reader.read(&mut byte).await.is_ok_and(|length| length > 0) {}
        };
        let is_kept = tokio::select! {
            biased;
            is_kept = answer(&mut writer, &behaviour, is_stream) => is_kept,
            () = closed => {
                seen.n_aborted.fetch_add(1, Ordering::SeqCst);
                false
            }
        };
        if !is_kept {
            if matches!(behaviour.as_str(), "cut" | "reset") {
                socket.set_zero_linger().unwrap();
            }
            return;
        }
    }
}

async fn receive(socket: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<(String, Value)> {
    loop {
        if let Some(at) = memchr::memmem::find(bytes, b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..at].to_vec()).unwrap();
            let length = head
                .to_lowercase()
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
                .unwrap_or(0);
            if bytes.len() >= at + 4 + length {
                let body = serde_json::from_slice(&bytes[at + 4..at + 4 + length]);
                // A form is none.
                let body = body.unwrap_or_default();
                bytes.drain(..at + 4 + length);
                let path = head.split(' ').nth(1).unwrap();
                return Some((path.split('/').nth(1).unwrap().to_owned(), body));
            }
        }
        if socket.read_buf(bytes).await.ok()? == 0 {
            return None;
        }
    }
}

type Writer<'a> = tokio::net::tcp::WriteHalf<'a>;

/// Returns whether the connection is kept.
async fn answer(writer: &mut Writer<'_>, behaviour: &str, is_stream: bool) -> bool {
    match behaviour {
        "wait" => sleep(Duration::from_secs(60)).await,
        "silent" => sleep(Duration::from_secs(3)).await,
        "stalled_refusal" => {
            let head = "HTTP/1.1 429 X\r\nretry-after: 7\r\ncontent-length: 9\r\n\r\n";
            writer.write_all(head.as_bytes()).await.unwrap();
            sleep(Duration::from_secs(60)).await;
        }
        "reset" => {}
        "html" => document(writer, 200, "text/html", "<html></html>").await,
        "empty" => document(writer, 200, JSON, r#"{"choices":[]}"#).await,
        encoding if encoding.starts_with("encoded_") => {
            encoded(writer, &encoding["encoded_".len()..], is_stream).await;
            return true;
        }
        "loading" => {
            let body = json!({
                "model": "m", "created_at": "2026-01-01T00:00:00Z", "done": true, "done_reason": "load",
                "message": {"role": "assistant", "content": ""},
            });
            document(writer, 200, JSON, &body.to_string()).await;
            return true;
        }
        media if media.starts_with("media_") => return self::media(writer, media).await,
        "error200" => document(writer, 200, JSON, r#"{"error":{"message":"overloaded"}}"#).await,
        status if REFUSALS.iter().any(|(name, ..)| *name == status) => {
            let refusal = REFUSALS.iter().find(|(name, ..)| *name == status);
            let (_, status, body) = refusal.unwrap();
            document(writer, *status, JSON, body).await;
            return true;
        }
        status if status.starts_with('s') && status[1..].parse::<u16>().is_ok() => {
            let body = json!({"error": {"message": format!("from upstream: {status}"), "type": "t", "code": null}});
            document(
                writer,
                status[1..].parse().unwrap(),
                JSON,
                &body.to_string(),
            )
            .await;
            return true;
        }
        _ if !is_stream && behaviour == "endless" => sleep(Duration::from_secs(60)).await,
        _ if !is_stream => {
            let body = json!({
                "id": "x", "object": "chat.completion", "model": "real",
                "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}],
                "data": [{"embedding": [0.5]}],
                "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
            });
            document(writer, 200, JSON, &body.to_string()).await;
            return true;
        }
        behaviour => return stream(writer, behaviour).await,
    }
    false
}

const JSON: &str = "application/json";

/// How long `hasty` keeps an idle connection.
pub(super) const HASTE: Duration = Duration::from_millis(20);

/// Refusals whose bodies say more than their statuses.
const REFUSALS: [(&str, u16, &str); 7] = [
    (
        "no_quota",
        429,
        r#"{"error":{"message":"from upstream: no_quota","type":"insufficient_quota","code":"insufficient_quota"}}"#,
    ),
    (
        "arrears",
        429,
        r#"{"error":{"code":"1113","message":"from upstream: arrears"}}"#,
    ),
    (
        "unknown_model",
        404,
        r#"{"error":{"message":"from upstream: unknown_model","type":"invalid_request_error","code":"model_not_found"}}"#,
    ),
    (
        "filtered",
        400,
        r#"{"error":{"message":"from upstream: filtered","code":"content_filter"}}"#,
    ),
    (
        "flagged",
        403,
        r#"{"error":{"message":"from upstream: flagged by moderation","code":403}}"#,
    ),
    (
        "too_long",
        400,
        r#"{"error":{"message":"from upstream: too_long","code":"context_length_exceeded"}}"#,
    ),
    (
        "google",
        429,
        r#"[{"error":{"code":429,"message":"from upstream: google","status":"RESOURCE_EXHAUSTED","details":[{"retryDelay":"34.5s"}]}}]"#,
    ),
];

async fn document(writer: &mut Writer<'_>, status: u16, content_type: &str, body: &str) {
    let length = body.len();
    let response = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\nretry-after: 7\r\n\
         x-ratelimit-limit-requests: 60\r\nx-ratelimit-remaining-requests: 59\r\nx-ratelimit-reset-requests: 1s\r\n\
         content-length: {length}\r\n\r\n{body}"
    );
    writer.write_all(response.as_bytes()).await.unwrap();
}

/// Answers in an encoding that nobody asked for.
async fn encoded(writer: &mut Writer<'_>, encoding: &str, is_stream: bool) {
    let (content_type, body): (_, &[u8]) = match (encoding, is_stream) {
        ("gzip", true) => (
            "text/event-stream",
            include_bytes!("../../../fixtures/encoded/stream.sse.gz"),
        ),
        ("gzip", false) => (
            JSON,
            include_bytes!("../../../fixtures/encoded/answer.json.gz"),
        ),
        ("br", _) => (
            JSON,
            include_bytes!("../../../fixtures/encoded/answer.json.br"),
        ),
        ("deflate", _) => (
            JSON,
            include_bytes!("../../../fixtures/encoded/answer.json.zz"),
        ),
        // Cut short, and nothing that is known.
        _ => (JSON, b"\x1f\x8b\x08\x00\x00"),
    };
    let encoding = if encoding == "cut" { "gzip" } else { encoding };
    let head = format!(
        "HTTP/1.1 200 X\r\ncontent-type: {content_type}\r\ncontent-encoding: {encoding}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    writer.write_all(head.as_bytes()).await.unwrap();
    // In small pieces, as a network may deliver it.
    for piece in body.chunks(7) {
        writer.write_all(piece).await.ok();
        tokio::task::yield_now().await;
    }
}

/// What is asked of no language model.
async fn media(writer: &mut Writer<'_>, behaviour: &str) -> bool {
    let usage = json!({"input_tokens": 9, "output_tokens": 3});
    if behaviour == "media_plain" {
        let body = json!({"text": "hi", "data": [{"b64_json": "AA=="}], "usage": usage});
        document(writer, 200, JSON, &body.to_string()).await;
        return true;
    }
    let media_type = match behaviour {
        "media_sound" | "media_cut_sound" => "audio/mpeg",
        _ => "text/event-stream",
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {media_type}\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    writer.write_all(head.as_bytes()).await.unwrap();
    match behaviour {
        "media_sound" => {
            chunk(writer, "first ").await;
            // Long enough to look at the router meanwhile, on a slow machine too.
            sleep(Duration::from_secs(2)).await;
            chunk(writer, "second").await;
        }
        "media_cut_sound" => {
            chunk(writer, "first ").await;
            return false;
        }
        _ => {
            event(writer, r#"{"type":"speech.audio.delta","audio":"AA=="}"#).await;
            if behaviour == "media_events" {
                let done = json!({"type": "speech.audio.done", "usage": usage});
                event(writer, &done.to_string()).await;
            }
        }
    }
    chunk(writer, "").await;
    true
}

async fn stream(writer: &mut Writer<'_>, behaviour: &str) -> bool {
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    writer.write_all(head.as_bytes()).await.unwrap();
    delta(writer, json!({"role": "assistant", "content": ""})).await;
    match behaviour {
        "early" => {
            chunk(writer, "").await;
            return true;
        }
        "early_error" => {
            event(
                writer,
                &json!({"error": {"message": "no", "code": 503}}).to_string(),
            )
            .await;
            return false;
        }
        _ => {}
    }
    for word in ["hi ", "you"] {
        delta(writer, json!({"content": word})).await;
        sleep(Duration::from_millis(10)).await;
    }
    match behaviour {
        "cut" => return false,
        "one_of_two" => {
            finish(writer, 0).await;
            return false;
        }
        "eof" => {
            chunk(writer, "").await;
            return true;
        }
        "stall" => {
            sleep(Duration::from_secs(3)).await;
            return false;
        }
        "late_error" => {
            event(
                writer,
                &json!({"error": {"message": "no", "code": 503}}).to_string(),
            )
            .await;
            return false;
        }
        "endless" => loop {
            delta(writer, json!({"content": "on "})).await;
            sleep(Duration::from_millis(20)).await;
        },
        "slow" => sleep(Duration::from_millis(500)).await,
        _ => {}
    }
    finish(writer, 0).await;
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}});
    event(writer, &usage.to_string()).await;
    event(writer, "[DONE]").await;
    chunk(writer, "").await;
    true
}

async fn delta(writer: &mut Writer<'_>, delta: Value) {
    let data = json!({"id": "x", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]});
    event(writer, &data.to_string()).await;
}

async fn finish(writer: &mut Writer<'_>, index: u32) {
    let last = json!({"choices": [{"index": index, "delta": {}, "finish_reason": "stop"}]});
    event(writer, &last.to_string()).await;
}

async fn event(writer: &mut Writer<'_>, data: &str) {
    chunk(writer, &format!("data: {data}\n\n")).await;
}

/// Writes one chunk; the router may have gone.
async fn chunk(writer: &mut Writer<'_>, data: &str) {
    let chunk = format!("{:x}\r\n{data}\r\n", data.len());
    writer.write_all(chunk.as_bytes()).await.ok();
}
