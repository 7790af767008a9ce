//! When a provider says to come back.

use std::time::Duration;

use http::HeaderMap;
use http::header::{HeaderName, RETRY_AFTER};

use super::moment::{Now, within_a_day};

const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// Reads `retry-after-ms`, else `Retry-After` in any form that [`Now::until`] knows.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &HeaderName| headers.get(name)?.to_str().ok().map(str::trim);

    if let Some(milliseconds) = text(&RETRY_AFTER_MS).and_then(|text| text.parse::<f64>().ok()) {
        let is_wait = milliseconds >= 0.0;
        return is_wait.then(|| within_a_day(milliseconds / 1000.0));
    }
    Now::of(headers).until(text(&RETRY_AFTER)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(headers: &[(&str, &str)], expected: Option<Duration>) {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()));
        assert_eq!(retry_after(&headers.collect()), expected);
    }

    #[test]
    fn all_forms_are_understood() {
        let secs = |secs| Some(Duration::from_secs_f64(secs));

        check(&[("retry-after", "20")], secs(20.0));
        check(&[("retry-after", " 1.5 ")], secs(1.5));
        check(
            &[("retry-after-ms", "19874"), ("retry-after", "20")],
            secs(19.874),
        );
        check(
            &[
                ("date", "Sat, 21 Nov 2026 08:00:00 GMT"),
                ("retry-after", "Sat, 21 Nov 2026 08:00:30 GMT"),
            ],
            secs(30.0),
        );
        check(&[("retry-after", "0")], secs(0.0));
    }

    #[test]
    fn no_wait_is_longer_than_a_day() {
        let day = Some(Duration::from_secs(86_400));

        check(&[("retry-after", "1e30")], day);
        check(&[("retry-after", "inf")], day);
        check(
            &[
                ("date", "Sat, 21 Nov 2026 08:00:00 GMT"),
                ("retry-after", "Sat, 21 Nov 2099 08:00:00 GMT"),
            ],
            day,
        );
    }

    #[test]
    fn dates_in_the_past_mean_now() {
        let headers = [
            ("date", "Sat, 21 Nov 2026 08:00:00 GMT"),
            ("retry-after", "Sat, 21 Nov 2026 07:00:00 GMT"),
        ];

        check(&headers, Some(Duration::ZERO));
    }

    #[test]
    fn nonsense_is_ignored() {
        check(&[], None);
        check(&[("retry-after", "soon")], None);
        check(&[("retry-after", "-5")], None);
        check(&[("retry-after", "NaN")], None);
        check(&[("retry-after", "Sat, 21 Nov 2026 08:00:30 GMT")], None);
        check(
            &[("retry-after-ms", "x"), ("retry-after", "2")],
            Some(Duration::from_secs(2)),
        );
    }
}
