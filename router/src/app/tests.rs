//! A whole replica between a scripted upstream and raw clients.

mod catalog;
mod client;
mod data_loss;
mod draining;
mod failing;
mod limits;
mod loading;
mod media;
mod recording;
mod retrying;
mod upstream;

use std::sync::Arc;
use std::time::{Duration, Instant};

use shared::catalog::ScopeKind;
use shared::state::record::Recorder;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use self::client::{Connection, Received, chat, get, post};
use self::recording::Recording;
use self::upstream::{FakeUpstream, PROMPT_TOKENS, USAGE_TOKENS};
use super::*;
use crate::fleet::tests::config_of;

const TOKEN: &str = "sk-test";

/// A running replica.
struct Replica {
    data: SocketAddr,
    admin: SocketAddr,
    upstream: FakeUpstream,
    pipeline: Arc<Pipeline>,
    /// What was asked of the store.
    recording: Recording,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<Result<(), RunError>>,
}

impl Replica {
    /// Serves one model, `m`, over providers that behave as named, in this order.
    async fn start(behaviours: &[&str]) -> Self {
        Self::start_with(behaviours, |_| {}).await
    }

    async fn start_with(behaviours: &[&str], change: impl FnOnce(&mut Config)) -> Self {
        let upstream = FakeUpstream::start().await;
        let mut config = config(behaviours, &upstream);
        change(&mut config);
        Self::begin(config, StartOptions::default(), upstream).await
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a test waits for this task itself"
    )]
    async fn begin(config: Config, options: StartOptions, upstream: FakeUpstream) -> Self {
        let recording = Recording::new();
        let options = StartOptions {
            recorder: Some(Recorder::create(&recording.path()).unwrap()),
            ..options
        };
        let app = App::start(Arc::new(config), options).await.unwrap();
        let (data, admin) = app.addresses();
        let pipeline = Arc::clone(&app.pipeline);
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(app.run(async {
            stopped.await.ok();
        }));
        until("the replica is ready", async || pipeline.session.is_ready()).await;
        Self {
            data,
            admin,
            upstream,
            pipeline,
            recording,
            stop: Some(stop),
            running,
        }
    }

    async fn chat(&self, body: &str) -> Received {
        post(self.data, "/v1/chat/completions", TOKEN, body).await
    }

    /// Leases held, and tokens charged, over all keys.
    async fn held_and_charged(&self) -> (u64, u64) {
        let view = self.pipeline.session.view().await.unwrap();
        let keys = view
            .scopes
            .iter()
            .filter(|scope| scope.kind == ScopeKind::Key);
        keys.fold((0, 0), |(held, charged), key| {
            let tokens = key.windows.iter().filter(|window| window.kind == "tpm");
            (
                held + key.held,
                charged + tokens.map(|window| window.used).sum::<u64>(),
            )
        })
    }

    async fn holds_nothing_and_charged(&self, tokens: u64) {
        let what = format!("nothing is held and {tokens} tokens are charged");
        until(&what, async || self.held_and_charged().await == (0, tokens)).await;
    }

    fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }
}

async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let started = Instant::now();
    while !is_so().await {
        assert!(
            started.elapsed() < Duration::from_secs(5),
            "not in time: {what}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn config(behaviours: &[&str], upstream: &FakeUpstream) -> Config {
    let base_url = |behaviour: &str| match behaviour {
        // Nobody listens there.
        "refused" => "http://127.0.0.1:1".to_owned(),
        behaviour => format!("http://{}/{behaviour}", upstream.address),
    };
    let providers: Vec<_> = behaviours
        .iter()
        .map(|behaviour| (*behaviour, base_url(behaviour)))
        .collect();
    config_of(&providers, TOKEN)
}

#[tokio::test]
async fn a_plain_request_is_answered_with_the_upstreams_bytes_and_charged_as_reported() {
    let replica = Replica::start(&["good"]).await;

    let received = replica.chat(&chat("m", false)).await;

    assert_eq!(received.status, 200);
    assert_eq!(received.json()["model"], "real");
    assert_eq!(received.header("x-sluice-key"), Some("good/main"));
    assert!(received.header("x-request-id").unwrap().starts_with("req_"));
    assert_eq!(received.header("content-type"), Some("application/json"));
    replica.holds_nothing_and_charged(USAGE_TOKENS).await;
    assert_eq!(replica.upstream.last_body()["model"], "real");
}

#[tokio::test]
async fn a_stream_ends_with_done_and_without_the_usage_that_nobody_asked_for() {
    let replica = Replica::start(&["good"]).await;

    let received = replica.chat(&chat("m", true)).await;

    assert_eq!(received.status, 200);
    assert_eq!(received.header("content-type"), Some("text/event-stream"));
    assert_eq!(received.header("cache-control"), Some("no-cache"));
    assert_eq!(received.header("x-accel-buffering"), Some("no"));
    assert!(received.is_whole);
    assert!(received.text().ends_with("data: [DONE]\n\n"));
    assert!(!received.text().contains("prompt_tokens"));
    replica.holds_nothing_and_charged(USAGE_TOKENS).await;
    let asked = &replica.upstream.last_body()["stream_options"]["include_usage"];
    assert_eq!(*asked, true);
}

#[tokio::test]
async fn every_route_but_health_wants_a_known_client_key() {
    let replica = Replica::start(&["good"]).await;
    let large = "x".repeat(200_000);

    for path in ["/v1/chat/completions", "/v1/completions", "/v1/embeddings"] {
        for body in ["{", large.as_str(), r#"{"model":"unknown"}"#] {
            let received = post(replica.data, path, "sk-wrong", body).await;

            assert_eq!(received.status, 401, "{path}");
            assert_eq!(received.json()["error"]["code"], "invalid_api_key");
            assert!(!received.text().contains("sk-wrong"));
        }
    }
    for path in ["/v1/models", "/v1/models/m", "/v1/models/unknown"] {
        assert_eq!(get(replica.data, path, "sk-wrong").await.status, 401);
    }
    assert_eq!(get(replica.data, "/livez", "").await.status, 200);
    assert_eq!(get(replica.data, "/readyz", "").await.status, 200);
    assert_eq!(replica.upstream.n_requests("good"), 0);
}

#[tokio::test]
async fn an_unknown_model_is_told_before_the_rest_is_looked_at() {
    let replica = Replica::start(&["good"]).await;

    let received = replica.chat(r#"{"model":"nope","messages":7}"#).await;

    assert_eq!(received.status, 404);
    assert_eq!(received.json()["error"]["code"], "model_not_found");
    let known = replica.chat(r#"{"model":"m","messages":7}"#).await;
    assert_eq!(known.status, 400);
}

#[tokio::test]
async fn models_are_listed_with_their_aliases() {
    let replica = Replica::start(&["good"]).await;

    let list = get(replica.data, "/v1/models", TOKEN).await.json();
    let one = get(replica.data, "/v1/models/alias", TOKEN).await.json();

    assert_eq!(list["data"][0]["id"], "m");
    assert_eq!(list["data"][1]["id"], "alias");
    assert_eq!(one["id"], "alias");
    assert_eq!(
        get(replica.data, "/v1/models/a/b:c", TOKEN).await.status,
        404
    );
}

#[tokio::test]
async fn a_client_key_sees_and_uses_only_its_models() {
    let replica = Replica::start_with(&["good"], |config| {
        config.client_keys[0].models = Some(vec!["other".into()]);
    })
    .await;

    let received = replica.chat(&chat("m", false)).await;

    assert_eq!(received.status, 404);
    let list = get(replica.data, "/v1/models", TOKEN).await.json();
    assert_eq!(list["data"], serde_json::json!([]));
}

#[tokio::test]
async fn without_client_keys_everybody_may_ask() {
    let replica = Replica::start_with(&["good"], |config| config.client_keys.clear()).await;

    let received = post(replica.data, "/v1/chat/completions", "", &chat("m", false)).await;

    assert_eq!(received.status, 200);
}

#[tokio::test]
async fn a_priority_that_is_none_is_refused() {
    let replica = Replica::start(&["good"]).await;
    let mut connection = Connection::open(replica.data).await;

    connection
        .send(
            "POST",
            "/v1/chat/completions",
            TOKEN,
            "x-sluice-priority: 11\r\n",
            &chat("m", false),
        )
        .await;

    assert_eq!(connection.receive().await.status, 400);
}

#[tokio::test]
async fn what_cannot_be_routed_is_refused_in_json() {
    let replica = Replica::start(&["good"]).await;

    let unknown = get(replica.data, "/v1/v1/chat", TOKEN).await;
    let wrong_method = get(replica.data, "/v1/chat/completions", TOKEN).await;
    let large = replica.chat(&"x".repeat(200_000)).await;

    assert_eq!(unknown.status, 404);
    assert_eq!(unknown.json()["error"]["code"], "unknown_url");
    assert_eq!(wrong_method.status, 405);
    assert_eq!(wrong_method.header("allow"), Some("POST"));
    assert_eq!(wrong_method.json()["error"]["code"], "method_not_supported");
    assert_eq!(large.status, 413);
    assert!(large.text().contains("100000 bytes"));
}

#[tokio::test]
async fn a_client_that_hangs_up_frees_its_slot_and_aborts_the_upstream() {
    let behind_the_body = ["", "\r\n", "GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n"];
    for stray in behind_the_body {
        for (behaviour, is_stream) in [("wait", false), ("wait", true), ("endless", true)] {
            let replica = Replica::start_with(&[behaviour], |config| {
                config.timeouts.first_byte = Duration::from_secs(20);
            })
            .await;
            let mut connection = Connection::open(replica.data).await;
            let body = chat("m", is_stream);
            connection
                .send("POST", "/v1/chat/completions", TOKEN, "", &body)
                .await;
            connection.write(stray.as_bytes()).await;
            until("the upstream is asked", async || {
                replica.upstream.n_requests(behaviour) == 1
            })
            .await;
            if behaviour == "endless" {
                connection.read_some().await;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert_eq!(replica.held_and_charged().await.0, 1);
            assert_eq!(replica.upstream.n_aborted(), 0);

            let hung_up = Instant::now();
            drop(connection);
            until("the upstream sees the abort", async || {
                replica.upstream.n_aborted() == 1
            })
            .await;

            assert!(
                hung_up.elapsed() < Duration::from_millis(250),
                "{behaviour} {stray:?}"
            );
            // The slot outlives the connection by a moment, so that the provider never sees the next request beside it.
            until("the slot is free", async || {
                replica.held_and_charged().await.0 == 0
            })
            .await;
            let (_, charged) = replica.held_and_charged().await;
            assert!((PROMPT_TOKENS..1_000).contains(&charged), "{charged}");
        }
    }
}

#[tokio::test]
async fn a_pipelined_request_is_answered_after_the_first() {
    let replica = Replica::start(&["good"]).await;
    let mut connection = Connection::open(replica.data).await;

    let body = chat("m", false);
    connection
        .send("POST", "/v1/chat/completions", TOKEN, "", &body)
        .await;
    connection
        .send(
            "POST",
            "/v1/embeddings",
            TOKEN,
            "",
            r#"{"model":"m","input":"x"}"#,
        )
        .await;

    assert_eq!(connection.receive().await.status, 200);
    assert_eq!(connection.receive().await.status, 200);
    assert_eq!(replica.upstream.n_requests("good"), 2);
}

#[tokio::test]
async fn a_clients_request_id_comes_back() {
    let replica = Replica::start(&["good"]).await;
    let mut connection = Connection::open(replica.data).await;

    connection
        .send("GET", "/v1/nowhere", TOKEN, "x-request-id: mine-1\r\n", "")
        .await;

    assert_eq!(
        connection.receive().await.header("x-request-id"),
        Some("mine-1")
    );
}

#[tokio::test]
async fn the_admin_port_shows_metrics_and_the_view() {
    let replica = Replica::start(&["good"]).await;
    replica.chat(&chat("m", false)).await;

    let metrics = get(replica.admin, "/metrics", "").await;
    let view = get(replica.admin, "/view", "").await;

    assert_eq!(metrics.status, 200);
    for name in [
        "sluice_requests_total",
        "sluice_request_duration_seconds_bucket",
        "sluice_first_byte_seconds_bucket",
        "sluice_queue_wait_seconds_bucket",
        "sluice_upstream_attempts_total",
        "sluice_requests_in_flight",
        "sluice_build_info",
    ] {
        assert!(metrics.text().contains(name), "{name}");
    }
    assert!(!metrics.text().contains("upstream-secret"));
    assert_eq!(view.status, 200);
    assert!(view.json()["scopes"].is_array());
    assert_eq!(get(replica.admin, "/livez", "").await.status, 200);
    assert_eq!(get(replica.admin, "/readyz", "").await.status, 200);
    assert_eq!(get(replica.data, "/metrics", TOKEN).await.status, 404);
}

#[tokio::test]
async fn a_taken_port_is_told_with_its_setting_and_flag() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let upstream = FakeUpstream::start().await;
    let mut config = config(&["good"], &upstream);
    config.admin_listen = taken.local_addr().unwrap();

    let Err(error) = App::start(Arc::new(config), StartOptions::default()).await else {
        panic!("the port is taken");
    };

    assert!(error.is_configuration());
    assert!(error.to_string().contains("--admin-listen"));
}
