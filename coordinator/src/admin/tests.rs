use axum::body::{Body, to_bytes};
use http::Request;
use serde_json::{Value, json};
use shared::ids::Fence;
use shared::state::protocol::{Candidacy, Verdict};
use tower::ServiceExt as _;

use super::*;
use crate::scripted::{Scripted, config, join};

async fn office() -> (Arc<Scripted>, Arc<Office>) {
    let state = Scripted::new();
    let session = join(
        state.clone(),
        &config("http://127.0.0.1:1/v1", "probe: none"),
    )
    .await;
    let office = Arc::new(Office::new(state.clone(), "me".to_owned()));
    office.open(session);
    (state, office)
}

async fn ask(office: &Arc<Office>, method: &str, path: &str) -> (u16, String) {
    let request = Request::builder().method(method).uri(path);
    let request = request.body(Body::empty()).unwrap();
    let response = port(Arc::clone(office)).oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn the_leader_is_told_by_every_coordinator() {
    let (state, office) = office().await;
    let nobody = ask(&office, "GET", "/leader").await.1;
    let candidacy = Candidacy {
        owner: "me".to_owned(),
        address: "here:9090".to_owned(),
        resigns: false,
    };
    let fence = state.lead(&candidacy).await.unwrap().fence;

    let (status, answer) = ask(&office, "GET", "/leader").await;

    let nobody: Value = serde_json::from_str(&nobody).unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(
        (&nobody["owner"], &nobody["is_me"]),
        (&json!(""), &json!(false))
    );
    assert_eq!(status, 200);
    assert_eq!(answer["owner"], "me");
    assert_eq!(answer["address"], "here:9090");
    assert_eq!(answer["fence"], fence.0);
    assert_eq!(answer["is_me"], true);
    assert!(answer["remaining_ms"].as_i64().unwrap() > 5_000);
}

#[tokio::test]
async fn an_operators_word_is_written_whoever_leads() {
    let (state, office) = office().await;
    for (method, action, verdict) in [
        ("PUT", "drain", Verdict::Drain),
        ("PUT", "disable", Verdict::Disable),
        ("PUT", "enable", Verdict::Enable),
    ] {
        let (status, answer) = ask(&office, method, &format!("/keys/local/b/{action}")).await;

        let judged = state.judged().pop().unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!((status, judged.verdict), (200, verdict));
        assert_eq!((judged.fence, judged.version), (Fence::NONE, None));
        assert_eq!(answer["key"], "local/b");
        assert_eq!(answer["health"]["state"], "ok");
    }
}

#[tokio::test]
async fn a_key_that_is_not_there_is_answered_with_those_that_are() {
    let (state, office) = office().await;

    let (status, answer) = ask(&office, "PUT", "/keys/local/c/drain").await;
    let (action_status, action_answer) = ask(&office, "PUT", "/keys/local/a/kill").await;

    assert_eq!(status, 404);
    assert_eq!(answer, "no key `local/c`; there are local/a, local/b\n");
    assert_eq!(action_status, 404);
    assert!(action_answer.contains("drain, disable and enable"));
    assert_eq!(state.judged(), []);
}

#[tokio::test]
async fn view_and_health_answer_as_a_routers_do() {
    let (_state, office) = office().await;

    let (status, view) = ask(&office, "GET", "/view").await;
    let (live, _) = ask(&office, "GET", "/livez").await;
    office.close();
    let (ready, why) = ask(&office, "GET", "/readyz").await;

    let view: Value = serde_json::from_str(&view).unwrap();
    assert_eq!((status, live), (200, 200));
    assert_eq!(view["sessions"][0]["replica"], "test/coordinator");
    assert_eq!((ready, why.as_str()), (503, "shutting down\n"));
}
