//! What upstreams do wrong, and what their clients see of it.

use super::client::chat;
use super::upstream::PROMPT_TOKENS;
use super::*;

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
        "refused", "s500", "s429", "s401", "reset", "html", "error200",
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
