//! When each key's turn is: spread over the interval, so that providers do not see all of our keys at once.

use std::collections::HashMap;
use std::time::Duration;

use shared::config::{Config, Probe};
use tokio::time::Instant;

/// By the positions of provider and key in the configuration.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    /// With the interval that it was made for: another one makes another plan.
    turns: HashMap<(usize, usize), (Duration, Instant)>,
}

impl Schedule {
    /// Whose turn it is at `now`, as (provider, key); each gets its next turn one interval later.
    pub(super) fn due(&mut self, config: &Config, now: Instant) -> Vec<(usize, usize)> {
        let probed: Vec<(usize, usize, Duration)> = config
            .providers
            .iter()
            .enumerate()
            .filter(|(_, provider)| provider.health.probe != Probe::None)
            .flat_map(|(at, provider)| {
                let interval = provider.health.interval;
                (0..provider.keys.len()).map(move |key| (at, key, interval))
            })
            .collect();
        let n_probed = u32::try_from(probed.len()).unwrap_or(u32::MAX).max(1);
        self.turns
            .retain(|turn, (interval, _)| probed.contains(&(turn.0, turn.1, *interval)));

        let mut due = Vec::new();
        for (place, (provider, key, interval)) in (0..).zip(probed) {
            let (_, turn) = self
                .turns
                .entry((provider, key))
                .or_insert_with(|| (interval, now + interval * place / n_probed));
            if *turn <= now {
                due.push((provider, key));
                // Turns that were missed are not made up for, and the others' distance is kept.
                let n_missed = (now - *turn).as_nanos() / interval.as_nanos().max(1);
                *turn += interval * u32::try_from(n_missed + 1).unwrap_or(u32::MAX);
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use shared::config::Overrides;

    use super::*;

    fn config(interval: &str) -> Config {
        let yaml = format!(
            "
providers:
  - name: probed
    dialect: openai_chat
    base_url: http://127.0.0.1:1/v1
    keys: [{{ name: a, secret: a }}, {{ name: b, secret: b }}, {{ name: c, secret: c }}, {{ name: d, secret: d }}]
    health: {{ probe: models, interval: {interval} }}
  - name: unprobed
    dialect: openai_chat
    base_url: http://127.0.0.1:1/v1
    keys: [{{ name: e, secret: e }}]
    health: {{ probe: none }}
models:
  - {{ name: demo, upstreams: [{{ provider: probed }}, {{ provider: unprobed }}] }}
"
        );
        Config::from_yaml(&yaml, &Overrides::default(), std::iter::empty()).unwrap()
    }

    #[test]
    fn turns_are_spread_over_the_interval_and_come_again() {
        let config = config("8s");
        let mut schedule = Schedule::default();
        let began = Instant::now();

        let seconds = (0..12).map(|second| {
            let due = schedule.due(&config, began + Duration::from_secs(second));
            due.iter().map(|(_, key)| *key).collect::<Vec<_>>()
        });

        let expected: [&[usize]; 12] = [
            &[0],
            &[],
            &[1],
            &[],
            &[2],
            &[],
            &[3],
            &[],
            &[0],
            &[],
            &[1],
            &[],
        ];
        assert_eq!(seconds.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn turns_that_were_missed_are_not_made_up_for() {
        let config = config("1s");
        let mut schedule = Schedule::default();
        let began = Instant::now();
        schedule.due(&config, began);

        let late = schedule.due(&config, began + Duration::from_secs(60));
        let again = schedule.due(&config, began + Duration::from_millis(60_300));

        assert_eq!(late.len(), 4, "one each, whatever was missed");
        assert_eq!(again, [(0, 1)], "as far from the others as before");
    }
}
