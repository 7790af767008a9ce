//! A simulator on a port of its own, and a client for it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use simulator::Options;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A running simulator; it ends with the test's runtime.
pub(crate) struct Provider {
    pub(crate) address: SocketAddr,
    client: Client,
}

/// Answers at once, so that a test waits only for what it sets.
pub(crate) fn at_once() -> Options {
    Options {
        first_byte: Duration::ZERO,
        jitter: Duration::ZERO,
        tokens_per_second: 0.0,
        tokens: 3,
        ..Options::default()
    }
}

impl Provider {
    pub(crate) async fn start(options: Options) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("is bound");
        let never = std::future::pending();
        #[expect(clippy::disallowed_methods, reason = "the runtime of the test ends it")]
        tokio::task::spawn(simulator::serve(listener, options, never));
        Self {
            address,
            client: raw_client(),
        }
    }

    pub(crate) async fn start_with_key(rule: &str) -> Self {
        let keys = vec![rule.parse().expect("is a key rule")];
        Self::start(Options { keys, ..at_once() }).await
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(self.url(path)).bearer_auth("sk-1")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        let request = self.client.post(self.url(path)).bearer_auth("sk-1");
        request.json(body)
    }

    pub(crate) fn post_form(&self, path: &str, boundary: &str, form: String) -> RequestBuilder {
        let content_type = format!("multipart/form-data; boundary={boundary}");
        let request = self.client.post(self.url(path)).bearer_auth("sk-1");
        request.header("content-type", content_type).body(form)
    }

    /// A request whose only credential is among `headers`.
    pub(crate) fn post_with(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> RequestBuilder {
        let request = self.client.post(self.url(path)).json(body);
        headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        })
    }

    /// A chat of one token in, with `fields` on top.
    pub(crate) fn chat(&self, fields: Value) -> RequestBuilder {
        self.post("/v1/chat/completions", &chat_body(fields))
    }

    pub(crate) async fn behave(&self, key: &str, behaviour: Value) {
        let path = format!("/behaviour/{key}");
        let request = self.client.put(self.url(&path)).json(&behaviour);
        assert_eq!(send(request).await.status(), 200);
    }

    pub(crate) async fn listen(&self, listener: Value) {
        let request = self.client.put(self.url("/listener")).json(&listener);
        assert_eq!(send(request).await.status(), 200);
    }

    pub(crate) async fn reset(&self) {
        send(self.client.post(self.url("/oracle/reset"))).await;
    }

    /// The oracle's numbers of `sk-1`.
    pub(crate) async fn tally(&self) -> Value {
        let report = json_of(send(self.get("/oracle")).await).await;
        report["keys"]["sk-1"].clone()
    }

    pub(crate) async fn arrivals(&self) -> Vec<Value> {
        let report = json_of(send(self.get("/oracle/arrivals/sk-1")).await).await;
        report["arrivals"].as_array().expect("a list").clone()
    }

    /// Waits until the oracle's `name` is `value`, and fails if it takes longer than `patience`.
    pub(crate) async fn until(&self, name: &str, value: u64, patience: Duration) {
        let started = Instant::now();
        loop {
            let tally = self.tally().await;
            if tally[name] == value {
                return;
            }
            assert!(
                started.elapsed() < patience,
                "{name} is not {value}: {tally}"
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// A bare connection that has sent a chat, for clients that behave badly.
    pub(crate) async fn raw_chat(&self, fields: Value) -> TcpStream {
        self.raw_chat_with("", fields).await
    }

    /// The same, on a connection that ends with its answer.
    pub(crate) async fn raw_chat_once(&self, fields: Value) -> TcpStream {
        self.raw_chat_with("connection: close\r\n", fields).await
    }

    async fn raw_chat_with(&self, headers: &str, fields: Value) -> TcpStream {
        let body = chat_body(fields).to_string();
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: simulator\r\nauthorization: Bearer sk-1\r\n{headers}\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(self.address).await.expect("connects");
        let sent = stream.write_all(request.as_bytes()).await;
        sent.expect("sends");
        stream
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

/// Reads until what arrived holds `text`.
pub(crate) async fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut bytes = Vec::new();
    loop {
        let seen = String::from_utf8_lossy(&bytes).into_owned();
        if seen.contains(text) {
            return seen;
        }
        let n_read = stream.read_buf(&mut bytes).await.expect("reads");
        assert!(n_read > 0, "the connection ended before {text}: {seen}");
    }
}

pub(crate) async fn send(request: RequestBuilder) -> Response {
    request.send().await.expect("an answer")
}

pub(crate) async fn json_of(response: Response) -> Value {
    response.json().await.expect("JSON")
}

/// The data of each event of a whole stream.
pub(crate) async fn events_of(response: Response) -> Vec<String> {
    let text = response.text().await.expect("a whole body");
    let (events, rest) = text.rsplit_once("\n\n").expect("events");
    assert_eq!(rest, "");
    events
        .split("\n\n")
        .map(|event| event.strip_prefix("data: ").expect("data").to_owned())
        .collect()
}

/// The name and the data of each event of a whole stream.
pub(crate) async fn named_events_of(response: Response) -> Vec<(String, Value)> {
    let text = response.text().await.expect("a whole body");
    let events = text.strip_suffix("\n\n").expect("events").split("\n\n");
    events
        .map(|event| {
            let (name, data) = event.split_once('\n').expect("two lines");
            let name = name.strip_prefix("event: ").expect("a name");
            let data = data.strip_prefix("data: ").expect("data");
            let data = serde_json::from_str(data).expect("JSON");
            (name.to_owned(), data)
        })
        .collect()
}

/// `body` with `fields` on top; a field that is `null` is taken away.
pub(crate) fn with(mut body: Value, fields: Value) -> Value {
    let Value::Object(fields) = fields else {
        panic!("fields are an object");
    };
    let body_fields = body.as_object_mut().expect("an object");
    for (name, value) in fields {
        match value {
            Value::Null => body_fields.remove(&name),
            value => body_fields.insert(name, value),
        };
    }
    body
}

fn chat_body(fields: Value) -> Value {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    with(body, fields)
}

/// One that shows encodings as they come, whatever other crates ask of `reqwest`.
fn raw_client() -> Client {
    let client = Client::builder().no_gzip().no_brotli().no_deflate();
    client.build().expect("a client without peculiarities")
}
