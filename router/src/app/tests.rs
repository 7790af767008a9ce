//! A whole replica between a scripted upstream and raw clients.

mod client;
mod upstream;

use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use shared::catalog::{Limits, ScopeKind, Strategy};
use shared::config::{
    ClientKey, Config, Dialect, Key, LogFormat, Model, Provider, Queue, Retries, ServerLimits,
    StateStore, Telemetry, Timeouts, Upstream,
};
use shared::secret::Secret;
use shared::units::Priority;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use self::client::{Connection, Received, chat, get, post};
use self::upstream::{FakeUpstream, PROMPT_TOKENS, USAGE_TOKENS};
use super::*;

const TOKEN: &str = "sk-test";

/// A running replica.
struct Replica {
    data: SocketAddr,
    admin: SocketAddr,
    upstream: FakeUpstream,
    pipeline: Arc<Pipeline>,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<Result<(), RunError>>,
}

impl Replica {
    /// Serves one model, `m`, over providers that behave as named, in this order.
    async fn start(behaviours: &[&str]) -> Self {
        Self::start_with(behaviours, |_| {}).await
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a test waits for this task itself"
    )]
    async fn start_with(behaviours: &[&str], change: impl FnOnce(&mut Config)) -> Self {
        let upstream = FakeUpstream::start().await;
        let mut config = config(behaviours, &upstream);
        change(&mut config);
        let app = App::start(Arc::new(config), StartOptions::default())
            .await
            .unwrap();
        let (data, admin) = app.addresses();
        let pipeline = Arc::clone(&app.pipeline);
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(app.run(async {
            stopped.await.ok();
        }));
        until("the replica is ready", async || pipeline.is_ready()).await;
        Self {
            data,
            admin,
            upstream,
            pipeline,
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

#[track_caller]
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
    let tpm = Limits {
        tpm: Some(1_000_000),
        ..Limits::default()
    };
    let providers = behaviours.iter().map(|behaviour| Provider {
        name: (*behaviour).into(),
        dialect: Dialect::OpenaiChat,
        base_url: if *behaviour == "refused" {
            "http://127.0.0.1:1".to_owned()
        } else {
            format!("http://{}/{behaviour}", upstream.address)
        },
        headers: Vec::new(),
        limits: Limits::default(),
        keys: vec![Key {
            name: "main".into(),
            secret: Secret::new("upstream-secret".to_owned()),
            weight: 1.0,
            limits: tpm,
        }],
    });
    let upstreams = behaviours.iter().map(|behaviour| Upstream {
        provider: (*behaviour).into(),
        model: "real".to_owned(),
        weight: 1.0,
        limits: Limits::default(),
    });
    Config {
        listen: ([127, 0, 0, 1], 0).into(),
        admin_listen: ([127, 0, 0, 1], 0).into(),
        open_access: false,
        state: StateStore::Memory,
        replica_name: None,
        providers: providers.collect(),
        models: vec![Model {
            name: "m".into(),
            aliases: vec!["alias".into()],
            strategy: Strategy::FirstAvailable,
            exclusive: false,
            limits: Limits::default(),
            upstreams: upstreams.collect(),
            overrides: serde_json::Map::new(),
        }],
        client_keys: vec![ClientKey {
            name: "test".into(),
            digest: Sha256::digest(TOKEN).into(),
            team: None,
            priority: Priority::DEFAULT,
            models: None,
            limits: Limits::default(),
        }],
        queue: Queue {
            max_length: 10,
            timeout: Duration::from_secs(2),
        },
        timeouts: Timeouts {
            connect: Duration::from_secs(1),
            first_byte: Duration::from_secs(1),
            idle: Duration::from_secs(1),
            total: Duration::from_secs(10),
            drain: Duration::from_secs(5),
        },
        retries: Retries {
            max_attempts: 3.try_into().unwrap(),
        },
        limits: ServerLimits {
            body: 100_000,
            connections: 100,
        },
        telemetry: Telemetry {
            log: LogFormat::Text,
            level: "info".to_owned(),
        },
    }
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

/// Fails at `behaviour`, and is served by `good` behind it.
async fn fails_over(behaviour: &'static str, is_stream: bool) {
    let replica = Replica::start(&[behaviour, "good"]).await;

    let received = replica.chat(&chat("m", is_stream)).await;

    assert_eq!(received.status, 200, "{behaviour}: {}", received.text());
    assert!(received.is_whole);
    assert_eq!(received.header("x-sluice-key"), Some("good/main"));
    assert_eq!(replica.upstream.n_requests("good"), 1);
    let is_there = behaviour != "refused";
    assert_eq!(
        replica.upstream.n_requests(behaviour),
        usize::from(is_there)
    );
}

#[tokio::test]
async fn what_another_candidate_may_do_better_goes_round_again() {
    for behaviour in [
        "refused", "s500", "s429", "s401", "reset", "silent", "html", "error200",
    ] {
        fails_over(behaviour, false).await;
    }
}

#[tokio::test]
async fn a_stream_that_fails_before_its_first_content_goes_round_again() {
    for behaviour in [
        "refused",
        "s500",
        "reset",
        "silent",
        "html",
        "early",
        "early_error",
    ] {
        fails_over(behaviour, true).await;
    }
}

#[tokio::test]
async fn when_all_fail_the_client_gets_the_upstreams_own_word() {
    let replica = Replica::start(&["s500", "refused"]).await;

    let received = replica.chat(&chat("m", false)).await;

    assert_eq!(received.status, 500);
    assert_eq!(received.json()["error"]["message"], "from upstream: s500");
    assert_eq!(received.header("x-should-retry"), Some("false"));
}

#[tokio::test]
async fn a_rate_limit_upstream_is_passed_on_with_its_retry_after() {
    let replica = Replica::start(&["s429"]).await;

    let received = replica.chat(&chat("m", false)).await;

    assert_eq!(received.status, 429);
    assert_eq!(received.header("retry-after"), Some("7"));
}

#[tokio::test]
async fn the_requests_own_fault_is_told_at_once() {
    let replica = Replica::start(&["s400", "good"]).await;

    let received = replica.chat(&chat("m", false)).await;

    assert_eq!(received.status, 400);
    assert_eq!(received.json()["error"]["message"], "from upstream: s400");
    assert_eq!(replica.upstream.n_requests("good"), 0);
}

#[tokio::test]
async fn our_keys_fault_is_never_the_clients() {
    let replica = Replica::start(&["s401"]).await;

    let received = replica.chat(&chat("m", false)).await;

    assert_eq!(received.status, 503);
    assert!(!received.text().contains("from upstream"));
    assert!(received.header("retry-after").is_some());
}

#[tokio::test]
async fn attempts_end_at_the_configured_number() {
    let replica = Replica::start_with(&["s500", "s429", "good"], |config| {
        config.retries.max_attempts = 2.try_into().unwrap();
    })
    .await;

    let received = replica.chat(&chat("m", false)).await;

    assert_eq!(received.status, 429);
    assert_eq!(replica.upstream.n_requests("good"), 0);
}

#[tokio::test]
async fn a_stream_that_breaks_off_ends_with_an_error_and_an_aborted_body() {
    for behaviour in ["cut", "eof", "stall", "late_error"] {
        let replica = Replica::start(&[behaviour, "good"]).await;

        let received = replica.chat(&chat("m", true)).await;

        assert_eq!(received.status, 200, "{behaviour}");
        let last = received.text().trim_end().rsplit("\n\n").next().unwrap();
        assert!(
            last.starts_with(r#"data: {"error":"#),
            "{behaviour}: {last}"
        );
        assert!(!received.is_whole, "{behaviour}");
        assert!(!received.text().contains("[DONE]"), "{behaviour}");
        assert_eq!(replica.upstream.n_requests("good"), 0);
        replica.holds_nothing_and_charged(PROMPT_TOKENS + 2).await;
    }
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
            let (held, charged) = replica.held_and_charged().await;
            assert_eq!(held, 0);
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
