//! Providers that fail: another key answers while nothing has been said yet; later the client is told the truth.

use serde_json::{Value, json};
use tests::client::{Ending, Request};
use tests::figures::alone;
use tests::fleet::{Fleet, MODEL, Setup};

/// One replica without Redis, over two keys that are asked in this order.
pub(crate) async fn two_keys(settings: Value) -> Fleet {
    let mut settings = settings;
    settings["state"] = json!("memory");
    Fleet::start(Setup {
        replicas: 1,
        strategy: "first_available",
        keys: json!([{ "name": "first", "secret": "first" }, { "name": "second", "secret": "second" }]),
        settings,
        ..Setup::default()
    })
    .await
}

/// Lets the first key behave so, and expects the second one's answer.
async fn check_fail_over(fleet: &Fleet, behaviour: Value) {
    fleet.simulator.reset().await;
    fleet.simulator.behave("first", &behaviour).await;

    for request in [Request::chat(MODEL), Request::stream(MODEL)] {
        let answer = request.send(fleet.address()).await.unwrap();

        assert_eq!(answer.status, 200, "{behaviour}: {}", answer.text());
        assert!(answer.is_complete(), "{behaviour}");
        let key = answer.header("x-sluice-key").unwrap();
        assert!(key.ends_with("second"), "{behaviour}: {key}");
    }
    assert_eq!(fleet.simulator.key("second").await.requests, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_fails_before_its_first_byte_is_replaced_by_another() {
    let _machine = alone().await;
    let settings = json!({ "timeouts": { "first_byte": "500ms" } });
    let fleet = two_keys(settings).await;

    for status in [408, 429, 500, 502, 503] {
        check_fail_over(&fleet, json!({ "status": status })).await;
    }
    check_fail_over(&fleet, json!({ "error_rate": 1.0, "error_kind": "reset" })).await;
    check_fail_over(&fleet, json!({ "error_rate": 1.0, "error_kind": "html" })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_key_is_replaced_for_a_stream_but_a_slow_plain_answer_is_not_asked_for_twice() {
    let _machine = alone().await;
    let settings = json!({ "timeouts": { "first_byte": "500ms" } });
    let fleet = two_keys(settings).await;
    let slow = json!({ "first_byte": "30s" });
    fleet.simulator.behave("first", &slow).await;

    let stream = Request::stream(MODEL).send(fleet.address()).await.unwrap();
    let plain = Request::chat(MODEL).send(fleet.address()).await.unwrap();

    assert_eq!(stream.status, 200, "{}", stream.text());
    assert!(stream.is_complete());
    assert_eq!(plain.status, 503, "{}", plain.text());
    assert!(plain.text().contains("upstream_timeout"));
    assert_eq!(fleet.simulator.key("first").await.requests, 2);
    assert_eq!(fleet.simulator.key("second").await.requests, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_wrong_is_wrong_for_every_key() {
    let _machine = alone().await;
    let fleet = two_keys(json!({})).await;
    fleet
        .simulator
        .behave("first", &json!({ "status": 422 }))
        .await;

    let answer = Request::chat(MODEL).send(fleet.address()).await.unwrap();

    assert_eq!(answer.status, 422, "{}", answer.text());
    assert_eq!(fleet.simulator.key("second").await.requests, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_end_at_the_configured_number() {
    let _machine = alone().await;
    let fleet = two_keys(json!({ "retries": { "max_attempts": 1 } })).await;
    fleet
        .simulator
        .behave("first", &json!({ "status": 500 }))
        .await;

    let answer = Request::chat(MODEL).send(fleet.address()).await.unwrap();

    assert!(answer.status >= 500, "{}: {}", answer.status, answer.text());
    assert_eq!(fleet.simulator.key("second").await.requests, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_key_of_ours_is_never_the_clients_fault() {
    let _machine = alone().await;
    let fleet = two_keys(json!({})).await;
    for key in ["first", "second"] {
        fleet.simulator.behave(key, &json!({ "status": 401 })).await;
    }

    let answer = Request::chat(MODEL).send(fleet.address()).await.unwrap();

    assert_eq!(answer.status, 503, "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_cut_ends_in_an_error_and_never_in_done() {
    let _machine = alone().await;
    let fleet = two_keys(json!({})).await;
    let behaviour = json!({ "cut_after": 5, "tokens": 50, "tokens_per_second": 500.0 });
    fleet.simulator.behave("first", &behaviour).await;

    let answer = Request::stream(MODEL).send(fleet.address()).await.unwrap();

    assert_eq!(answer.status, 200);
    let events = answer.events();
    let last: Value = serde_json::from_str(events.last().unwrap()).unwrap();
    assert!(last["error"]["message"].is_string(), "{last}");
    assert!(!answer.text().contains("[DONE]"));
    assert_eq!(answer.ending, Some(Ending::Aborted));
    assert_eq!(fleet.simulator.key("second").await.requests, 0);
}
