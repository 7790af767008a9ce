//! Unix seconds as RFC 3339.

const SECONDS_PER_DAY: i64 = 86_400;
/// The Gregorian calendar repeats itself after 400 years of so many days.
const DAYS_PER_ERA: i64 = 146_097;
/// From 1 March of the year 0 to 1 January 1970.
const DAYS_TO_EPOCH: i64 = 719_468;

/// `2026-09-21T14:13:20Z`.
pub fn rfc3339(seconds: i64) -> String {
    let (year, month, day) = civil(seconds.div_euclid(SECONDS_PER_DAY));
    let second = seconds.rem_euclid(SECONDS_PER_DAY);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Year, month and day, so many days after 1 January 1970.
///
/// Years are counted from March here, so that a leap day is the last of its year and months have a rhythm: the first day
/// of month `m` (0 is March) is day `(153 m + 2) / 5`. See Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_TO_EPOCH;
    let era = days.div_euclid(DAYS_PER_ERA);
    let day_of_era = days.rem_euclid(DAYS_PER_ERA);
    let n_leap_days = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - n_leap_days) / 365;
    let first_day = year_of_era * 365 + year_of_era / 4 - year_of_era / 100;
    let day_of_year = day_of_era - first_day;
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let is_next_year = month_from_march >= 10;
    let month = match is_next_year {
        true => month_from_march - 9,
        false => month_from_march + 3,
    };
    (
        era * 400 + year_of_era + i64::from(is_next_year),
        month,
        day,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(seconds: i64, expected: &str) {
        assert_eq!(rfc3339(seconds), expected);
    }

    #[test]
    fn known_moments_have_their_dates() {
        check(0, "1970-01-01T00:00:00Z");
        check(-1, "1969-12-31T23:59:59Z");
        check(951_782_400, "2000-02-29T00:00:00Z");
        check(951_868_800, "2000-03-01T00:00:00Z");
        check(1_790_000_000, "2026-09-21T14:13:20Z");
        check(4_107_542_399, "2100-02-28T23:59:59Z");
        check(4_107_542_400, "2100-03-01T00:00:00Z");
    }

    #[test]
    fn days_follow_each_other_for_four_centuries() {
        let mut expected = (1970, 1, 1);
        for day in 0..DAYS_PER_ERA {
            assert_eq!(civil(day), expected, "day {day}");
            expected = next(expected);
        }
    }

    fn next((year, month, day): (i64, i64, i64)) -> (i64, i64, i64) {
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let n_days = match month {
            2 if is_leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        match (month, day) {
            (12, 31) => (year + 1, 1, 1),
            _ if day == n_days => (year, month + 1, 1),
            _ => (year, month, day + 1),
        }
    }

    #[test]
    fn no_moment_is_out_of_range() {
        for seconds in [i64::MIN, i64::MAX] {
            assert!(rfc3339(seconds).ends_with('Z'));
        }
    }
}
