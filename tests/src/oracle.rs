//! The simulated provider: what really arrived, key by key, and a second opinion on it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::client::{Answer, Request};
use crate::fleet::binary;
use crate::ports::free_address;
use crate::process::Process;

mod sweep;

pub use sweep::{in_flight_max, in_flight_mean, worst_window};

/// What the provider saw of one key.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct KeyFigures {
    pub requests: u64,
    pub in_flight: u64,
    pub in_flight_max: u64,
    /// Over the time in which the key had something to do.
    pub in_flight_mean: f64,
    pub worst_second: u64,
    pub worst_minute: u64,
    pub worst_minute_tokens: u64,
    pub aborted: u64,
    pub refused: u64,
    /// `GET /v1/models`: no requests.
    pub probes: u64,
    pub probes_failed: u64,
}

/// One request as the provider saw it; times are microseconds since 1970.
#[derive(Clone, Debug, Deserialize)]
pub struct Arrival {
    #[serde(rename = "at_us")]
    pub at: i64,
    /// `None` while it runs.
    #[serde(rename = "ended_us")]
    pub ended: Option<i64>,
    /// When the caller hung up, if it did.
    #[serde(rename = "aborted_at_us")]
    pub aborted_at: Option<i64>,
    /// Prompt and output, as a whole answer reports them.
    pub tokens: u64,
    pub refused: bool,
    /// `None` while it runs, and where the caller hung up; 0 for a reset.
    pub status: Option<u16>,
    /// Shared by all attempts at one request of a client.
    pub request_id: Option<String>,
}

/// A `sluice simulate` process.
#[derive(Debug)]
pub struct Simulator {
    address: SocketAddr,
    process: Process,
}

impl Simulator {
    /// Starts it with further `flags`; it answers when this returns.
    pub async fn start(flags: &[&str], directory: &Path) -> Self {
        let address = free_address();
        let process = Process::start(
            "simulator",
            Command::new(binary())
                .args(["simulate", "--listen", &address.to_string()])
                .args(flags),
            directory,
        );
        let mut simulator = Self { address, process };

        let deadline = Instant::now() + Duration::from_secs(10);
        while Request::get("/oracle").send(address).await.is_err() {
            if let Some(status) = simulator.process.exit_status() {
                panic!(
                    "the simulator ended with {status}: {}",
                    simulator.process.errors()
                );
            }
            assert!(
                Instant::now() < deadline,
                "the simulator does not answer on {address}"
            );
            sleep(Duration::from_millis(20)).await;
        }
        simulator
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// What it saw of the key with this secret.
    pub async fn key(&self, secret: &str) -> KeyFigures {
        #[derive(Deserialize)]
        struct Oracle {
            keys: HashMap<String, KeyFigures>,
        }

        let answer = self.ask(&Request::get("/oracle")).await;
        let oracle: Oracle = serde_json::from_slice(&answer.body)
            .unwrap_or_else(|error| panic!("/oracle: {error}: {}", answer.text()));
        oracle.keys.get(secret).cloned().unwrap_or_default()
    }

    /// Its requests in flight over all keys.
    pub async fn in_flight(&self, secrets: &[&str]) -> u64 {
        let mut in_flight = 0;
        for secret in secrets {
            in_flight += self.key(secret).await.in_flight;
        }
        in_flight
    }

    /// Every request it saw of the key, by time of arrival.
    pub async fn arrivals(&self, secret: &str) -> Vec<Arrival> {
        #[derive(Deserialize)]
        struct Arrivals {
            reset_unix_us: i64,
            /// Their times begin at the reset.
            arrivals: Vec<Arrival>,
        }

        let path = format!("/oracle/arrivals/{secret}");
        let answer = self.ask(&Request::get(&path)).await;
        let Arrivals {
            reset_unix_us,
            mut arrivals,
        } = serde_json::from_slice(&answer.body).unwrap_or_else(|error| {
            let text = answer.text();
            panic!("{path}: {error}: {}", &text[..text.len().min(300)])
        });
        for arrival in &mut arrivals {
            arrival.at += reset_unix_us;
            for moment in [&mut arrival.ended, &mut arrival.aborted_at] {
                *moment = moment.map(|moment| moment + reset_unix_us);
            }
        }
        arrivals.sort_by_key(|arrival| arrival.at);
        arrivals
    }

    /// Forgets what arrived, but not what still runs.
    pub async fn reset(&self) {
        self.ask(&Request::post_bytes("/oracle/reset", Vec::new()))
            .await;
    }

    /// Changes how it treats the key from now on.
    pub async fn behave(&self, secret: &str, behaviour: &Value) {
        self.put(&format!("/behaviour/{secret}"), behaviour).await;
    }

    async fn put(&self, path: &str, body: &Value) {
        let mut request = Request::post(path, body);
        request.method = "PUT";
        // `to_bytes` sends a length with POST only; any other method names it itself.
        let length = request.body.len().to_string();
        let request = request.header("content-length", &length);
        self.ask(&request).await;
    }

    /// Changes how it takes connections: `accept_delay`, and `second` (`open` or `closed`).
    pub async fn listen(&self, listener: &Value) {
        self.put("/listener", listener).await;
    }

    /// Waits until `count` requests are in flight over these keys.
    pub async fn wait_in_flight(&self, secrets: &[&str], count: u64, patience: Duration) {
        let deadline = Instant::now() + patience;
        loop {
            let in_flight = self.in_flight(secrets).await;
            if in_flight == count {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{in_flight} instead of {count} in flight after {patience:?}"
            );
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn ask(&self, request: &Request) -> Answer {
        let path = &request.path;
        let answer = request
            .send(self.address)
            .await
            .unwrap_or_else(|error| panic!("the simulator did not answer {path}: {error}"));
        assert!(
            (200..300).contains(&answer.status),
            "the simulator answered {path} with {}: {}",
            answer.status,
            answer.text()
        );
        answer
    }
}
