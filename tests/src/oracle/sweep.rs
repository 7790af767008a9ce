//! The second witness: the same figures, computed from the arrivals by other means than the simulator's.

use super::Arrival;

/// The most requests in flight at any instant.
pub fn in_flight_max(arrivals: &[Arrival]) -> i64 {
    let mut level = 0;
    steps(arrivals)
        .into_iter()
        .map(|(_, change)| {
            level += change;
            level
        })
        .max()
        .unwrap_or_default()
}

/// The mean number of requests in flight from `begin` to `end`, in microseconds.
pub fn in_flight_mean(arrivals: &[Arrival], begin: i64, end: i64) -> f64 {
    let busy: i64 = arrivals
        .iter()
        .map(|arrival| (arrival.ended.unwrap_or(end).min(end) - arrival.at.max(begin)).max(0))
        .sum();
    busy as f64 / (end - begin) as f64
}

/// The most that `cost` adds up to in any interval of `length_us`, its end excluded.
pub fn worst_window(arrivals: &[Arrival], length_us: i64, cost: impl Fn(&Arrival) -> u64) -> u64 {
    let mut worst = 0;
    let mut sum = 0;
    let mut oldest = 0;
    for arrival in arrivals {
        sum += cost(arrival);
        while arrivals[oldest].at + length_us <= arrival.at {
            sum -= cost(&arrivals[oldest]);
            oldest += 1;
        }
        worst = worst.max(sum);
    }
    worst
}

/// Every arrival and end, in time; an end at the instant of an arrival comes first.
fn steps(arrivals: &[Arrival]) -> Vec<(i64, i64)> {
    let mut steps: Vec<(i64, i64)> = arrivals
        .iter()
        .flat_map(|arrival| {
            let end = arrival.ended.map(|ended| (ended, -1));
            std::iter::once((arrival.at, 1)).chain(end)
        })
        .collect();
    steps.sort_unstable();
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(spans: &[(i64, i64)]) -> Vec<Arrival> {
        let arrival = |&(at, ended)| Arrival {
            at,
            ended: Some(ended),
            aborted_at: None,
            tokens: 0,
            refused: false,
            status: Some(200),
            request_id: None,
        };
        spans.iter().map(arrival).collect()
    }

    #[test]
    fn a_slot_that_is_handed_over_counts_once() {
        let seen = arrivals(&[(0, 10), (10, 20), (15, 30)]);

        assert_eq!(in_flight_max(&seen), 2);
    }

    #[test]
    fn the_mean_counts_only_what_lies_in_the_interval() {
        let seen = arrivals(&[(0, 10), (5, 20)]);

        let mean = in_flight_mean(&seen, 5, 15);

        assert!((mean - 1.5).abs() < 1e-9, "{mean}");
    }

    #[test]
    fn the_worst_window_slides() {
        let seen = arrivals(&[(0, 1), (900, 901), (1_000, 1_001), (1_899, 1_900)]);

        let worst = worst_window(&seen, 1_000, |_| 1);

        // 900, 1,000 and 1,899 lie in one interval; 0 and 1,000 are exactly one apart and do not.
        assert_eq!(worst, 3);
    }
}
