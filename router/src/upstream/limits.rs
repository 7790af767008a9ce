//! What a provider says of its own limits for a key, in the headers of each answer.
//!
//! Two families: `x-ratelimit-remaining-requests` (OpenAI, Azure, Groq, Baidu) and
//! `anthropic-ratelimit-requests-remaining`. Gemini has none.

use std::time::Duration;

use http::{HeaderMap, HeaderName};
use shared::catalog::WindowKind;
use shared::lease::Reported;

use super::moment::Now;

/// Of one family, the three headers of one limit.
struct Names {
    kind: Kind,
    limit: HeaderName,
    remaining: HeaderName,
    reset: HeaderName,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Requests,
    Tokens,
}

macro_rules! names {
    ($kind:ident, $limit:literal, $remaining:literal, $reset:literal) => {
        Names {
            kind: Kind::$kind,
            limit: HeaderName::from_static($limit),
            remaining: HeaderName::from_static($remaining),
            reset: HeaderName::from_static($reset),
        }
    };
}

static OPENAI: [Names; 3] = [
    names!(
        Requests,
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests"
    ),
    names!(
        Tokens,
        "x-ratelimit-limit-tokens",
        "x-ratelimit-remaining-tokens",
        "x-ratelimit-reset-tokens"
    ),
    // Beside the organisation's; the one with less left counts.
    names!(
        Tokens,
        "x-ratelimit-limit-project-tokens",
        "x-ratelimit-remaining-project-tokens",
        "x-ratelimit-reset-project-tokens"
    ),
];

static ANTHROPIC: [Names; 4] = [
    names!(
        Requests,
        "anthropic-ratelimit-requests-limit",
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset"
    ),
    names!(
        Tokens,
        "anthropic-ratelimit-tokens-limit",
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset"
    ),
    // Input and output are limited apart; whichever has less left bounds what both may take together.
    names!(
        Tokens,
        "anthropic-ratelimit-input-tokens-limit",
        "anthropic-ratelimit-input-tokens-remaining",
        "anthropic-ratelimit-input-tokens-reset"
    ),
    names!(
        Tokens,
        "anthropic-ratelimit-output-tokens-limit",
        "anthropic-ratelimit-output-tokens-remaining",
        "anthropic-ratelimit-output-tokens-reset"
    ),
];

/// What is reset no sooner than this is no window of a minute.
const DAILY_FROM: Duration = Duration::from_secs(60 * 60);

/// Where the reset is not told (Baidu).
const MINUTE: Duration = Duration::from_secs(60);

/// Above it a number is not believed: no provider allows more, and sums of it would overflow.
const COUNT_MAX: f64 = 1e15;

/// Reads the limits that `headers` tell of; the fewest that remain, where two are of one kind.
///
/// `host` is the provider's: Groq counts requests by the day under the names that others use for the minute. Reads only
/// two headers, and allocates nothing, where there is no limit told.
pub(super) fn reported(headers: &HeaderMap, host: Option<&str>) -> Vec<Reported> {
    let mut found = Vec::new();
    for family in [&OPENAI[..], &ANTHROPIC[..]] {
        let is_told = |names: &Names| headers.contains_key(&names.remaining);
        // Whoever tells of project or input tokens tells of requests or of all tokens too.
        if !family.iter().take(2).any(is_told) {
            continue;
        }
        let now = Now::of(headers);
        for names in family {
            if let Some(reported) = read(headers, names, now, host) {
                keep_the_fewest(&mut found, reported);
            }
        }
    }
    found
}

/// How long until every limit of which nothing is left has room again; `None` if something is left of all.
pub(super) fn exhausted_for(reported: &[Reported]) -> Option<Duration> {
    let spent = reported.iter().filter(|reported| reported.remaining == 0);
    let longest = spent.map(|reported| reported.resets_in_ms).max()?;
    Some(Duration::from_millis(longest.into()))
}

/// Believes `wait`, the provider's word on when to come back, where a spent limit would be waited for longer: its reset
/// tells when the limit is whole again (OpenAI's of a day in a day), not when there is room for one request more.
pub(super) fn end_by(reported: &mut [Reported], wait: Duration) {
    let wait = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
    for spent in reported
        .iter_mut()
        .filter(|reported| reported.remaining == 0)
    {
        spent.resets_in_ms = spent.resets_in_ms.min(wait);
    }
}

fn read(headers: &HeaderMap, names: &Names, now: Now, host: Option<&str>) -> Option<Reported> {
    let text = |name: &HeaderName| headers.get(name)?.to_str().ok().map(str::trim);

    let remaining = count(text(&names.remaining)?)?;
    let limit = match text(&names.limit) {
        None => 0,
        Some(limit) => count(limit).filter(|limit| *limit > 0 && remaining <= *limit)?,
    };
    let is_groq = host.is_some_and(|host| host == "groq.com" || host.ends_with(".groq.com"));
    let is_daily_by_name = is_groq && names.kind == Kind::Requests;
    let resets_in = match text(&names.reset) {
        None if is_daily_by_name => return None,
        None => MINUTE,
        Some(reset) => now.until(reset)?,
    };
    let is_daily = is_daily_by_name || resets_in >= DAILY_FROM;
    let kind = match (names.kind, is_daily) {
        (Kind::Requests, false) => WindowKind::Rpm,
        (Kind::Requests, true) => WindowKind::Rpd,
        (Kind::Tokens, false) => WindowKind::Tpm,
        (Kind::Tokens, true) => WindowKind::Tpd,
    };
    Some(Reported {
        kind: kind.code(),
        limit,
        remaining,
        resets_in_ms: u32::try_from(resets_in.as_millis()).ok()?,
    })
}

fn keep_the_fewest(found: &mut Vec<Reported>, reported: Reported) {
    match found.iter_mut().find(|known| known.kind == reported.kind) {
        None => found.push(reported),
        Some(known) if known.remaining > reported.remaining => *known = reported,
        Some(_) => {}
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked before"
)]
fn count(text: &str) -> Option<u64> {
    let count: f64 = text.parse().ok()?;
    (0.0..=COUNT_MAX).contains(&count).then_some(count as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Row = (WindowKind, u64, u64, u32);

    #[track_caller]
    fn check_at(host: &str, headers: &[(&str, &str)], expected: &[Row]) {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()));
        let expected: Vec<_> = expected
            .iter()
            .map(|&(kind, limit, remaining, resets_in_ms)| Reported {
                kind: kind.code(),
                limit,
                remaining,
                resets_in_ms,
            })
            .collect();
        assert_eq!(reported(&headers.collect(), Some(host)), expected);
    }

    #[track_caller]
    fn check(headers: &[(&str, &str)], expected: &[Row]) {
        check_at("api.example", headers, expected);
    }

    #[test]
    fn a_spent_limit_is_waited_for_no_longer_than_the_provider_asks() {
        let row = |remaining, resets_in_ms| Reported {
            kind: WindowKind::Rpd.code(),
            limit: 1_000,
            remaining,
            resets_in_ms,
        };
        let mut reported = [row(0, 86_400_000), row(0, 500), row(7, 86_400_000)];

        end_by(&mut reported, Duration::from_secs(8));

        assert_eq!(reported, [row(0, 8_000), row(0, 500), row(7, 86_400_000)]);
    }

    #[test]
    fn openai_tells_of_requests_and_tokens_of_the_minute() {
        check(
            &[
                ("x-ratelimit-limit-requests", "500"),
                ("x-ratelimit-remaining-requests", "499"),
                ("x-ratelimit-reset-requests", "120ms"),
                ("x-ratelimit-limit-tokens", "30000"),
                ("x-ratelimit-remaining-tokens", "29000"),
                ("x-ratelimit-reset-tokens", "2s"),
            ],
            &[
                (WindowKind::Rpm, 500, 499, 120),
                (WindowKind::Tpm, 30_000, 29_000, 2_000),
            ],
        );
    }

    #[test]
    fn of_two_limits_of_one_kind_the_one_with_less_left_counts() {
        check(
            &[
                ("x-ratelimit-remaining-requests", "7"),
                ("x-ratelimit-limit-tokens", "30000"),
                ("x-ratelimit-remaining-tokens", "29000"),
                ("x-ratelimit-reset-tokens", "2s"),
                ("x-ratelimit-limit-project-tokens", "10000"),
                ("x-ratelimit-remaining-project-tokens", "900"),
                ("x-ratelimit-reset-project-tokens", "50s"),
            ],
            &[
                (WindowKind::Rpm, 0, 7, 60_000),
                (WindowKind::Tpm, 10_000, 900, 50_000),
            ],
        );
    }

    #[test]
    fn anthropic_tells_its_resets_as_dates() {
        check(
            &[
                ("date", "Sat, 21 Nov 2026 08:00:00 GMT"),
                ("anthropic-ratelimit-requests-limit", "50"),
                ("anthropic-ratelimit-requests-remaining", "0"),
                ("anthropic-ratelimit-requests-reset", "2026-11-21T08:00:30Z"),
                ("anthropic-ratelimit-tokens-limit", "40000"),
                ("anthropic-ratelimit-tokens-remaining", "39000"),
                ("anthropic-ratelimit-tokens-reset", "2026-11-21T08:00:02Z"),
                ("anthropic-ratelimit-output-tokens-limit", "8000"),
                ("anthropic-ratelimit-output-tokens-remaining", "5000"),
                (
                    "anthropic-ratelimit-output-tokens-reset",
                    "2026-11-21T08:00:10Z",
                ),
            ],
            &[
                (WindowKind::Rpm, 50, 0, 30_000),
                (WindowKind::Tpm, 8_000, 5_000, 10_000),
            ],
        );
    }

    #[test]
    fn groq_counts_requests_by_the_day() {
        let headers = [
            ("x-ratelimit-limit-requests", "14400"),
            ("x-ratelimit-remaining-requests", "14370"),
            ("x-ratelimit-reset-requests", "2m59.56s"),
            ("x-ratelimit-limit-tokens", "18000"),
            ("x-ratelimit-remaining-tokens", "17997"),
            ("x-ratelimit-reset-tokens", "7.66ms"),
        ];

        check_at(
            "api.groq.com",
            &headers,
            &[
                (WindowKind::Rpd, 14_400, 14_370, 179_560),
                (WindowKind::Tpm, 18_000, 17_997, 7),
            ],
        );
        check_at(
            "notgroq.com",
            &headers[..3],
            &[(WindowKind::Rpm, 14_400, 14_370, 179_560)],
        );
    }

    #[test]
    fn what_is_reset_in_hours_is_a_limit_of_the_day() {
        check(
            &[
                ("x-ratelimit-remaining-requests", "10"),
                ("x-ratelimit-reset-requests", "1h2m3.5s"),
                ("x-ratelimit-remaining-tokens", "10"),
                ("x-ratelimit-reset-tokens", "9999h"),
            ],
            &[
                (WindowKind::Rpd, 0, 10, 3_723_500),
                (WindowKind::Tpd, 0, 10, 86_400_000),
            ],
        );
    }

    #[test]
    fn azure_and_baidu_write_the_same_names_otherwise() {
        check(
            &[
                ("X-RateLimit-Limit-Tokens", "1000"),
                ("X-RateLimit-Remaining-Tokens", "990"),
                ("X-RateLimit-Reset-Tokens", "60"),
            ],
            &[(WindowKind::Tpm, 1_000, 990, 60_000)],
        );
        check(
            &[
                ("X-Ratelimit-Limit-Requests", "60"),
                ("X-Ratelimit-Remaining-Requests", "59"),
            ],
            &[(WindowKind::Rpm, 60, 59, 60_000)],
        );
    }

    #[test]
    fn nonsense_is_ignored() {
        let remaining = "x-ratelimit-remaining-tokens";
        let limit = "x-ratelimit-limit-tokens";
        let reset = "x-ratelimit-reset-tokens";

        check(&[], &[]);
        for (name, value) in [
            (limit, "-1"),
            (limit, "0"),
            (limit, "4"),
            (limit, "NaN"),
            (limit, "inf"),
            (limit, "1e16"),
            (reset, "-1"),
            (reset, "NaN"),
            (reset, "soon"),
            (reset, "2026-11-21T08:00:30Z"),
        ] {
            check(&[(remaining, "5"), (name, value)], &[]);
        }
        for value in ["-1", "NaN", "inf", "many", "1e30", "é"] {
            check(&[(remaining, value)], &[]);
        }
        check_at(
            "api.groq.com",
            &[("x-ratelimit-remaining-requests", "5")],
            &[],
        );
    }

    #[test]
    fn a_spent_limit_closes_until_its_reset() {
        let spent = |remaining, resets_in_ms| Reported {
            kind: WindowKind::Rpm.code(),
            limit: 10,
            remaining,
            resets_in_ms,
        };

        let seconds = Some(Duration::from_secs(7));
        assert_eq!(
            exhausted_for(&[spent(0, 3_000), spent(0, 7_000), spent(1, 9_000)]),
            seconds
        );
        assert_eq!(exhausted_for(&[spent(1, 3_000)]), None);
        assert_eq!(exhausted_for(&[]), None);
    }
}
