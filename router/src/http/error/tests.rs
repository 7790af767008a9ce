use axum::body::to_bytes;
use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;
use shared::catalog::{ScopeKind, WindowKind};
use shared::config::Dialect;
use shared::ids::RowIndex;

use super::*;

struct Seen {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Seen {
    async fn of(problem: &Problem) -> Self {
        let response = problem_response(
            problem,
            &Addressee {
                dialect: Dialect::OpenaiChat,
                request_id: "req_1".into(),
            },
        );
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 10_000).await.unwrap();
        Self {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: serde_json::from_slice(&body).unwrap(),
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    fn error(&self, field: &str) -> &str {
        self.body["error"][field].as_str().unwrap()
    }
}

const TPM: LimitKind = LimitKind::Window(WindowKind::Tpm);

fn refused(reason: RefusalReason, limit: Option<RefusedLimit>) -> Problem {
    Problem::Refused {
        refusal: Refusal {
            reason,
            retry_after: Duration::from_millis(1_001),
        },
        limit,
        model: "m".to_owned(),
        requested: 31_000,
    }
}

fn tpm_of(scope: ScopeKind, name: &str, is_callers: bool) -> RefusedLimit {
    RefusedLimit {
        scope,
        name: name.to_owned(),
        kind: TPM,
        limit: 30_000,
        is_callers,
    }
}

#[tokio::test]
async fn a_limit_is_named_and_its_retry_after_is_rounded_up() {
    let row = RowIndex(0);
    let limit = tpm_of(ScopeKind::Key, "openai/main", false);

    let seen = Seen::of(&refused(
        RefusalReason::Limit { row, kind: TPM },
        Some(limit),
    ))
    .await;

    assert_eq!(seen.status, 429);
    assert_eq!(seen.error("type"), "rate_limit_error");
    assert_eq!(seen.error("code"), "rate_limit_exceeded");
    assert_eq!(seen.header("retry-after"), Some("2"));
    assert_eq!(seen.header("retry-after-ms"), Some("1001"));
    assert_eq!(seen.header("x-should-retry"), Some("true"));
    assert_eq!(seen.header("x-sluice-limit"), Some("key/openai/main/tpm"));
    assert_eq!(seen.header("x-ratelimit-limit-tokens"), None);
}

#[tokio::test]
async fn the_callers_own_limit_is_shown_as_spent() {
    let row = RowIndex(0);
    let limit = tpm_of(ScopeKind::ClientKey, "ci", true);

    let seen = Seen::of(&refused(
        RefusalReason::Limit { row, kind: TPM },
        Some(limit),
    ))
    .await;

    assert_eq!(seen.header("x-ratelimit-limit-tokens"), Some("30000"));
    assert_eq!(seen.header("x-ratelimit-remaining-tokens"), Some("0"));
}

#[tokio::test]
async fn what_can_never_be_admitted_says_so_with_limit_and_requested() {
    let row = RowIndex(0);
    let limit = tpm_of(ScopeKind::Key, "openai/main", false);

    let seen = Seen::of(&refused(
        RefusalReason::TooLarge { row, kind: TPM },
        Some(limit),
    ))
    .await;

    assert_eq!(seen.status, 429);
    assert!(
        seen.error("message")
            .contains("Limit 30000, Requested 31000")
    );
    assert_eq!(seen.header("x-should-retry"), Some("false"));
    assert_eq!(seen.header("retry-after"), None);
}

#[tokio::test]
async fn a_queue_that_did_not_help_is_429_and_what_is_not_there_503() {
    let cases = [
        (RefusalReason::QueueFull, 429, Some("model/m/queue")),
        (RefusalReason::Shed, 429, Some("model/m/queue")),
        (RefusalReason::Deadline, 429, Some("model/m/queue")),
        (RefusalReason::Unavailable, 503, None),
        (RefusalReason::StoreAway, 503, None),
        (RefusalReason::Draining, 503, None),
    ];
    for (reason, status, limit) in cases {
        let seen = Seen::of(&refused(reason.clone(), None)).await;

        assert_eq!(seen.status, status, "{reason:?}");
        assert_eq!(seen.header("x-sluice-limit"), limit, "{reason:?}");
        assert_eq!(seen.header("retry-after"), Some("2"), "{reason:?}");
        assert_eq!(seen.header("x-should-retry"), Some("true"), "{reason:?}");
    }
}

#[tokio::test]
async fn a_draining_replica_asks_for_another_connection() {
    let seen = Seen::of(&Problem::Draining).await;

    assert_eq!(seen.status, 503);
    assert_eq!(seen.header("connection"), Some("close"));
    assert_eq!(seen.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn an_upstreams_answer_goes_through_unless_it_is_no_json() {
    let upstream = |body: Option<&'static str>| Problem::Upstream {
        status: StatusCode::BAD_GATEWAY,
        word: body.map(|body| UpstreamWord::Verbatim(Bytes::from_static(body.as_bytes()))),
        retry_after: Some(Duration::from_secs(7)),
        is_final: true,
    };

    let json = Seen::of(&upstream(Some(r#"{"error":{"message":"theirs"}}"#))).await;
    let html = Seen::of(&upstream(None)).await;

    assert_eq!((json.status, html.status), (502, 502));
    assert_eq!(json.error("message"), "theirs");
    assert_eq!(html.error("code"), "upstream_error");
    assert_eq!(html.header("retry-after"), Some("7"));
    assert_eq!(html.header("x-should-retry"), Some("false"));
}
