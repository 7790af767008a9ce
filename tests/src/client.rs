//! A raw HTTP/1.1 client: it sees what a library would hide, and misbehaves as real clients do.

use std::io;
use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

mod answer;

pub use answer::{Answer, Ending};

/// The client key that a test's fleet knows unless it says otherwise.
pub const CLIENT_KEY: &str = "sk-client";

/// One HTTP request, ready to be written.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: &'static str,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn get(path: &str) -> Self {
        Self::without_body("GET", path)
    }

    pub fn without_body(method: &'static str, path: &str) -> Self {
        Self {
            method,
            path: path.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub fn post(path: &str, body: &Value) -> Self {
        Self::post_bytes(path, body.to_string().into_bytes())
    }

    pub fn post_bytes(path: &str, body: Vec<u8>) -> Self {
        Self {
            method: "POST",
            path: path.to_owned(),
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body,
        }
    }

    /// A chat completion by the usual client key.
    pub fn chat(model: &str) -> Self {
        Self::chat_with(model, &json!({}))
    }

    /// A streamed chat completion by the usual client key.
    pub fn stream(model: &str) -> Self {
        Self::chat_with(model, &json!({ "stream": true }))
    }

    /// A chat completion with further body fields.
    pub fn chat_with(model: &str, fields: &Value) -> Self {
        let mut body = json!({
            "model": model,
            "messages": [{ "role": "user", "content": "Say something." }],
        });
        let fields = fields.as_object().expect("fields are an object");
        for (name, value) in fields {
            body[name] = value.clone();
        }
        Self::post("/v1/chat/completions", &body).key(CLIENT_KEY)
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(present, _)| present != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    #[must_use]
    pub fn key(self, key: &str) -> Self {
        self.header("authorization", &format!("Bearer {key}"))
    }

    #[must_use]
    pub fn without_key(mut self) -> Self {
        self.headers.retain(|(name, _)| name != "authorization");
        self
    }

    /// Sends it on a connection of its own and reads the whole answer.
    pub async fn send(&self, address: SocketAddr) -> io::Result<Answer> {
        let mut connection = Connection::open(address).await?;
        connection
            .write(&self.clone().header("connection", "close"))
            .await?;
        connection.answer().await
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let Self {
            method,
            path,
            headers,
            body,
        } = self;
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: sluice.test\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if *method == "POST" {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body);
        bytes
    }
}

/// An open connection; used again for as long as the server keeps it. Dropped, it hangs up.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::new(),
        })
    }

    pub async fn write(&mut self, request: &Request) -> io::Result<()> {
        self.write_bytes(&request.to_bytes()).await
    }

    /// Writes whatever it is given: stray bytes behind a body, half a request.
    pub async fn write_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Says that nothing more will be sent, and still reads.
    pub async fn half_close(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// Hangs up with a reset instead of a farewell.
    pub fn reset(self) -> io::Result<()> {
        self.stream.set_zero_linger()
    }

    /// Reads status line and headers; the body then comes by [`Self::piece`].
    pub async fn head(&mut self) -> io::Result<Answer> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
                return Answer::parse_head(&head);
            }
            if self.fill().await? == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the connection closed before the headers ended",
                ));
            }
        }
    }

    /// Reads the next piece of the body into `answer`, and says whether there may be more.
    pub async fn piece(&mut self, answer: &mut Answer) -> io::Result<bool> {
        loop {
            if answer.take_from(&mut self.buffer)? {
                return Ok(answer.ending.is_none());
            }
            match self.fill().await {
                Ok(0) => {
                    answer.hung_up();
                    return Ok(false);
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    answer.ending = Some(Ending::Aborted);
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads a whole answer.
    pub async fn answer(&mut self) -> io::Result<Answer> {
        let mut answer = self.head().await?;
        while self.piece(&mut answer).await? {}
        Ok(answer)
    }

    async fn fill(&mut self) -> io::Result<usize> {
        self.stream.read_buf(&mut self.buffer).await
    }
}

pub(crate) fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
