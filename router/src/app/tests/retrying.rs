//! What follows from a failed attempt: for the key, for the next attempt, and for the client.

use shared::state::protocol::{OutcomeCode, PurposeCode};

use super::client::chat;
use super::upstream::HASTE;
use super::*;

/// The request's own fault, or a cancelled request: nothing about the key.
const BAD_REQUEST: OutcomeCode = OutcomeCode(3);

/// `behaviour` alone, then with `good` behind it: what the client sees, and what the key's health learns.
async fn check_key_fault(behaviour: &str, outcome: OutcomeCode, status: u16, code: &str) {
    let alone = Replica::start(&[behaviour]).await;
    let helped = Replica::start(&[behaviour, "good"]).await;

    let refused = alone.chat(&chat("m", false)).await;
    let served = helped.chat(&chat("m", false)).await;

    assert_eq!(refused.status, status, "{behaviour}: {}", refused.text());
    assert_eq!(refused.json()["error"]["code"], code, "{behaviour}");
    assert!(!refused.text().contains("from upstream"), "{behaviour}");
    assert!(refused.header("retry-after").is_some(), "{behaviour}");
    let is_there = behaviour != "refused";
    let n_requests = alone.upstream.n_requests(behaviour);
    assert_eq!(n_requests, usize::from(is_there), "{behaviour}");
    assert_eq!(alone.recording.outcomes(1).await, [outcome], "{behaviour}");
    assert_eq!(served.status, 200, "{behaviour}");
    assert_eq!(
        helped.recording.outcomes(2).await,
        [outcome, OutcomeCode::SERVED]
    );
}

// faults.md, row 32.
#[tokio::test]
async fn an_account_without_money_is_exhausted_and_nothing_of_it_reaches_the_client() {
    for behaviour in ["no_quota", "s402", "arrears"] {
        let exhausted = OutcomeCode::EXHAUSTED;
        check_key_fault(behaviour, exhausted, 503, "upstream_quota_exhausted").await;
    }
}

#[tokio::test]
async fn a_key_that_is_refused_is_auth_failed() {
    for behaviour in ["s401", "s403"] {
        let auth_failed = OutcomeCode::AUTH_FAILED;
        check_key_fault(behaviour, auth_failed, 503, "upstream_key_rejected").await;
    }
}

#[tokio::test]
async fn a_model_that_the_provider_does_not_know_harms_no_key_and_is_not_the_clients_fault() {
    check_key_fault("unknown_model", BAD_REQUEST, 503, "upstream_misconfigured").await;
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_is_known_to_be_so() {
    let unreachable = OutcomeCode::UNREACHABLE;

    check_key_fault("refused", unreachable, 503, "upstream_unreachable").await;
}

// faults.md, row 34.
#[tokio::test]
async fn a_bad_request_harms_no_key_and_is_asked_nowhere_else() {
    for (behaviour, status) in [
        ("s400", 400),
        ("s413", 413),
        ("s415", 415),
        ("s422", 422),
        ("filtered", 400),
        ("too_long", 400),
        // 403 would tell the client that its own key is refused.
        ("flagged", 400),
    ] {
        let replica = Replica::start(&[behaviour, "good"]).await;

        let received = replica.chat(&chat("m", false)).await;

        assert_eq!(received.status, status, "{behaviour}");
        let message = received.json()["error"]["message"].to_string();
        assert!(message.contains("from upstream"), "{message}");
        assert_eq!(replica.upstream.n_requests("good"), 0, "{behaviour}");
        assert_eq!(replica.recording.outcomes(1).await, [BAD_REQUEST]);
    }
}

// faults.md, row 30.
#[tokio::test]
async fn something_else_than_an_answer_under_status_200_is_a_failure() {
    for behaviour in ["html", "error200", "empty"] {
        let replica = Replica::start(&[behaviour, "good"]).await;

        let received = replica.chat(&chat("m", false)).await;

        assert_eq!(received.status, 200, "{behaviour}");
        assert_eq!(received.header("x-sluice-key"), Some("good/main"));
        assert_eq!(
            replica.recording.outcomes(2).await,
            [OutcomeCode::FAILED, OutcomeCode::SERVED],
            "{behaviour}"
        );
    }
}

// faults.md, rows 25, 26 and 28: cut, ended early, stalled.
#[tokio::test]
async fn a_stream_that_breaks_off_is_a_failure_of_its_key_and_is_sent_to_no_other() {
    for behaviour in ["cut", "eof", "stall"] {
        let replica = Replica::start(&[behaviour, "good"]).await;

        let received = replica.chat(&chat("m", true)).await;

        assert!(!received.is_whole, "{behaviour}");
        assert_eq!(replica.upstream.n_requests("good"), 0, "{behaviour}");
        let release = replica.recording.releases(1).await.remove(0);
        assert_eq!(release.outcome, OutcomeCode::FAILED, "{behaviour}");
        assert!(release.first_byte_us > 0, "{behaviour}");
        replica
            .holds_nothing_and_charged(upstream::PROMPT_TOKENS + 2)
            .await;
    }
}

#[tokio::test]
async fn a_stream_of_two_choices_that_breaks_off_after_the_end_of_one_is_broken() {
    let replica = Replica::start(&["one_of_two", "good"]).await;
    let two = chat("m", true).replace(r#""stream""#, r#""n":2,"stream""#);

    let one_asked = replica.chat(&chat("m", true)).await;
    let two_asked = replica.chat(&two).await;

    assert!(one_asked.is_whole);
    assert!(!two_asked.is_whole);
    assert!(two_asked.text().contains("stream_interrupted"));
    assert_eq!(
        replica.recording.outcomes(2).await,
        [OutcomeCode::SERVED, OutcomeCode::FAILED]
    );
}

#[tokio::test]
async fn a_plain_answer_that_takes_too_long_is_sent_once_and_harms_its_key() {
    let replica = Replica::start(&["silent", "good"]).await;

    let received = replica.chat(&chat("m", false)).await;

    assert_eq!(received.status, 503);
    assert_eq!(received.json()["error"]["code"], "upstream_timeout");
    assert_eq!(replica.upstream.n_requests("good"), 0);
    assert_eq!(replica.recording.outcomes(1).await, [OutcomeCode::FAILED]);
}

#[tokio::test]
async fn a_refusal_whose_body_does_not_come_is_judged_by_its_status_and_headers() {
    let replica = Replica::start_with(&["stalled_refusal"], |config| {
        config.timeouts.first_byte = Duration::from_secs(60);
        config.timeouts.total = Duration::from_secs(60);
    })
    .await;

    // Whoever waited for it would wait longer than this client does.
    let received = replica.chat(&chat("m", false)).await;

    assert_eq!(received.status, 429);
    assert_eq!(received.header("retry-after"), Some("7"));
    let release = replica.recording.releases(1).await.remove(0);
    assert_eq!(release.outcome, OutcomeCode::RATE_LIMITED);
    assert_eq!(release.retry_ms, 7_000);
    until("the upstream sees the abort", async || {
        replica.upstream.n_aborted() == 1
    })
    .await;
}

#[tokio::test]
async fn a_retry_ends_by_the_deadline_of_the_whole_request() {
    let total = Duration::from_secs(4);
    let first_byte = Duration::from_secs(2);
    let replica = Replica::start_with(&["silent", "endless"], |config| {
        config.timeouts.first_byte = first_byte;
        config.timeouts.total = total;
    })
    .await;
    let started = Instant::now();

    let received = replica.chat(&chat("m", true)).await;

    assert!(!received.is_whole);
    assert_eq!(replica.upstream.n_requests("endless"), 1);
    let took = started.elapsed();
    assert!(took >= total && took < total + first_byte, "{took:?}");
}

// faults.md, row 27.
#[tokio::test]
async fn a_stream_that_fails_before_its_first_content_is_a_failure_of_its_key_only() {
    for behaviour in ["early", "early_error", "silent"] {
        let replica = Replica::start(&[behaviour, "good"]).await;

        let received = replica.chat(&chat("m", true)).await;

        assert!(received.is_whole, "{behaviour}");
        assert!(received.text().ends_with("data: [DONE]\n\n"));
        assert_eq!(
            replica.recording.outcomes(2).await,
            [OutcomeCode::FAILED, OutcomeCode::SERVED],
            "{behaviour}"
        );
    }
}

// faults.md, row 31: within the store's budget by their purpose, within the request's attempts by their number.
#[tokio::test]
#[expect(clippy::print_stdout, reason = "the figure beside its target")]
async fn each_attempt_after_the_first_asks_for_one_of_the_clusters_retries() {
    const REQUESTS: usize = 40;
    let behaviours = ["s500", "s502", "s504"];
    let replica = Replica::start(&behaviours).await;

    for _ in 0..REQUESTS {
        let received = replica.chat(&chat("m", false)).await;
        assert!([500, 502, 504].contains(&received.status));
    }

    let sent = behaviours.map(|behaviour| replica.upstream.n_requests(behaviour));
    let sent = sent.iter().sum::<usize>();
    let n_grants = replica.recording.n_grants();
    let retries = replica.recording.n_acquires_for(PurposeCode::RETRY);
    let firsts = replica.recording.n_acquires_for(PurposeCode::REQUEST);
    println!(
        "{REQUESTS} requests: {sent} attempts, {retries} claims for retries (target: {REQUESTS} requests and the budget)"
    );
    assert_eq!(sent, n_grants);
    assert!(sent <= 3 * REQUESTS);
    assert_eq!(firsts, REQUESTS);
    assert!(sent - REQUESTS <= retries);
    for acquire in replica.recording.acquires() {
        assert_eq!(acquire.no_queue, acquire.purpose == PurposeCode::RETRY);
        assert_eq!(
            acquire.allow.is_empty(),
            acquire.purpose == PurposeCode::REQUEST
        );
    }
}

#[tokio::test]
async fn a_large_body_is_sent_only_once() {
    let large = chat("m", false).replace("hi you", &"hi you".repeat(300));
    let sent = Replica::start(&["s500", "good"]).await;
    let unsent = Replica::start(&["refused", "good"]).await;

    let refused = sent.chat(&large).await;
    let served = unsent.chat(&large).await;

    assert_eq!((refused.status, served.status), (500, 200));
    assert_eq!(sent.upstream.n_requests("good"), 0);
}

/// The first provider with a second key.
fn two_keys(config: &mut Config) {
    let mut second = config.providers[0].keys[0].clone();
    second.name = "second".into();
    config.providers[0].keys.push(second);
}

#[tokio::test]
async fn another_key_is_tried_at_a_provider_that_limited_the_first() {
    let replica = Replica::start_with(&["s429"], two_keys).await;

    let received = replica.chat(&chat("m", false)).await;

    assert_eq!(received.status, 429);
    assert_eq!(received.header("retry-after"), Some("7"));
    assert_eq!(replica.upstream.n_requests("s429"), 2);
}

#[tokio::test]
async fn a_provider_that_is_too_busy_for_long_is_asked_no_more() {
    let replica = Replica::start_with(&["s529"], two_keys).await;

    let received = replica.chat(&chat("m", false)).await;

    assert_eq!(received.status, 503);
    assert_eq!(received.header("retry-after"), Some("7"));
    assert_eq!(received.json()["error"]["message"], "from upstream: s529");
    assert_eq!(replica.upstream.n_requests("s529"), 1);
}

#[tokio::test]
async fn what_the_provider_said_is_told_to_all_replicas() {
    let replica = Replica::start(&["s429", "google", "good"]).await;

    let received = replica.chat(&chat("m", false)).await;

    assert_eq!(received.status, 200);
    assert_eq!(received.header("x-ratelimit-limit-requests"), None);
    let releases = replica.recording.releases(3).await;
    let retry_ms: Vec<_> = releases.iter().map(|release| release.retry_ms).collect();
    // By the header even where the body tells of more.
    assert_eq!(retry_ms, [7_000, 7_000, 0]);
    for release in &releases {
        let [reported] = &release.reported[..] else {
            panic!("{release:?}")
        };
        assert_eq!(
            (reported.limit, reported.remaining, reported.resets_in_ms),
            (60, 59, 1_000)
        );
    }
}

#[tokio::test]
async fn what_may_be_said_of_one_of_several_models_is_told_to_nobody() {
    let replica = Replica::start_with(&["s429"], |config| {
        let mut other = config.models[0].clone();
        (other.name, other.aliases) = ("other".into(), Vec::new());
        other.upstreams[0].model = "another".to_owned();
        config.models.push(other);
    })
    .await;

    replica.chat(&chat("m", false)).await;

    let releases = replica.recording.releases(1).await;
    assert_eq!(releases[0].retry_ms, 7_000);
    assert!(releases[0].reported.is_empty(), "{releases:?}");
}

#[tokio::test]
async fn an_error_in_another_providers_words_reaches_the_client_in_its_own() {
    let replica = Replica::start(&["google"]).await;

    let received = replica.chat(&chat("m", false)).await;

    assert_eq!(received.status, 429);
    let error = &received.json()["error"];
    assert_eq!(error["message"], "from upstream: google");
    assert_eq!(error["type"], "rate_limit_error");
}

#[tokio::test]
async fn streams_are_timed_to_their_first_byte_and_plain_answers_by_their_tokens() {
    let replica = Replica::start(&["good"]).await;

    replica.chat(&chat("m", true)).await;
    replica.chat(&chat("m", false)).await;

    let releases = replica.recording.releases(2).await;
    let is_timed = |n: usize| (releases[n].first_byte_us > 0, releases[n].token_us > 0);
    assert_eq!((is_timed(0), is_timed(1)), ((true, false), (false, true)));
}

// faults.md, row 37.
#[tokio::test]
async fn an_encoded_answer_reaches_the_client_decoded_and_with_matching_headers() {
    let expected = include_str!("../../../fixtures/encoded/answer.json");
    for encoding in ["gzip", "br", "deflate"] {
        let replica = Replica::start(&[&format!("encoded_{encoding}")]).await;

        let received = replica.chat(&chat("m", false)).await;

        assert_eq!(received.status, 200, "{encoding}");
        assert!(received.is_whole, "{encoding}");
        assert_eq!(received.text(), expected, "{encoding}");
        assert_eq!(received.header("content-encoding"), None);
        let length = expected.len().to_string();
        assert_eq!(received.header("content-length"), Some(&length[..]));
        replica.holds_nothing_and_charged(USAGE_TOKENS).await;
    }
}

#[tokio::test]
async fn an_encoded_stream_reaches_the_client_decoded() {
    let replica = Replica::start(&["encoded_gzip"]).await;

    let received = replica.chat(&chat("m", true)).await;

    assert!(received.is_whole);
    assert_eq!(received.header("content-encoding"), None);
    let expected = include_str!("../../../fixtures/encoded/stream.sse");
    assert_eq!(received.text(), expected);
}

#[tokio::test]
async fn an_encoding_that_is_not_known_or_cut_short_is_a_failure() {
    for behaviour in ["encoded_zstd", "encoded_cut", "encoded_gzip, br"] {
        let replica = Replica::start(&[behaviour, "good"]).await;

        let received = replica.chat(&chat("m", false)).await;

        assert_eq!(received.status, 200, "{behaviour}");
        assert_eq!(received.header("x-sluice-key"), Some("good/main"));
    }
}

// faults.md, row 38.
#[tokio::test]
#[expect(clippy::print_stdout, reason = "the figure beside its target")]
async fn no_client_sees_that_an_upstream_closes_idle_connections_just_as_they_are_used() {
    const REQUESTS: usize = 150;
    // One slot: an attempt that broke off must have given it back before the next.
    let replica = Replica::start_with(&["hasty"], |config| {
        config.providers[0].keys[0].limits.concurrency = Some(1);
    })
    .await;
    let mut n_failed = 0;

    for n in 0..REQUESTS {
        let received = replica.chat(&chat("m", false)).await;
        n_failed += usize::from(received.status != 200);
        // Sometimes a little before the upstream closes, sometimes a little after.
        let jitter = Duration::from_micros(u64::try_from(n % 10).unwrap() * 200);
        tokio::time::sleep(HASTE - Duration::from_millis(2) + jitter).await;
    }

    let n_again = replica.recording.n_acquires_for(PurposeCode::RETRY);
    println!("{REQUESTS} requests: {n_failed} failed, {n_again} sent again (target: 0 failed)");
    assert_eq!(n_failed, 0);
}
