//! What replicas wrote down of their store operations, put into the store's own order.

use std::path::Path;

use shared::state::protocol::Grant;
use shared::state::replay::Recorded;

/// What one tick of the store gave and took of one pair of candidates, whoever asked.
#[derive(Clone, Copy, Debug, Default)]
struct Change {
    released_first: u64,
    granted_first: u64,
    granted_second: u64,
}

/// The operations of one recorder, in its own order; a last line that was cut short is left out.
pub fn read(path: &Path) -> Vec<Recorded> {
    let text = std::fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("`{}`: {error}", path.display()));
    let (whole, _cut) = text.rsplit_once('\n').unwrap_or_default();
    whole
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// All grants, in the order of the ticks that made them.
///
/// A grant by mail is told of by a later tick of its own replica; it names the tick that made it.
pub fn grants(records: &[Recorded]) -> Vec<&Grant> {
    let mut grants = Vec::new();
    for record in records {
        if let Recorded::Tick { reply, .. } = record {
            grants.extend(reply.grants.iter().chain(&reply.mail.grants));
        }
    }
    grants.sort_by_key(|grant| grant.tick);
    grants
}

/// How far the picks stray from their shares, in picks, looked at after each tick of the store.
pub fn worst_deviation(grants: &[&Grant], weights: &[f64]) -> f64 {
    let total: f64 = weights.iter().sum();
    let mut counts = vec![0.0; weights.len()];
    let mut n_picks = 0.0;
    let mut worst = 0.0_f64;
    for (index, grant) in grants.iter().enumerate() {
        counts[grant.candidate.position()] += 1.0;
        n_picks += 1.0;
        let is_last_of_tick = grants
            .get(index + 1)
            .is_none_or(|next| next.tick != grant.tick);
        if is_last_of_tick {
            for (count, weight) in counts.iter().zip(weights) {
                worst = worst.max((count - n_picks * weight / total).abs());
            }
        }
    }
    worst
}

/// How many ticks granted candidate 1 although candidate 0, of `slots`, had room left.
///
/// A tick releases before it grants, so whoever had room during its grants has room after them.
pub fn overlooked_rooms(records: &[Recorded], slots: u64) -> usize {
    let mut changes = std::collections::BTreeMap::<u64, Change>::new();
    for record in records {
        if let Recorded::Tick { operations, .. } = record {
            let of_first = operations
                .releases
                .iter()
                .filter(|release| release.candidate.position() == 0);
            let change = changes.entry(record.tick()).or_default();
            change.released_first += of_first.count() as u64;
        }
    }
    for grant in grants(records) {
        let change = changes.entry(grant.tick).or_default();
        match grant.candidate.position() {
            0 => change.granted_first += 1,
            _ => change.granted_second += 1,
        }
    }

    let mut held = 0;
    let mut n_overlooked = 0;
    for change in changes.values() {
        held = held + change.granted_first - change.released_first;
        if change.granted_second > 0 && held < slots {
            n_overlooked += 1;
        }
    }
    n_overlooked
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tick(number: u64, releases: &[u32], grants: &[u32]) -> Recorded {
        let release = |candidate: &u32| {
            json!({
                "model": 0, "candidate": candidate, "callers": [], "reserved": 0, "granted_at": 0, "tokens": 0,
                "outcome": 1, "first_byte_us": 1, "token_us": 1, "retry_ms": 0, "reported": [],
            })
        };
        let grant = |candidate: &u32| {
            json!({
                "ticket": 1, "candidate": candidate, "number": 1, "granted_at": 0, "tick": number, "remaining": [],
            })
        };
        let record = json!({
            "op": "tick", "session": "one", "seq": number, "version": 1,
            "operations": { "releases": releases.iter().map(release).collect::<Vec<_>>(), "cancels": [], "acquires": [] },
            "reply": {
                "status": 0, "tick": number, "now": 0, "wall": 0, "generation": 0, "base": 0, "last": 0,
                "grants": grants.iter().map(grant).collect::<Vec<_>>(),
            },
        });
        serde_json::from_value(record).unwrap()
    }

    #[test]
    fn picks_in_turn_stray_by_half_a_pick() {
        let ticks: Vec<Recorded> = (0..100)
            .map(|number| tick(number, &[], &[(number % 2) as u32]))
            .collect();

        let deviation = worst_deviation(&grants(&ticks), &[1.0, 1.0]);

        assert!((deviation - 0.5).abs() < 1e-9, "{deviation}");
    }

    #[test]
    fn a_second_key_that_is_granted_too_early_is_found() {
        let full = [
            tick(1, &[], &[0, 0]),
            tick(2, &[], &[1]),
            tick(3, &[0], &[0, 1]),
        ];
        let early = [tick(1, &[], &[0, 0]), tick(2, &[0], &[1])];

        assert_eq!(overlooked_rooms(&full, 2), 0);
        assert_eq!(overlooked_rooms(&early, 2), 1);
    }
}
