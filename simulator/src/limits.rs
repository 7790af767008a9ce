//! A key's limits, held as a strict provider holds them: exact windows that slide over the arrivals.
//!
//! An arrival is in a window for the window's length, to the microsecond. All limits are checked, then all are charged;
//! what is refused is charged nowhere. Time comes in as microseconds that never go back.

use std::collections::VecDeque;

use shared::catalog::{LimitKind, Limits, WindowKind};

/// What one key has used of its limits.
#[derive(Debug)]
pub(crate) struct Meter {
    concurrency: Option<u32>,
    windows: Vec<Window>,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) limit: LimitKind,
    pub(crate) allowed: u64,
    pub(crate) used: u64,
    pub(crate) requested: u64,
    /// Until the windows have room; `None` if the request alone exceeds the limit.
    pub(crate) retry_after_us: Option<u64>,
}

/// What `x-ratelimit-*` headers tell of one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) allowed: u64,
    pub(crate) remaining: u64,
    /// Until the window is empty.
    pub(crate) reset_us: u64,
}

impl Meter {
    pub(crate) fn new(limits: &Limits) -> Self {
        let windows = limits
            .windows()
            .map(|(kind, allowed)| Window {
                kind,
                allowed,
                charges: VecDeque::new(),
                used: 0,
            })
            .collect();
        Self {
            concurrency: limits.concurrency,
            windows,
        }
    }

    /// Charges a request that arrives now, while `in_flight` others are running.
    pub(crate) fn admit(
        &mut self,
        now_us: u64,
        tokens: u32,
        in_flight: u32,
    ) -> Result<(), Refusal> {
        if let Some(slots) = self.concurrency
            && in_flight >= slots
        {
            return Err(Refusal {
                limit: LimitKind::Concurrency,
                allowed: slots.into(),
                used: in_flight.into(),
                requested: 1,
                // When a slot comes free is not known: a second is what providers say.
                retry_after_us: Some(1_000_000),
            });
        }
        let mut refusal: Option<Refusal> = None;
        for window in &mut self.windows {
            window.slide(now_us);
            if let Some(new) = window.refusal(now_us, tokens) {
                refusal = Some(match refusal {
                    Some(old) if old.outlasts(new) => old,
                    _ => new,
                });
            }
        }
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        for window in &mut self.windows {
            window.charge(now_us, tokens);
        }
        Ok(())
    }

    /// The standing of the first of `kinds` that is limited.
    pub(crate) fn standing(&mut self, now_us: u64, kinds: &[WindowKind]) -> Option<Standing> {
        let kind = kinds
            .iter()
            .find(|kind| self.windows.iter().any(|window| window.kind == **kind))?;
        let window = self
            .windows
            .iter_mut()
            .find(|window| window.kind == *kind)?;
        window.slide(now_us);
        Some(window.standing(now_us))
    }
}

impl Refusal {
    /// Whether it lasts at least as long as `other`; what never fits lasts longest.
    fn outlasts(self, other: Self) -> bool {
        match (self.retry_after_us, other.retry_after_us) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(others)) => own >= others,
        }
    }
}

#[derive(Debug)]
struct Window {
    kind: WindowKind,
    allowed: u64,
    /// (arrival, amount), oldest first.
    charges: VecDeque<(u64, u64)>,
    used: u64,
}

impl Window {
    fn slide(&mut self, now_us: u64) {
        while let Some(&(at_us, amount)) = self.charges.front()
            && at_us + length_us(self.kind) <= now_us
        {
            self.charges.pop_front();
            self.used -= amount;
        }
    }

    fn refusal(&self, now_us: u64, tokens: u32) -> Option<Refusal> {
        let requested = self.amount(tokens);
        let has_room = self.used + requested <= self.allowed;
        if has_room {
            return None;
        }
        Some(Refusal {
            limit: LimitKind::Window(self.kind),
            allowed: self.allowed,
            used: self.used,
            requested,
            retry_after_us: self.room_in_us(now_us, requested),
        })
    }

    fn room_in_us(&self, now_us: u64, requested: u64) -> Option<u64> {
        let mut used = self.used;
        for &(at_us, amount) in &self.charges {
            used -= amount;
            if used + requested <= self.allowed {
                return Some(at_us + length_us(self.kind) - now_us);
            }
        }
        None
    }

    fn charge(&mut self, now_us: u64, tokens: u32) {
        let amount = self.amount(tokens);
        self.charges.push_back((now_us, amount));
        self.used += amount;
    }

    fn standing(&self, now_us: u64) -> Standing {
        let reset_us = self
            .charges
            .back()
            .map_or(0, |&(at_us, _)| at_us + length_us(self.kind) - now_us);
        Standing {
            allowed: self.allowed,
            remaining: self.allowed.saturating_sub(self.used),
            reset_us,
        }
    }

    fn amount(&self, tokens: u32) -> u64 {
        if self.kind.counts_tokens() {
            tokens.into()
        } else {
            1
        }
    }
}

fn length_us(kind: WindowKind) -> u64 {
    match kind {
        WindowKind::Qps => 1_000_000,
        WindowKind::Rpm | WindowKind::Tpm => 60 * 1_000_000,
        WindowKind::Rpd | WindowKind::Tpd => 24 * 60 * 60 * 1_000_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn meter(rule: &str) -> Meter {
        let rule: crate::KeyRule = format!("sk:{rule}").parse().unwrap();
        Meter::new(&rule.limits)
    }

    #[test]
    fn an_arrival_leaves_the_window_after_exactly_its_length() {
        let mut meter = meter("qps=2");
        meter.admit(0, 1, 0).unwrap();
        meter.admit(400_000, 1, 0).unwrap();

        let refusal = meter.admit(SECOND - 1, 1, 0).unwrap_err();

        assert_eq!(refusal.limit, LimitKind::Window(WindowKind::Qps));
        assert_eq!((refusal.allowed, refusal.used), (2, 2));
        assert_eq!(refusal.retry_after_us, Some(1));
        meter.admit(SECOND, 1, 0).unwrap();
        assert_eq!(
            meter.admit(SECOND, 1, 0).unwrap_err().retry_after_us,
            Some(400_000)
        );
    }

    #[test]
    fn a_burst_across_the_minute_is_seen() {
        let mut meter = meter("rpm=10");
        for _ in 0..10 {
            meter.admit(59 * SECOND, 1, 0).unwrap();
        }

        let refused = meter.admit(61 * SECOND, 1, 0).unwrap_err();

        assert_eq!(refused.retry_after_us, Some(58 * SECOND));
    }

    #[test]
    fn tokens_wait_until_enough_old_ones_have_left() {
        let mut meter = meter("tpm=100");
        meter.admit(0, 30, 0).unwrap();
        meter.admit(10 * SECOND, 30, 0).unwrap();
        meter.admit(20 * SECOND, 30, 0).unwrap();

        let refused = meter.admit(30 * SECOND, 50, 0).unwrap_err();

        assert_eq!((refused.used, refused.requested), (90, 50));
        assert_eq!(refused.retry_after_us, Some(40 * SECOND));
    }

    #[test]
    fn a_request_above_the_limit_never_fits() {
        let refused = meter("tpm=100,rpm=1").admit(0, 101, 0).unwrap_err();

        assert_eq!(refused.retry_after_us, None);
    }

    #[test]
    fn a_refused_request_is_charged_nowhere() {
        let mut meter = meter("rpm=2,tpm=100");
        meter.admit(0, 90, 0).unwrap();
        meter.admit(0, 20, 0).unwrap_err();

        let standing = meter.standing(SECOND, &[WindowKind::Rpm]);

        let expected = Standing {
            allowed: 2,
            remaining: 1,
            reset_us: 59 * SECOND,
        };
        assert_eq!(standing, Some(expected));
        assert_eq!(meter.standing(SECOND, &[WindowKind::Tpd]), None);
    }

    #[test]
    fn slots_are_refused_beyond_the_concurrency() {
        let mut meter = meter("concurrency=2");
        meter.admit(0, 1, 1).unwrap();

        let refused = meter.admit(0, 1, 2).unwrap_err();

        assert_eq!(refused.limit, LimitKind::Concurrency);
    }
}
