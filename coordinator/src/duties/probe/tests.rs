use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::IntoResponse as _;
use http::{HeaderMap, Method, StatusCode, Uri};
use tokio::net::TcpListener;

use super::*;
use crate::duties::tests::Leading;
use crate::scripted::{self, Scripted, join};

/// A provider that answers as it is told, and keeps the last request.
#[derive(Default)]
struct Provider {
    status: AtomicU16,
    body: Mutex<&'static str>,
    n_arrivals: AtomicUsize,
    last: Mutex<Option<(Method, Uri, HeaderMap, Bytes)>>,
}

impl Provider {
    fn answers(&self, status: u16, body: &'static str) {
        self.status.store(status, Ordering::Relaxed);
        *self.body.lock().unwrap() = body;
    }

    fn n_arrivals(&self) -> usize {
        self.n_arrivals.load(Ordering::Relaxed)
    }
}

async fn answer(
    State(provider): State<Arc<Provider>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> axum::response::Response {
    provider.n_arrivals.fetch_add(1, Ordering::Relaxed);
    *provider.last.lock().unwrap() = Some((method, uri, headers, body));
    let status = StatusCode::from_u16(provider.status.load(Ordering::Relaxed)).unwrap();
    (status, *provider.body.lock().unwrap()).into_response()
}

/// A leader with a probe duty on one provider.
struct Scene {
    provider: Arc<Provider>,
    state: Arc<Scripted>,
    session: Session,
    leading: Leading,
    duty: Probe,
    tasks: TaskTracker,
    _current: watch::Sender<Arc<Config>>,
}

impl Scene {
    async fn new(probe: &str, status: u16, body: &'static str) -> Self {
        let provider = Arc::new(Provider::default());
        provider.answers(status, body);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&provider));
        spawn_named(&TaskTracker::new(), "provider", async move {
            axum::serve(listener, router).await.unwrap();
        });

        let config = scripted::config(
            &format!("http://{address}/v1"),
            &format!("probe: '{probe}', interval: 100ms, rise: 2, fall: 3"),
        );
        let state = Scripted::new();
        let session = join(state.clone(), &config).await;
        let leading = Leading::on(&state).await;
        let client = ProbeClient::new(&config).unwrap();
        let current = watch::Sender::new(Arc::new(config));
        let tasks = TaskTracker::new();
        let duty = Probe::new(
            state.clone(),
            session.clone(),
            current.subscribe(),
            client,
            tasks.clone(),
            CancellationToken::new(),
        );
        Self {
            provider,
            state,
            session,
            leading,
            duty,
            tasks,
            _current: current,
        }
    }

    /// So many turns of each key, one after the other.
    async fn turns(&mut self, n_turns: usize) {
        let term = self.leading.standing.next_term().await;
        for _ in 0..n_turns {
            self.duty.run_once(&term).await.unwrap();
            self.tasks.close();
            self.tasks.wait().await;
            self.tasks.reopen();
            tokio::time::sleep(Duration::from_millis(110)).await;
        }
    }

    fn verdicts(&self) -> Vec<(Verdict, Option<u64>)> {
        let judged = self.state.judged();
        let verdicts = judged.iter().map(|it| (it.verdict, it.version));
        verdicts.collect()
    }
}

fn health(state: KeyState) -> HealthView {
    HealthView {
        state,
        version: 7,
        ..HealthView::default()
    }
}

const CHAT: &str = r#"{"choices":[{}],"usage":{"total_tokens":9}}"#;

#[tokio::test]
async fn a_key_that_is_out_comes_back_after_rise_successes() {
    let mut scene = Scene::new("models", 200, "{}").await;
    scene.state.is("local/a", health(KeyState::Ejected));

    scene.turns(1).await;
    let early = scene.verdicts();
    scene.turns(1).await;

    assert_eq!(early, []);
    assert_eq!(scene.verdicts(), [(Verdict::Reachable, Some(7))]);
    let fence = scene.leading.standing.term().unwrap().fence().unwrap();
    assert_eq!(scene.state.judged()[0].fence, fence);
    assert_eq!(scene.provider.n_arrivals(), 2, "the other key is well");
}

#[tokio::test]
async fn an_idle_key_that_fails_goes_out_after_fall_failures() {
    for status in [500, 401, 403, 302] {
        let mut scene = Scene::new("models", status, "").await;
        scene.state.is("local/a", health(KeyState::Ok));

        scene.turns(2).await;
        let early = scene.verdicts();
        scene.turns(2).await;

        assert_eq!(early, [], "{status}");
        assert_eq!(scene.verdicts(), [(Verdict::Down, Some(7))], "{status}");
    }
}

#[tokio::test]
async fn probes_go_the_way_of_requests() {
    let mut scene = Scene::new("models", 200, "{}").await;
    scene.state.is("local/a", health(KeyState::Ejected));
    scene.turns(1).await;

    let last = scene.provider.last.lock().unwrap().take();
    let (method, uri, headers, _) = last.unwrap();

    assert_eq!((method, uri.path()), (Method::GET, "/v1/models"));
    assert_eq!(headers["authorization"], "Bearer sk-a");
    assert_eq!(headers["x-account"], "main");
}

#[tokio::test]
async fn a_path_is_asked_for_at_the_providers_host() {
    let mut scene = Scene::new("path:/healthz", 200, "").await;
    scene.state.is("local/a", health(KeyState::Ejected));
    scene.turns(1).await;

    let last = scene.provider.last.lock().unwrap().take();

    assert_eq!(last.unwrap().1.path(), "/healthz");
}

#[tokio::test]
async fn a_chat_of_one_token_brings_back_even_a_key_without_money() {
    let mut scene = Scene::new("chat", 200, CHAT).await;
    scene.state.is("local/a", health(KeyState::Exhausted));

    scene.turns(2).await;

    assert_eq!(scene.verdicts(), [(Verdict::Up, Some(7))]);
    let last = scene.provider.last.lock().unwrap().take();
    let body: serde_json::Value = serde_json::from_slice(&last.unwrap().3).unwrap();
    assert_eq!(body["model"], "upstream-demo");
    assert_eq!(body["max_tokens"], 1);
}

#[tokio::test]
async fn a_200_with_an_error_inside_is_a_failure() {
    let mut scene = Scene::new("chat", 200, r#"{"error":{"message":"no"}}"#).await;
    scene.state.is("local/a", health(KeyState::Ok));

    scene.turns(3).await;

    assert_eq!(scene.verdicts(), [(Verdict::Down, Some(7))]);
}

#[tokio::test]
async fn what_says_nothing_of_the_key_does_not_count() {
    for (probe, status) in [("models", 429), ("models", 404), ("chat", 400)] {
        let mut scene = Scene::new(probe, status, "").await;
        scene.state.is("local/a", health(KeyState::Ok));

        scene.turns(4).await;

        assert_eq!(scene.verdicts(), [], "{probe} {status}");
        assert!(scene.provider.n_arrivals() >= 3, "{probe} {status}");
    }
}

#[tokio::test]
async fn only_keys_that_are_out_or_idle_are_asked_and_never_disabled_ones() {
    let drained = HealthView {
        admin: AdminState::Drained,
        ..health(KeyState::Ok)
    };
    let disabled = HealthView {
        admin: AdminState::Disabled,
        ..health(KeyState::Ejected)
    };
    let busy = HealthView {
        served_ms_ago: Some(900),
        ..health(KeyState::Ok)
    };
    for (health, is_asked) in [
        (health(KeyState::Ejected), true),
        (health(KeyState::AuthFailed), true),
        (health(KeyState::Ok), true),
        (drained, true),
        (disabled, false),
        (busy, false),
        (health(KeyState::Throttled), false),
        (health(KeyState::Trial), false),
        (health(KeyState::Exhausted), false),
    ] {
        let mut scene = Scene::new("models", 200, "{}").await;
        scene.state.is("local/a", health.clone());

        scene.turns(1).await;

        assert_eq!(scene.provider.n_arrivals() > 0, is_asked, "{health:?}");
    }
}

#[tokio::test]
async fn a_probe_takes_no_slot_that_is_not_free() {
    let mut scene = Scene::new("models", 200, "{}").await;
    scene.state.is("local/a", health(KeyState::Ejected));
    let catalog = scene.session.catalog();
    let config = scene.duty.config.borrow().clone();
    let target = Target::find(&config, &catalog, 0, 0).unwrap();
    let claim = Claim {
        model: target.model,
        priority: Priority::default(),
        tokens: 1,
        callers: Vec::new(),
        allow: Some(vec![target.candidate]),
        no_queue: true,
        purpose: Purpose::Request,
    };
    let deadline = std::time::Instant::now() + Duration::from_secs(1);
    let lease = scene.session.acquire(claim, deadline).await.unwrap();

    scene.turns(2).await;
    let while_held = scene.provider.n_arrivals();
    drop(lease);
    scene.turns(2).await;

    assert_eq!(while_held, 0);
    assert!(scene.provider.n_arrivals() > 0);
}

#[tokio::test]
async fn a_stale_judgement_starts_the_count_again() {
    let mut scene = Scene::new("models", 200, "{}").await;
    scene.state.is("local/a", health(KeyState::Ejected));
    scene.state.answer(&[Status::Stale]);

    scene.turns(3).await;
    let early = scene.verdicts().len();
    scene.turns(1).await;

    assert_eq!((early, scene.verdicts().len()), (1, 2));
}
