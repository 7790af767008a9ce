//! When something will be, as providers write it: in so many seconds, or at a date.

use std::time::{Duration, UNIX_EPOCH};

use http::HeaderMap;
use http::header::DATE;

/// No provider means longer; one that says so has sent nonsense, or something for an operator.
pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Numbers from here on are no waits but seconds since 1970, from the second on milliseconds.
const EPOCH_SECONDS_FROM: f64 = 1e9;
const EPOCH_MILLISECONDS_FROM: f64 = 1e12;
/// Beyond it a number is no date either.
const EPOCH_MAX: f64 = 1e14;

/// The moment of a response by its own `Date`: no clock of this machine is asked for what a provider's clock says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now(Option<f64>);

impl Now {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let date = headers.get(DATE).and_then(|date| date.to_str().ok());
        Self(date.and_then(http_date))
    }

    /// The wait until `text`: seconds, a duration as Go and protobuf write it (`1h2m3.5s`, `34.07s`, `20ms`), an HTTP
    /// date, RFC 3339, or a time since 1970.
    ///
    /// At most a day, and nothing where it has passed. `None` for what is none of these, for negative numbers, and for a
    /// date beside no `Date`.
    pub(super) fn until(self, text: &str) -> Option<Duration> {
        let text = text.trim();
        if let Ok(number) = text.parse::<f64>() {
            return match number {
                n if n.is_nan() || n < 0.0 => None,
                n if !(EPOCH_SECONDS_FROM..EPOCH_MAX).contains(&n) => Some(within_a_day(n)),
                n if n < EPOCH_MILLISECONDS_FROM => self.until_epoch(n),
                n => self.until_epoch(n / 1000.0),
            };
        }
        if let Some(seconds) = go_duration(text) {
            return Some(within_a_day(seconds));
        }
        self.until_epoch(http_date(text).or_else(|| rfc_3339(text))?)
    }

    fn until_epoch(self, then: f64) -> Option<Duration> {
        let Self(now) = self;
        Some(within_a_day((then - now?).max(0.0)))
    }
}

/// `seconds` is not negative and not NaN.
pub(super) fn within_a_day(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).map_or(DAY, |duration| duration.min(DAY))
}

fn http_date(text: &str) -> Option<f64> {
    let date = httpdate::parse_http_date(text).ok()?;
    let since = date.duration_since(UNIX_EPOCH).ok()?;
    Some(since.as_secs_f64())
}

/// `1h2m3.5s`, `6m0s`, `20ms`; the seconds.
fn go_duration(text: &str) -> Option<f64> {
    let mut rest = text;
    let mut seconds = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let number_len = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, unit_on) = rest.split_at_checked(number_len)?;
        let unit_len = unit_on.find(|c: char| c.is_ascii_digit() || c == '.');
        let (unit, after) = unit_on.split_at_checked(unit_len.unwrap_or(unit_on.len()))?;
        let unit_seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" | "μs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * unit_seconds;
        rest = after;
    }
    Some(seconds)
}

/// `2026-11-21T08:00:30.5Z`, `2026-11-21T16:00:30+08:00`; seconds since 1970.
fn rfc_3339(text: &str) -> Option<f64> {
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = text.get(from..to)?;
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| digits.parse().ok())?
    };
    let sign = |at: usize| text.as_bytes().get(at).copied();
    let has_form = sign(4) == Some(b'-')
        && sign(7) == Some(b'-')
        && matches!(sign(10), Some(b'T' | b't' | b' '))
        && sign(13) == Some(b':')
        && sign(16) == Some(b':');
    if !has_form {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 24 || minute > 59 {
        return None;
    }
    let rest = text.get(19..)?;
    let zone_at = rest.find(['Z', 'z', '+', '-'])?;
    let (fraction, zone) = rest.split_at_checked(zone_at)?;
    let fraction = match fraction {
        "" => 0.0,
        fraction => format!("0{fraction}").parse::<f64>().ok()?,
    };
    let offset_minutes = match zone {
        "Z" | "z" => 0,
        zone => {
            let (hours, minutes) = zone.get(1..)?.split_once(':')?;
            let minutes = hours.parse::<u32>().ok()? * 60 + minutes.parse::<u32>().ok()?;
            let minutes = i64::from(minutes);
            if zone.starts_with('-') {
                -minutes
            } else {
                minutes
            }
        }
    };
    let minutes = (days_since_1970(year, month, day) * 24 + hour) * 60 + minute - offset_minutes;
    let seconds = u32::try_from(minutes * 60 + second).ok()?;
    Some(f64::from(seconds) + fraction)
}

/// Of the Gregorian calendar, as in Howard Hinnant's `days_from_civil`.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March, so that the day that may be missing is the last.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn now() -> Now {
        let date = HeaderValue::from_static("Sat, 21 Nov 2026 08:00:00 GMT");
        Now::of(&HeaderMap::from_iter([(DATE, date)]))
    }

    #[track_caller]
    fn check(text: &str, expected_seconds: Option<f64>) {
        let until = now().until(text).map(|wait| wait.as_secs_f64());
        let is_as_expected = match (until, expected_seconds) {
            (Some(until), Some(expected)) => (until - expected).abs() < 1e-6,
            (until, expected) => until.is_none() && expected.is_none(),
        };
        assert!(
            is_as_expected,
            "`{text}`: {until:?}, not {expected_seconds:?}"
        );
    }

    #[test]
    fn all_forms_are_understood() {
        check("20", Some(20.0));
        check(" 1.5 ", Some(1.5));
        check("0", Some(0.0));
        check("1s", Some(1.0));
        check("20ms", Some(0.02));
        check("6m0s", Some(360.0));
        check("1h2m3.5s", Some(3723.5));
        check("250µs", Some(0.000_25));
        check("34.074824224s", Some(34.074_824_224));
        check("10h17m0.5s", Some(37_020.5));
        check("Sat, 21 Nov 2026 08:00:30 GMT", Some(30.0));
        check("2026-11-21T08:00:30Z", Some(30.0));
        check("2026-11-21T08:00:30.25Z", Some(30.25));
        check("2026-11-21T16:00:30+08:00", Some(30.0));
        check("2026-11-21T03:30:30-04:30", Some(30.0));
        check("1795248030", Some(30.0));
        check("1795248030500", Some(30.5));
    }

    #[test]
    fn no_wait_is_longer_than_a_day_or_less_than_none() {
        let day = Some(86_400.0);

        check("1e8", day);
        check("inf", day);
        check("1e30", day);
        check("9999999h", day);
        check("2099-01-01T00:00:00Z", day);
        check("Fri, 21 Nov 2098 08:00:00 GMT", day);
        check("2026-11-21T07:59:59Z", Some(0.0));
        check("Sat, 21 Nov 2026 07:00:00 GMT", Some(0.0));
        check("1700000000", Some(0.0));
    }

    #[test]
    fn nonsense_is_ignored() {
        for text in [
            "",
            "soon",
            "-1",
            "-1s",
            "NaN",
            "s",
            "5x",
            "1.2.3s",
            "5 s",
            "2026-11-21",
            "2026-13-21T08:00:30Z",
            "2026-11-21T08:00:30",
            "2026-11-21T08:00:30+x",
            "2026-11-21T08:0é:30Z",
            "-026-11-21T08:00:30Z",
            "１h",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn a_date_beside_no_date_says_nothing() {
        let nowhere = Now::of(&HeaderMap::new());

        assert_eq!(nowhere.until("Sat, 21 Nov 2026 08:00:30 GMT"), None);
        assert_eq!(nowhere.until("2026-11-21T08:00:30Z"), None);
        assert_eq!(nowhere.until("1795248030"), None);
        assert_eq!(nowhere.until("3s"), Some(Duration::from_secs(3)));
    }

    #[test]
    fn the_calendar_knows_leap_years() {
        assert_eq!(days_since_1970(1970, 1, 1), 0);
        assert_eq!(
            days_since_1970(2000, 2, 29) + 1,
            days_since_1970(2000, 3, 1)
        );
        assert_eq!(
            days_since_1970(2100, 2, 28) + 1,
            days_since_1970(2100, 3, 1)
        );
        assert_eq!(days_since_1970(2026, 11, 21), 20_778);
    }
}
