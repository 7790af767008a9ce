//! What is left of the caller's own limits, as its SDK reads it: as OpenAI names it, or as Anthropic does.

use std::time::Duration;

use dialect::wire;
use http::{HeaderMap, HeaderName, HeaderValue};
use shared::catalog::WindowKind;
use shared::config::Dialect;
use shared::time::{Clock as _, SystemClock};

use crate::pipeline::admit::Quota;

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

const ANTHROPIC_REQUESTS: QuotaNames = QuotaNames {
    limit: HeaderName::from_static("anthropic-ratelimit-requests-limit"),
    remaining: HeaderName::from_static("anthropic-ratelimit-requests-remaining"),
    reset: HeaderName::from_static("anthropic-ratelimit-requests-reset"),
};

const ANTHROPIC_TOKENS: QuotaNames = QuotaNames {
    limit: HeaderName::from_static("anthropic-ratelimit-tokens-limit"),
    remaining: HeaderName::from_static("anthropic-ratelimit-tokens-remaining"),
    reset: HeaderName::from_static("anthropic-ratelimit-tokens-reset"),
};

/// Shows the caller's limits: per minute where there is one, else the window next in length.
pub(crate) fn write_quotas(headers: &mut HeaderMap, quotas: &[Quota], dialect: Dialect) {
    let (requests, tokens) = match dialect {
        Dialect::AnthropicMessages => (&ANTHROPIC_REQUESTS, &ANTHROPIC_TOKENS),
        _ => (&REQUESTS, &TOKENS),
    };
    let shown = |kinds: &[WindowKind]| {
        kinds
            .iter()
            .find_map(|kind| quotas.iter().find(|quota| quota.kind == *kind))
    };
    if let Some(quota) = shown(&[WindowKind::Rpm, WindowKind::Rpd, WindowKind::Qps]) {
        write_quota(headers, requests, quota, dialect);
    }
    if let Some(quota) = shown(&[WindowKind::Tpm, WindowKind::Tpd]) {
        write_quota(headers, tokens, quota, dialect);
    }
}

fn write_quota(headers: &mut HeaderMap, names: &QuotaNames, quota: &Quota, dialect: Dialect) {
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
    let reset = match dialect {
        Dialect::AnthropicMessages => moment_after(reset),
        _ => go_duration(reset),
    };
    if let Ok(reset) = HeaderValue::from_str(&reset) {
        headers.insert(names.reset.clone(), reset);
    }
}

/// The moment that is `duration` away, as Anthropic writes it.
fn moment_after(duration: Duration) -> String {
    let now = SystemClock::start().now_ms() / 1_000;
    let seconds = i64::try_from(duration.as_millis().div_ceil(1_000)).unwrap_or_default();
    wire::rfc3339(now + seconds)
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
            Dialect::OpenaiChat,
        );

        assert_eq!(headers["x-ratelimit-limit-requests"], "60");
        assert_eq!(headers["x-ratelimit-remaining-requests"], "59");
        assert_eq!(headers["x-ratelimit-reset-requests"], "1m1s");
        assert_eq!(headers["x-ratelimit-remaining-tokens"], "6000");
        assert_eq!(headers["x-ratelimit-reset-tokens"], "0s");
    }

    #[test]
    fn anthropics_clients_get_their_own_names_and_moments() {
        let quota = Quota {
            kind: WindowKind::Rpm,
            limit: 60,
            remaining: 59,
        };
        let mut headers = HeaderMap::new();

        write_quotas(&mut headers, &[quota], Dialect::AnthropicMessages);

        assert_eq!(headers["anthropic-ratelimit-requests-limit"], "60");
        let reset = headers["anthropic-ratelimit-requests-reset"]
            .to_str()
            .unwrap();
        assert!(reset.ends_with('Z'), "{reset}");
    }
}
