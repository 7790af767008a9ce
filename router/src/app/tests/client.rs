//! A client that speaks HTTP/1.1 by hand: it sees aborted bodies, and may misbehave.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(super) struct Connection {
    socket: TcpStream,
    /// Received and not looked at yet.
    bytes: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Received {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Whether the body came to its proper end.
    pub(super) is_whole: bool,
}

pub(super) async fn get(address: SocketAddr, path: &str, token: &str) -> Received {
    let mut connection = Connection::open(address).await;
    connection.send("GET", path, token, "", "").await;
    connection.receive().await
}

pub(super) async fn post(address: SocketAddr, path: &str, token: &str, body: &str) -> Received {
    let mut connection = Connection::open(address).await;
    connection.send("POST", path, token, "", body).await;
    connection.receive().await
}

pub(super) fn chat(model: &str, is_stream: bool) -> String {
    format!(
        r#"{{"model":"{model}","stream":{is_stream},"max_tokens":50,"messages":[{{"role":"user","content":"hi you"}}]}}"#
    )
}

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> Self {
        Self {
            socket: TcpStream::connect(address).await.unwrap(),
            bytes: Vec::new(),
        }
    }

    pub(super) async fn send(
        &mut self,
        method: &str,
        path: &str,
        token: &str,
        headers: &str,
        body: &str,
    ) {
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: sluice\r\nauthorization: Bearer {token}\r\n{headers}content-length: {length}\r\n\r\n{body}"
        );
        // A refusal may come, and the connection close, before all of it is taken.
        self.socket.write_all(request.as_bytes()).await.ok();
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.unwrap();
    }

    /// Reads whatever comes next.
    pub(super) async fn read_some(&mut self) -> bool {
        let mut chunk = [0; 4096];
        let read = timeout(Duration::from_secs(5), self.socket.read(&mut chunk));
        match read.await.expect("nothing came") {
            Ok(0) | Err(_) => false,
            Ok(length) => {
                self.bytes.extend_from_slice(&chunk[..length]);
                true
            }
        }
    }

    /// Whether the other side closes without a word.
    pub(super) async fn is_closed(&mut self) -> bool {
        !self.read_some().await
    }

    /// Reads one response.
    pub(super) async fn receive(&mut self) -> Received {
        let head_end = loop {
            if let Some(at) = find(&self.bytes, b"\r\n\r\n") {
                break at + 4;
            }
            assert!(self.read_some().await, "no response");
        };
        let head: Vec<u8> = self.bytes.drain(..head_end).collect();
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let mut received = Received {
            status: status.parse().unwrap(),
            headers,
            body: Vec::new(),
            is_whole: true,
        };
        if received.header("transfer-encoding") == Some("chunked") {
            self.receive_chunks(&mut received).await;
            return received;
        }
        let length: usize = received.header("content-length").unwrap().parse().unwrap();
        while self.bytes.len() < length && received.is_whole {
            received.is_whole = self.read_some().await;
        }
        received.body = self.bytes.drain(..length.min(self.bytes.len())).collect();
        received
    }

    async fn receive_chunks(&mut self, received: &mut Received) {
        loop {
            while let Some(line_end) = find(&self.bytes, b"\r\n") {
                let line = String::from_utf8(self.bytes[..line_end].to_vec()).unwrap();
                let length = usize::from_str_radix(&line, 16).unwrap();
                let end = line_end + 2 + length + 2;
                if self.bytes.len() < end {
                    break;
                }
                received
                    .body
                    .extend_from_slice(&self.bytes[line_end + 2..end - 2]);
                self.bytes.drain(..end);
                if length == 0 {
                    return;
                }
            }
            if !self.read_some().await {
                received.is_whole = false;
                return;
            }
        }
    }
}

impl Received {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let (_, value) = headers.find(|(header, _)| header == name)?;
        Some(value)
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    #[track_caller]
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{}", self.text()))
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, what)
}
