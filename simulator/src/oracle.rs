//! The oracle: what arrived on one key, counted by itself, whatever the limits let through.
//!
//! Every arrival counts where it would have counted had there been no limit: refused ones are requests too, are in
//! flight for an instant, and bring the tokens they would have used. Times are microseconds on the simulator's clock.

use std::collections::VecDeque;

use serde::Serialize;

/// Arrivals kept for `GET /oracle/arrivals/{key}`; those of the last minute are always kept.
const ARRIVALS_KEPT: usize = 1_000_000;

/// Of the probes.
const PROBES_KEPT: usize = 10_000;

const SECOND_US: u64 = 1_000_000;
const MINUTE_US: u64 = 60 * SECOND_US;

/// The counters of one key since the last reset.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Tells arrivals before a reset from those after it.
    generation: u64,
    reset_us: u64,
    arrivals: VecDeque<Entry>,
    /// The sequence number of the first in `arrivals`.
    oldest: u64,
    /// The sequence number of the first arrival in the last second, and in the last minute.
    second: u64,
    minute: u64,
    minute_tokens: u64,
    in_flight: u32,
    /// When `in_flight` last changed, and what it amounted to until then.
    changed_us: u64,
    busy_us: u64,
    request_us: u64,
    worst: Worst,
    probes: Probes,
}

/// What was asked of the key without any request.
#[derive(Debug, Default)]
struct Probes {
    n_seen: u64,
    n_failed: u64,
    /// Time and status of the latest.
    kept: VecDeque<(u64, u16)>,
}

/// The worst seen, and what only grows.
#[derive(Clone, Copy, Debug, Default)]
struct Worst {
    requests: u64,
    refused: u64,
    aborted: u64,
    in_flight: u32,
    second: u64,
    minute: u64,
    minute_tokens: u64,
}

/// Names an arrival when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ArrivalId {
    generation: u64,
    sequence: u64,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The last byte was handed over, or the provider itself broke off.
    Answered,
    /// A limit or a wrong key kept it out.
    Refused,
    /// The client left first.
    Aborted,
}

#[derive(Clone, Debug)]
struct Entry {
    at_us: u64,
    tokens: u32,
    end: Option<(u64, Ending)>,
    /// Of the answer; 0 until it ended, and where its client left first.
    status: u16,
    request_id: Option<Box<str>>,
}

/// One key's numbers, as `GET /oracle` shows them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct KeyReport {
    requests: u64,
    in_flight: u32,
    in_flight_max: u32,
    in_flight_mean: f64,
    worst_second: u64,
    worst_minute: u64,
    worst_minute_tokens: u64,
    aborted: u64,
    refused: u64,
    /// `GET /v1/models`, which is counted nowhere else.
    probes: u64,
    /// Those of them that were not answered with 200.
    probes_failed: u64,
}

/// One arrival, as `GET /oracle/arrivals/{key}` shows it; times are since the reset.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ArrivalReport {
    at_us: u64,
    tokens: u32,
    ended_us: Option<u64>,
    refused: bool,
    aborted: bool,
    aborted_at_us: Option<u64>,
    /// `None` until it ended, and where its client left first.
    status: Option<u16>,
    /// The caller's `x-request-id`: all attempts at one request share it.
    request_id: Option<Box<str>>,
}

/// One `GET /v1/models`, as `GET /oracle/arrivals/{key}` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct ProbeReport {
    at_us: u64,
    status: u16,
}

impl Tally {
    pub(crate) fn new(now_us: u64) -> Self {
        Self::renewed(now_us, 0, 0)
    }

    /// Forgets everything but the requests that are still running.
    pub(crate) fn reset(&mut self, now_us: u64) {
        *self = Self::renewed(now_us, self.generation + 1, self.in_flight);
    }

    fn renewed(now_us: u64, generation: u64, in_flight: u32) -> Self {
        Self {
            generation,
            reset_us: now_us,
            arrivals: VecDeque::new(),
            oldest: 0,
            second: 0,
            minute: 0,
            minute_tokens: 0,
            in_flight,
            changed_us: now_us,
            busy_us: 0,
            request_us: 0,
            worst: Worst {
                in_flight,
                ..Worst::default()
            },
            probes: Probes::default(),
        }
    }

    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight
    }

    pub(crate) fn arrive(
        &mut self,
        now_us: u64,
        tokens: u32,
        request_id: Option<&str>,
    ) -> ArrivalId {
        self.account(now_us);
        self.in_flight += 1;
        self.arrivals.push_back(Entry {
            at_us: now_us,
            tokens,
            end: None,
            status: 0,
            request_id: request_id.map(Into::into),
        });
        self.minute_tokens += u64::from(tokens);
        self.slide(now_us);
        self.forget_the_oldest();

        let next = self.oldest + self.arrivals.len() as u64;
        let worst = &mut self.worst;
        worst.requests += 1;
        worst.in_flight = worst.in_flight.max(self.in_flight);
        worst.second = worst.second.max(next - self.second);
        worst.minute = worst.minute.max(next - self.minute);
        worst.minute_tokens = worst.minute_tokens.max(self.minute_tokens);
        ArrivalId {
            generation: self.generation,
            sequence: next - 1,
        }
    }

    pub(crate) fn end(&mut self, id: ArrivalId, now_us: u64, ending: Ending, status: u16) {
        self.account(now_us);
        self.in_flight -= 1;
        if id.generation != self.generation {
            return;
        }
        match ending {
            Ending::Answered => {}
            Ending::Refused => self.worst.refused += 1,
            Ending::Aborted => self.worst.aborted += 1,
        }
        if let Some(entry) = self.entry_mut(id.sequence) {
            entry.end = Some((now_us, ending));
            entry.status = status;
        }
    }

    pub(crate) fn report(&mut self, now_us: u64) -> KeyReport {
        self.account(now_us);
        let Worst {
            requests,
            refused,
            aborted,
            in_flight: in_flight_max,
            second: worst_second,
            minute: worst_minute,
            minute_tokens: worst_minute_tokens,
        } = self.worst;
        KeyReport {
            requests,
            in_flight: self.in_flight,
            in_flight_max,
            in_flight_mean: ratio(self.request_us, self.busy_us),
            worst_second,
            worst_minute,
            worst_minute_tokens,
            aborted,
            refused,
            probes: self.probes.n_seen,
            probes_failed: self.probes.n_failed,
        }
    }

    pub(crate) fn arrivals(&self) -> Vec<ArrivalReport> {
        let since_reset = |at_us: u64| at_us.saturating_sub(self.reset_us);
        self.arrivals
            .iter()
            .map(|entry| {
                let ended_us = entry.end.map(|(at_us, _)| since_reset(at_us));
                let ending = entry.end.map(|(_, ending)| ending);
                let aborted = ending == Some(Ending::Aborted);
                ArrivalReport {
                    at_us: since_reset(entry.at_us),
                    tokens: entry.tokens,
                    ended_us,
                    refused: ending == Some(Ending::Refused),
                    aborted,
                    aborted_at_us: ended_us.filter(|_| aborted),
                    status: ended_us.map(|_| entry.status).filter(|_| !aborted),
                    request_id: entry.request_id.clone(),
                }
            })
            .collect()
    }

    pub(crate) fn probe(&mut self, now_us: u64, status: u16) {
        let probes = &mut self.probes;
        probes.n_seen += 1;
        probes.n_failed += u64::from(status != 200);
        probes.kept.push_back((now_us, status));
        if probes.kept.len() > PROBES_KEPT {
            probes.kept.pop_front();
        }
    }

    pub(crate) fn probes(&self) -> Vec<ProbeReport> {
        let since_reset = |at_us: u64| at_us.saturating_sub(self.reset_us);
        let kept = self.probes.kept.iter();
        kept.map(|&(at_us, status)| ProbeReport {
            at_us: since_reset(at_us),
            status,
        })
        .collect()
    }

    /// Adds the time since the last change to the mean; time without a request in flight does not count.
    fn account(&mut self, now_us: u64) {
        let elapsed_us = now_us.saturating_sub(self.changed_us);
        if self.in_flight > 0 {
            self.busy_us += elapsed_us;
            self.request_us += elapsed_us * u64::from(self.in_flight);
        }
        self.changed_us = now_us;
    }

    fn slide(&mut self, now_us: u64) {
        while let Some(entry) = self.entry(self.second)
            && entry.at_us + SECOND_US <= now_us
        {
            self.second += 1;
        }
        while let Some(entry) = self.entry(self.minute)
            && entry.at_us + MINUTE_US <= now_us
        {
            let tokens = u64::from(entry.tokens);
            self.minute_tokens -= tokens;
            self.minute += 1;
        }
    }

    fn forget_the_oldest(&mut self) {
        if self.arrivals.len() > ARRIVALS_KEPT && self.oldest < self.minute {
            self.arrivals.pop_front();
            self.oldest += 1;
        }
    }

    fn entry(&self, sequence: u64) -> Option<&Entry> {
        self.arrivals.get(self.position(sequence)?)
    }

    fn entry_mut(&mut self, sequence: u64) -> Option<&mut Entry> {
        let position = self.position(sequence)?;
        self.arrivals.get_mut(position)
    }

    fn position(&self, sequence: u64) -> Option<usize> {
        usize::try_from(sequence.checked_sub(self.oldest)?).ok()
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a mean needs no more than 52 bits"
)]
fn ratio(dividend: u64, divisor: u64) -> f64 {
    if divisor == 0 {
        return 0.0;
    }
    dividend as f64 / divisor as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_counts_only_the_time_with_demand() {
        let mut tally = Tally::new(0);
        let first = tally.arrive(1_000, 1, None);
        let second = tally.arrive(2_000, 1, None);
        tally.end(first, 3_000, Ending::Answered, 200);
        tally.end(second, 4_000, Ending::Answered, 200);
        // Idle until 10 ms.
        let third = tally.arrive(10_000, 1, None);
        tally.end(third, 11_000, Ending::Answered, 200);

        let report = tally.report(50_000);

        assert!((report.in_flight_mean - 1.25).abs() < 1e-9);
        assert_eq!((report.in_flight, report.in_flight_max), (0, 2));
    }

    #[test]
    fn the_worst_windows_slide() {
        let mut tally = Tally::new(0);
        for at_us in [900_000, 950_000, 1_000_000, 1_899_999, 1_900_000] {
            tally.arrive(at_us, 10, None);
        }
        tally.arrive(60_899_999, 10, None);

        let report = tally.report(61_000_000);

        assert_eq!(report.worst_second, 4);
        assert_eq!((report.worst_minute, report.worst_minute_tokens), (6, 60));
    }

    #[test]
    fn a_reset_keeps_what_is_still_running() {
        let mut tally = Tally::new(0);
        let early = tally.arrive(1, 1, None);
        tally.reset(10);
        let late = tally.arrive(20, 1, None);
        tally.end(early, 30, Ending::Aborted, 200);
        tally.end(late, 40, Ending::Answered, 200);

        let report = tally.report(50);

        assert_eq!((report.requests, report.aborted), (1, 0));
        assert_eq!((report.in_flight, report.in_flight_max), (0, 2));
    }

    #[test]
    fn arrivals_are_told_since_the_reset() {
        let mut tally = Tally::new(100);
        let left = tally.arrive(110, 7, None);
        let refused = tally.arrive(120, 8, None);
        tally.end(refused, 121, Ending::Refused, 429);
        tally.end(left, 150, Ending::Aborted, 200);

        let arrivals = tally.arrivals();

        let expected = ArrivalReport {
            at_us: 10,
            tokens: 7,
            ended_us: Some(50),
            refused: false,
            aborted: true,
            aborted_at_us: Some(50),
            status: None,
            request_id: None,
        };
        assert_eq!(arrivals[0], expected);
        assert!(arrivals[1].refused && !arrivals[1].aborted);
        assert_eq!(arrivals[1].status, Some(429));
    }

    #[test]
    fn what_arrived_in_the_last_minute_is_never_forgotten() {
        let mut tally = Tally::new(0);
        for arrival in 0..ARRIVALS_KEPT as u64 + 10 {
            tally.arrive(arrival, 1, None);
        }
        let last = tally.arrive(2 * MINUTE_US, 1, None);
        tally.end(last, 2 * MINUTE_US + 5, Ending::Answered, 200);

        let report = tally.report(3 * MINUTE_US);

        assert_eq!(report.worst_minute, ARRIVALS_KEPT as u64 + 10);
        let arrivals = tally.arrivals();
        assert_eq!(arrivals.len(), ARRIVALS_KEPT + 10);
        assert_eq!(arrivals.last().unwrap().ended_us, Some(2 * MINUTE_US + 5));
    }
}
