//! Each row of the tables, and the bodies that providers really send.

use shared::lease::Outcome;

use super::*;

#[track_caller]
fn check(status: u16, body: &str, class: FailureClass) {
    let status = StatusCode::from_u16(status).unwrap();
    let disposition = classify(status, body.as_bytes(), None, None);
    assert_eq!(disposition.class, class, "{status} {body}");
}

#[track_caller]
fn check_wait(status: u16, body: &str, class: FailureClass, seconds: Option<f64>) {
    let status = StatusCode::from_u16(status).unwrap();
    let wait = seconds.map(Duration::from_secs_f64);
    let expected = Disposition {
        class,
        retry_after: wait,
    };
    assert_eq!(
        classify(status, body.as_bytes(), None, None),
        expected,
        "{body}"
    );
}

fn openai(kind: &str, code: &str) -> String {
    format!(r#"{{"error":{{"message":"m","type":"{kind}","param":null,"code":"{code}"}}}}"#)
}

#[test]
fn the_status_decides_where_no_word_does() {
    for (statuses, class) in [
        (
            &[500, 501, 502, 504, 520, 599, 421, 424, 425][..],
            ServerError,
        ),
        (&[503, 529], Overloaded),
        (&[408], TimedOut),
        (&[301, 302, 307, 308, 407], BadAnswer),
        (&[401, 403, 434], KeyRejected),
        (&[402], Exhausted),
        (&[429, 498], RateLimited),
        (&[400, 405, 406, 409, 411, 413, 415, 422, 435], BadRequest),
    ] {
        for status in statuses {
            check(*status, "", class);
            check(*status, r#"{"error":{"code":"x","message":"m"}}"#, class);
            check(*status, r#"{"error":{"co"#, class);
        }
    }
}

#[test]
fn each_word_decides_under_any_status() {
    for (word, class) in WORDS {
        for status in [400, 403, 429, 500] {
            check(status, &openai("x", word), class);
            check(status, &openai(word, "x"), class);
        }
    }
}

#[test]
fn the_code_counts_more_than_the_type() {
    check(
        429,
        &openai("insufficient_quota", "rate_limit_exceeded"),
        RateLimited,
    );
    check(
        429,
        &openai("rate_limit_error", "credit_balance_exhausted"),
        Exhausted,
    );
}

#[test]
fn a_type_says_no_more_than_the_status() {
    for (kind, _) in KINDS {
        check(429, &openai(kind, "x"), RateLimited);
        check(400, &openai(kind, "x"), BadRequest);
    }
}

#[test]
fn each_class_has_its_consequences() {
    use FailureClass::{BrokenOff, LeaseLost, Unreachable, Unsent};

    for (class, outcome, is_retryable, is_overload) in [
        (Unreachable, Outcome::Unreachable, true, false),
        (Unsent, Outcome::Unsent, true, false),
        (TimedOut, Outcome::Failed, true, false),
        (BrokenOff, Outcome::Failed, true, false),
        (ServerError, Outcome::Failed, true, false),
        (Overloaded, Outcome::Failed, true, true),
        (BadAnswer, Outcome::Failed, true, false),
        (RateLimited, Outcome::RateLimited, true, true),
        (TooLargeHere, Outcome::BadRequest, true, false),
        (KeyRejected, Outcome::AuthFailed, true, false),
        (Exhausted, Outcome::Exhausted, true, false),
        (Misconfigured, Outcome::BadRequest, true, false),
        (BadRequest, Outcome::BadRequest, false, false),
        (LeaseLost, Outcome::Unsent, true, false),
    ] {
        assert_eq!(
            (class.outcome(), class.is_retryable(), class.is_overload()),
            (outcome, is_retryable, is_overload),
            "{class:?}"
        );
    }
}

#[test]
fn money_is_told_apart_from_rate_whatever_the_status() {
    check(
        429,
        &openai("insufficient_quota", "insufficient_quota"),
        Exhausted,
    );
    check(429, r#"{"error":{"code":"1113","message":"m"}}"#, Exhausted);
    check(
        402,
        r#"{"error":{"message":"Insufficient Balance"}}"#,
        Exhausted,
    );
    check(
        400,
        r#"{"type":"error","error":{"type":"billing_error","message":"m"}}"#,
        Exhausted,
    );
    check(
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the API."}}"#,
        Exhausted,
    );
    check(
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC."}}"#,
        Exhausted,
    );
    check(
        429,
        r#"{"type":"error","error":{"type":"rate_limit_error","message":"m","details":{"error_code":"enforced_spend_limit_reached"}}}"#,
        Exhausted,
    );
    check(
        429,
        r#"{"type":"error","error":{"type":"rate_limit_error","message":"m","details":{"error_code":"ramp_limit_exceeded"}}}"#,
        RateLimited,
    );
}

#[test]
fn a_message_that_quotes_the_request_judges_no_key() {
    for quoted in MESSAGES.map(|(beginning, _)| beginning) {
        let body = format!(r#"{{"error":{{"message":"Unknown role: '{quoted}'","type":"x"}}}}"#);
        check(400, &body, BadRequest);
    }
    check(
        400,
        r#"{"error":{"message":"Unknown value: 'limit: 0, insufficient_quota'"}}"#,
        BadRequest,
    );
}

#[test]
fn a_key_refused_with_status_400_is_not_the_requests_fault() {
    let body = r#"[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}]"#;
    let reason = r#"{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}"#;

    check(400, body, KeyRejected);
    check(400, reason, KeyRejected);
}

#[test]
fn a_request_above_a_keys_rate_itself_may_fit_another_and_harms_no_key() {
    let groq = openai("tokens", "rate_limit_exceeded");
    let openai = r#"{"error":{"message":"Request too large for gpt-4o in organization o on tokens per min (TPM): Limit 30000, Requested 40000.","type":"tokens","code":"rate_limit_exceeded"}}"#;

    check(413, &groq, TooLargeHere);
    check(429, openai, TooLargeHere);
}

#[test]
fn a_model_that_the_provider_does_not_know_is_our_mistake() {
    for body in [
        &openai("invalid_request_error", "model_not_found"),
        r#"{"error":"model 'llama3' not found"}"#,
        r#"{"error":{"message":"The model `x` does not exist.","type":"NotFoundError","code":404}}"#,
        r#"{"error":{"code":"DeploymentNotFound","message":"m"}}"#,
        r#"[{"error":{"code":404,"message":"models/x is not found for API version v1","status":"NOT_FOUND"}}]"#,
        // A base URL that leads nowhere.
        "<html>404 page not found</html>",
        "",
    ] {
        check(404, body, Misconfigured);
    }
    check(
        403,
        &openai("invalid_request_error", "model_not_found"),
        Misconfigured,
    );
    check(401, &openai("x", "invalid_model"), Misconfigured);
    check(
        429,
        r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"Quota exceeded for metric: x, limit: 0, model: y"}}"#,
        Misconfigured,
    );
}

#[test]
fn something_else_that_is_not_found_is_the_requests_fault() {
    check(
        404,
        r#"{"error":{"message":"No such File object: file-1","type":"invalid_request_error"}}"#,
        BadRequest,
    );
}

#[test]
fn a_prompt_that_is_refused_is_the_requests_fault() {
    check(400, &openai("x", "content_filter"), BadRequest);
    check(
        429,
        r#"{"error":{"code":"1301","message":"m"}}"#,
        BadRequest,
    );
    check(500, &openai("x", "context_length_exceeded"), BadRequest);
    check(
        403,
        r#"{"error":{"code":403,"message":"Your chosen model requires moderation and your input was flagged"}}"#,
        BadRequest,
    );
}

#[test]
fn a_firewalls_page_says_nothing_of_the_key() {
    check(
        403,
        "\n<!DOCTYPE html><title>Attention Required!</title>",
        BadAnswer,
    );
}

#[test]
fn zhipus_codes_decide_not_its_status() {
    let body = |code: &str| format!(r#"{{"error":{{"code":"{code}","message":"m"}}}}"#);

    check_wait(429, &body("1302"), RateLimited, None);
    check_wait(429, &body("1303"), RateLimited, None);
    for code in LONG_CAPS {
        check_wait(429, &body(code), RateLimited, Some(3600.0));
    }
    check_wait(429, &body("1305"), Overloaded, None);
    check_wait(429, &body("1113"), Exhausted, None);
}

#[test]
fn google_says_in_the_body_when_to_come_back() {
    let body = |details: &str| {
        format!(
            r#"[{{"error":{{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[{details}]}}}}]"#
        )
    };
    let retry = |delay: &str| format!(r#"{{"retryDelay":"{delay}"}}"#);
    let daily =
        r#"{"violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}"#;

    check_wait(429, &body(""), RateLimited, None);
    check_wait(429, &body(&retry("34.5s")), RateLimited, Some(34.5));
    check_wait(429, &body(&retry("10h17m0s")), RateLimited, Some(37_020.0));
    check_wait(429, &body(daily), RateLimited, Some(3600.0));
    check_wait(
        429,
        &body(&format!("{daily},{}", retry("46s"))),
        RateLimited,
        Some(46.0),
    );
}

#[test]
fn an_error_under_status_200_is_what_it_says_it_is() {
    let class = |body: &str| {
        let error = UpstreamError::parse(body.as_bytes()).unwrap();
        classify_error(&error).class
    };

    assert_eq!(class(r#"{"error":{"message":"m"}}"#), BadAnswer);
    assert_eq!(class(r#"{"error":"server busy"}"#), BadAnswer);
    assert_eq!(class(r#"{"error":{"message":"m","code":503}}"#), Overloaded);
    assert_eq!(
        class(r#"{"error":{"message":"m","code":429}}"#),
        RateLimited
    );
    assert_eq!(class(r#"{"error":{"message":"m","code":400}}"#), BadRequest);
    for (kind, expected) in KINDS {
        assert_eq!(class(&openai(kind, "x")), expected);
    }
    assert_eq!(class(r#"{"error":{"code":"1302"}}"#), RateLimited);
}

#[test]
fn waiting_is_passed_on_only_where_it_helps() {
    let second = Some(Duration::from_secs(1));
    let wait =
        |status| classify(StatusCode::from_u16(status).unwrap(), b"", None, second).retry_after;

    for status in [429, 503, 529, 500, 408] {
        assert_eq!(wait(status), second, "{status}");
    }
    for status in [400, 401, 402, 403, 404] {
        assert_eq!(wait(status), None, "{status}");
    }
}
