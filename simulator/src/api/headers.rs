//! Headers of answers: request ids, rate limits and when to come back, in each API's formats.

use std::time::{Duration, UNIX_EPOCH};

use http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};

use crate::behaviour::RetryAfterHeaders;
use crate::limits::Standing;
use crate::reply::Reply;

use super::dialect::{Addressee, Dialect};

const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// The names of one window's limit, remainder and reset.
struct StandingNames {
    limit: HeaderName,
    remaining: HeaderName,
    reset: HeaderName,
}

const REQUESTS: StandingNames = StandingNames {
    limit: HeaderName::from_static("x-ratelimit-limit-requests"),
    remaining: HeaderName::from_static("x-ratelimit-remaining-requests"),
    reset: HeaderName::from_static("x-ratelimit-reset-requests"),
};
const TOKENS: StandingNames = StandingNames {
    limit: HeaderName::from_static("x-ratelimit-limit-tokens"),
    remaining: HeaderName::from_static("x-ratelimit-remaining-tokens"),
    reset: HeaderName::from_static("x-ratelimit-reset-tokens"),
};
const ANTHROPIC_REQUESTS: StandingNames = StandingNames {
    limit: HeaderName::from_static("anthropic-ratelimit-requests-limit"),
    remaining: HeaderName::from_static("anthropic-ratelimit-requests-remaining"),
    reset: HeaderName::from_static("anthropic-ratelimit-requests-reset"),
};
const ANTHROPIC_TOKENS: StandingNames = StandingNames {
    limit: HeaderName::from_static("anthropic-ratelimit-tokens-limit"),
    remaining: HeaderName::from_static("anthropic-ratelimit-tokens-remaining"),
    reset: HeaderName::from_static("anthropic-ratelimit-tokens-reset"),
};

pub(super) fn request_id(id: u64) -> String {
    format!("req_{id:032x}")
}

pub(super) fn with_request_id(mut reply: Reply, addressee: Addressee) -> Reply {
    let names: &[&'static str] = match addressee.dialect {
        Dialect::OpenAi => &["x-request-id"],
        Dialect::Azure => &["x-request-id", "apim-request-id"],
        Dialect::Anthropic => &["request-id"],
        Dialect::Bedrock => &["x-amzn-requestid"],
        Dialect::Gemini | Dialect::GeminiArray | Dialect::Ollama => &[],
    };
    let id = request_id(addressee.id);
    for name in names {
        insert(reply.headers_mut(), HeaderName::from_static(name), &id);
    }
    reply
}

/// Adds what is known of the key's windows, where the API tells it; `now_us` is in microseconds since 1970.
pub(super) fn with_standings(
    mut reply: Reply,
    dialect: Dialect,
    now_us: u64,
    requests: Option<Standing>,
    tokens: Option<Standing>,
) -> Reply {
    let names = match dialect {
        Dialect::OpenAi | Dialect::Azure => [REQUESTS, TOKENS],
        Dialect::Anthropic => [ANTHROPIC_REQUESTS, ANTHROPIC_TOKENS],
        Dialect::Gemini | Dialect::GeminiArray | Dialect::Ollama | Dialect::Bedrock => {
            return reply;
        }
    };
    for (names, standing) in names.into_iter().zip([requests, tokens]) {
        let Some(standing) = standing else { continue };
        let headers = reply.headers_mut();
        headers.insert(names.limit, standing.allowed.into());
        headers.insert(names.remaining, standing.remaining.into());
        let reset = match dialect {
            Dialect::Azure => standing.reset_us.div_ceil(1_000_000).to_string(),
            Dialect::Anthropic => rfc3339(now_us.saturating_add(standing.reset_us)),
            _ => go_duration(standing.reset_us),
        };
        insert(headers, names.reset, &reset);
    }
    reply
}

/// Adds `Retry-After`, `retry-after-ms` or both; without `which`, what the dialect's API sends.
///
/// They are rounded up (RFC 9110 §10.2.3 knows whole seconds only): a client that obeys must not come back early.
pub(super) fn with_retry_after(
    mut reply: Reply,
    wait: Duration,
    which: Option<RetryAfterHeaders>,
    dialect: Dialect,
) -> Reply {
    let usual = match dialect {
        Dialect::OpenAi | Dialect::Azure => RetryAfterHeaders::Both,
        Dialect::Anthropic => RetryAfterHeaders::Seconds,
        // Gemini tells it in the body, the others nowhere.
        Dialect::Gemini | Dialect::GeminiArray | Dialect::Ollama | Dialect::Bedrock => {
            RetryAfterHeaders::None
        }
    };
    let millis = u64::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(u64::MAX);
    let (has_seconds, has_millis) = match which.unwrap_or(usual) {
        RetryAfterHeaders::Both => (true, true),
        RetryAfterHeaders::Seconds => (true, false),
        RetryAfterHeaders::Millis => (false, true),
        RetryAfterHeaders::None => (false, false),
    };
    let headers = reply.headers_mut();
    if has_seconds {
        headers.insert(RETRY_AFTER, millis.div_ceil(1000).into());
    }
    if has_millis {
        headers.insert(RETRY_AFTER_MS, millis.into());
    }
    reply
}

/// A time in microseconds since 1970 as RFC 3339 writes it, in whole seconds rounded up.
fn rfc3339(unix_us: u64) -> String {
    let time = Duration::from_secs(unix_us.div_ceil(1_000_000));
    humantime::format_rfc3339_seconds(UNIX_EPOCH + time).to_string()
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // Always visible ASCII, so this cannot fail.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// A duration as Go prints it, rounded up to milliseconds: `20ms`, `1.5s`, `6m0s`, `24h0m0s`.
fn go_duration(micros: u64) -> String {
    let millis = micros.div_ceil(1000);
    if millis == 0 {
        return "0s".to_owned();
    }
    if millis < 1000 {
        return format!("{millis}ms");
    }
    let (seconds, fraction) = (millis / 1000, millis % 1000);
    let fraction = match fraction {
        0 => String::new(),
        _ => format!(".{fraction:03}").trim_end_matches('0').to_owned(),
    };
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}h{minutes}m{seconds}{fraction}s")
    } else if minutes > 0 {
        format!("{minutes}m{seconds}{fraction}s")
    } else {
        format!("{seconds}{fraction}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_print_as_go_prints_them() {
        let printed = [0, 1, 20_000, 1_000_000, 1_500_000, 59_987_000, 360_000_000]
            .map(go_duration)
            .join(" ");

        assert_eq!(printed, "0s 1ms 20ms 1s 1.5s 59.987s 6m0s");
        assert_eq!(go_duration(86_400_000_000), "24h0m0s");
    }
}
