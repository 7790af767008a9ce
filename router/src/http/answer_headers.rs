//! The headers of an answer: which key served, what is left of the caller's limits, and how a stream travels.

use std::time::Duration;

use dialect::canon::StreamVariant;
use dialect::{Endpoint, Framing, wire};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use shared::catalog::WindowKind;

use crate::pipeline::admit::Quota;
use crate::pipeline::{Answer, AnswerBody};

const X_SLUICE_KEY: HeaderName = HeaderName::from_static("x-sluice-key");
/// Keeps nginx from holding events back.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// `limit`, `remaining` and `reset` of one unit.
struct QuotaNames {
    limit: HeaderName,
    remaining: HeaderName,
    reset: HeaderName,
}

const REQUESTS: QuotaNames = QuotaNames {
    limit: HeaderName::from_static("x-ratelimit-limit-requests"),
    remaining: HeaderName::from_static("x-ratelimit-remaining-requests"),
    reset: HeaderName::from_static("x-ratelimit-reset-requests"),
};

const TOKENS: QuotaNames = QuotaNames {
    limit: HeaderName::from_static("x-ratelimit-limit-tokens"),
    remaining: HeaderName::from_static("x-ratelimit-remaining-tokens"),
    reset: HeaderName::from_static("x-ratelimit-reset-tokens"),
};

pub(crate) fn of(answer: &Answer, endpoint: Endpoint, variant: StreamVariant) -> HeaderMap {
    let mut headers = answer.headers.clone();
    let served_by = answer.served_by.as_deref().map(HeaderValue::from_str);
    if let Some(Ok(served_by)) = served_by {
        headers.insert(X_SLUICE_KEY, served_by);
    }
    let (own_type, is_stream) = match answer.body {
        AnswerBody::Whole(_) => ("application/json", false),
        AnswerBody::Stream(_) => (stream_type(endpoint, variant), true),
    };
    let own_type = HeaderValue::from_static(own_type);
    match answer.is_faithful {
        true => drop(headers.entry(CONTENT_TYPE).or_insert(own_type)),
        false => drop(headers.insert(CONTENT_TYPE, own_type)),
    }
    if is_stream {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    }
    write_quotas(&mut headers, &answer.quotas);
    headers
}

fn stream_type(endpoint: Endpoint, variant: StreamVariant) -> &'static str {
    match wire::framing(endpoint.dialect(), variant) {
        Framing::Sse | Framing::EventStream => "text/event-stream",
        Framing::Lines => "application/x-ndjson",
        Framing::Array => "application/json",
    }
}

/// Shows the caller's limits: per minute where there is one, else the window next in length.
pub(crate) fn write_quotas(headers: &mut HeaderMap, quotas: &[Quota]) {
    let shown = |kinds: &[WindowKind]| {
        kinds
            .iter()
            .find_map(|kind| quotas.iter().find(|quota| quota.kind == *kind))
    };
    if let Some(quota) = shown(&[WindowKind::Rpm, WindowKind::Rpd, WindowKind::Qps]) {
        write_quota(headers, &REQUESTS, quota);
    }
    if let Some(quota) = shown(&[WindowKind::Tpm, WindowKind::Tpd]) {
        write_quota(headers, &TOKENS, quota);
    }
}

fn write_quota(headers: &mut HeaderMap, names: &QuotaNames, quota: &Quota) {
    let Quota {
        kind,
        limit,
        remaining,
    } = *quota;
    // The window slides: what was charged last, just now, leaves it last.
    let is_full = remaining >= limit;
    let reset_ms = if is_full { 0 } else { kind.span_ms() };
    let reset = Duration::from_millis(u64::try_from(reset_ms).unwrap_or_default());
    headers.insert(names.limit.clone(), HeaderValue::from(limit));
    headers.insert(names.remaining.clone(), HeaderValue::from(remaining));
    if let Ok(reset) = HeaderValue::from_str(&go_duration(reset)) {
        headers.insert(names.reset.clone(), reset);
    }
}

/// Writes a duration as Go does, and so OpenAI: `1h2m3.5s`, `6m0s`, `20ms`.
fn go_duration(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        return match duration.as_millis() {
            0 => "0s".to_owned(),
            milliseconds => format!("{milliseconds}ms"),
        };
    }
    let total = duration.as_secs();
    let (hours, minutes, seconds) = (total / 3600, total / 60 % 60, total % 60);
    let fraction = match duration.subsec_millis() {
        0 => String::new(),
        milliseconds => format!(".{milliseconds:03}")
            .trim_end_matches('0')
            .to_owned(),
    };
    match (hours, minutes) {
        (0, 0) => format!("{seconds}{fraction}s"),
        (0, _) => format!("{minutes}m{seconds}{fraction}s"),
        _ => format!("{hours}h{minutes}m{seconds}{fraction}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(milliseconds: u64, expected: &str) {
        assert_eq!(go_duration(Duration::from_millis(milliseconds)), expected);
    }

    #[test]
    fn durations_are_written_as_go_writes_them() {
        check(0, "0s");
        check(20, "20ms");
        check(1_000, "1s");
        check(7_660, "7.66s");
        check(61_000, "1m1s");
        check(360_000, "6m0s");
        check(3_723_500, "1h2m3.5s");
    }

    #[test]
    fn the_minute_is_shown_before_the_day_and_requests_beside_tokens() {
        let quota = |kind, limit, remaining| Quota {
            kind,
            limit,
            remaining,
        };
        let mut headers = HeaderMap::new();

        write_quotas(
            &mut headers,
            &[
                quota(WindowKind::Rpd, 1000, 900),
                quota(WindowKind::Rpm, 60, 59),
                quota(WindowKind::Tpm, 6000, 6000),
            ],
        );

        assert_eq!(headers["x-ratelimit-limit-requests"], "60");
        assert_eq!(headers["x-ratelimit-remaining-requests"], "59");
        assert_eq!(headers["x-ratelimit-reset-requests"], "1m1s");
        assert_eq!(headers["x-ratelimit-remaining-tokens"], "6000");
        assert_eq!(headers["x-ratelimit-reset-tokens"], "0s");
    }
}
