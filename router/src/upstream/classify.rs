//! What a provider's answer says about its key, and about the request.

use std::time::Duration;

use http::StatusCode;
use shared::lease::Outcome;

use crate::dialect::UpstreamError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disposition {
    pub outcome: Outcome,
    /// Whether another candidate may do better.
    pub retryable: bool,
    /// Kept only where waiting helps.
    pub retry_after: Option<Duration>,
}

/// Codes and types that mean: this account has no money. Providers send them with 429, 402, 403 or 400.
const MONEY: [&str; 5] = [
    "insufficient_quota",
    "credit_balance_exhausted",
    "billing_error",
    "billing_hard_limit_reached",
    // Zhipu: arrears.
    "1113",
];

/// Codes that mean a bad key under a status that blames the request.
const BAD_KEY: [&str; 2] = ["invalid_api_key", "API_KEY_INVALID"];

/// Codes that mean a rate limit under another status (Groq: 413 for a request above the tokens per minute).
const RATE_LIMIT: [&str; 3] = [
    "rate_limit_exceeded",
    "capacity_exceeded",
    "RESOURCE_EXHAUSTED",
];

/// Groq's own status for no capacity in the flex tier.
const CAPACITY_EXCEEDED: u16 = 498;

/// Classifies a response by its status and, where the status says too little, the code in its body.
///
/// `body` may be cut short: then the status alone decides.
pub fn classify(status: StatusCode, body: &[u8], retry_after: Option<Duration>) -> Disposition {
    let outcome = outcome(status, body);
    let retryable = match outcome {
        Outcome::RateLimited
        | Outcome::AuthFailed
        | Outcome::Exhausted
        | Outcome::Failed
        | Outcome::Unreachable
        | Outcome::Unsent => true,
        Outcome::Served | Outcome::ClientAbort | Outcome::BadRequest | Outcome::Probed => false,
    };
    let waiting_helps = matches!(outcome, Outcome::RateLimited | Outcome::Failed);
    Disposition {
        outcome,
        retryable,
        retry_after: retry_after.filter(|_| waiting_helps),
    }
}

fn outcome(status: StatusCode, body: &[u8]) -> Outcome {
    match status.as_u16() {
        200..=299 => Outcome::Served,
        401..=403 => Outcome::AuthFailed,
        408 => Outcome::Failed,
        429 | CAPACITY_EXCEEDED => by_code(body).unwrap_or(Outcome::RateLimited),
        400..=499 => by_code(body).unwrap_or(Outcome::BadRequest),
        // 5xx; and redirects, which are not followed: the base URL is wrong, not the request.
        _ => Outcome::Failed,
    }
}

fn by_code(body: &[u8]) -> Option<Outcome> {
    let error = UpstreamError::parse(body)?;
    let says = |codes: &[&str]| {
        let words = [&error.code, &error.kind];
        words
            .into_iter()
            .flatten()
            .any(|word| codes.contains(&word.as_str()))
    };
    if says(&MONEY) || says(&BAD_KEY) || error.message.contains("API key not valid") {
        return Some(Outcome::AuthFailed);
    }
    says(&RATE_LIMIT).then_some(Outcome::RateLimited)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, body: &str, expected: Outcome, retryable: bool) {
        let status = StatusCode::from_u16(status).unwrap();
        let disposition = classify(status, body.as_bytes(), None);
        assert_eq!(
            (disposition.outcome, disposition.retryable),
            (expected, retryable),
            "{status} {body}"
        );
    }

    #[test]
    fn the_status_decides_where_it_says_enough() {
        for status in [408, 500, 502, 503, 504, 529, 302] {
            check(status, "<html>", Outcome::Failed, true);
        }
        for status in [401, 402, 403] {
            check(status, "", Outcome::AuthFailed, true);
        }
        for status in [400, 404, 409, 413, 415, 422] {
            check(
                status,
                r#"{"error":{"code":"x"}}"#,
                Outcome::BadRequest,
                false,
            );
        }
        for status in [429, 498] {
            check(status, "", Outcome::RateLimited, true);
        }
        check(200, "", Outcome::Served, false);
    }

    #[test]
    fn an_account_without_money_is_no_rate_limit() {
        let body = r#"{"error":{"message":"m","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#;

        check(429, body, Outcome::AuthFailed, true);
        check(
            429,
            r#"{"error":{"code":"1113","message":"m"}}"#,
            Outcome::AuthFailed,
            true,
        );
        check(
            400,
            r#"{"type":"error","error":{"type":"billing_error","message":"m"}}"#,
            Outcome::AuthFailed,
            true,
        );
    }

    #[test]
    fn a_key_refused_with_status_400_is_not_the_requests_fault() {
        let body = r#"[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}]"#;

        check(400, body, Outcome::AuthFailed, true);
    }

    #[test]
    fn a_request_above_one_keys_rate_may_fit_another() {
        let body = r#"{"error":{"message":"m","type":"tokens","code":"rate_limit_exceeded"}}"#;

        check(413, body, Outcome::RateLimited, true);
    }

    #[test]
    fn waiting_is_passed_on_only_where_it_helps() {
        let second = Some(Duration::from_secs(1));

        let limited = classify(StatusCode::TOO_MANY_REQUESTS, b"", second);
        let refused = classify(StatusCode::UNAUTHORIZED, b"", second);

        assert_eq!(limited.retry_after, second);
        assert_eq!(refused.retry_after, None);
    }
}
