//! Rules for single values: addresses, durations, sizes, counts, weights, choices.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::Checker;
use crate::catalog::Limits;
use crate::config::error::Problem;
use crate::config::nearest::nearest;
use crate::config::numbers::{Number, Whole};
use crate::config::raw;

/// Beyond a day no request is worth waiting for, and adding to an instant can never overflow.
const DURATION_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The store's scripts count in doubles, which are exact up to here.
const TOKENS_PER_DAY_MAX: u64 = (1 << 53) - 1;

impl Checker<'_> {
    pub(super) fn address(&mut self, setting: &str, text: &str) -> SocketAddr {
        text.parse().unwrap_or_else(|_| {
            self.refuse(
                Problem::new(
                    setting,
                    "must be an IP address and a port",
                    "write `127.0.0.1:8080`, or `0.0.0.0:8080` for all interfaces",
                )
                .with_value(text),
            );
            (Ipv4Addr::LOCALHOST, 0).into()
        })
    }

    pub(super) fn duration(&mut self, setting: &str, text: &str) -> Duration {
        let parsed = humantime::parse_duration(text);
        let refusal = match parsed {
            Ok(duration) if duration.is_zero() => "must be longer than nothing",
            Ok(duration) if duration > DURATION_MAX => "must be at most 24h",
            Ok(duration) => return duration,
            Err(_) => "must be a duration with its unit",
        };
        self.refuse(
            Problem::new(setting, refusal, "write `250ms`, `30s` or `2m`").with_value(text),
        );
        DURATION_MAX
    }

    pub(super) fn size(&mut self, setting: &str, text: &str) -> usize {
        let parsed = text.parse().map(|bytesize::ByteSize(bytes)| bytes);
        let refusal = match parsed.map(usize::try_from) {
            Ok(Ok(0)) => "must be at least 1 byte",
            Ok(Ok(bytes)) => return bytes,
            Ok(Err(_)) => "must be a size that fits the memory",
            Err(_) => "must be a size",
        };
        self.refuse(
            Problem::new(setting, refusal, "write `32MiB`, or a number of bytes").with_value(text),
        );
        usize::MAX
    }

    /// 1 to `u32::MAX`.
    pub(super) fn at_least_one(&mut self, setting: &str, number: Whole) -> u32 {
        self.between(
            setting,
            number,
            1,
            u32::MAX.into(),
            "write a number in that range",
        )
        .try_into()
        .unwrap_or(u32::MAX)
    }

    /// `number`, where it lies within `min..=max`; else `min`, refused.
    pub(super) fn between(
        &mut self,
        setting: &str,
        Whole(number): Whole,
        min: u64,
        max: u64,
        remedy: &str,
    ) -> u64 {
        if (min..=max).contains(&number) {
            return number;
        }
        let rule = if number < min {
            format!("must be at least {min}")
        } else {
            format!("must be at most {max}")
        };
        self.refuse(Problem::new(setting, rule, remedy).with_value(number));
        min
    }

    pub(super) fn weight(&mut self, setting: &str, Number(weight): Number) -> f64 {
        if weight.is_finite() && weight > 0.0 {
            return weight;
        }
        self.refuse(
            Problem::new(
                setting,
                "must be a positive number",
                "leave it out for 1; take out what shall get nothing",
            )
            .with_value(weight),
        );
        1.0
    }

    /// 0 to 1.
    pub(super) fn share(&mut self, setting: &str, Number(share): Number) -> f64 {
        if (0.0..=1.0).contains(&share) {
            return share;
        }
        self.refuse(
            Problem::new(
                setting,
                "must be between 0 and 1",
                "write `0.2` for one in five",
            )
            .with_value(share),
        );
        0.0
    }

    pub(super) fn limits(&mut self, parent: &str, limits: &raw::Limits) -> Limits {
        let raw::Limits {
            concurrency,
            qps,
            rpm,
            tpm,
            rpd,
            tpd,
        } = limits;
        let mut limit = |name: &str, number: Option<Whole>, max: u64| {
            let setting = format!("{parent}.limits.{name}");
            let remedy = "leave it out for no limit";
            number.map(|number| self.between(&setting, number, 1, max, remedy))
        };
        let mut small = |name: &str, number: &Option<Whole>| {
            let number = limit(name, *number, u32::MAX.into())?;
            Some(u32::try_from(number).unwrap_or(u32::MAX))
        };
        Limits {
            concurrency: small("concurrency", concurrency),
            qps: small("qps", qps),
            rpm: small("rpm", rpm),
            tpm: small("tpm", tpm),
            rpd: small("rpd", rpd),
            tpd: limit("tpd", *tpd, TOKENS_PER_DAY_MAX),
        }
    }

    /// One of `choices`, which are not empty.
    pub(super) fn choice<T: Clone>(
        &mut self,
        setting: &str,
        text: &str,
        choices: &[(&str, T)],
    ) -> T {
        let chosen = choices.iter().find(|(name, _)| *name == text);
        if let Some((_, value)) = chosen {
            return value.clone();
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let remedy = match nearest(text, &names) {
            Some(name) => format!("did you mean `{name}`?"),
            None => "choose one of them".to_owned(),
        };
        let rule = format!("must be one of {}", names.join(", "));
        self.refuse(Problem::new(setting, rule, remedy).with_value(text));
        choices[0].1.clone()
    }
}
