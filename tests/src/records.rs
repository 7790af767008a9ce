//! What replicas wrote down of their store operations, put into the store's own order.

use std::path::Path;

use serde_json::Value;

/// The JSON lines of one recorder; a last line that was cut short is left out.
pub fn read(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("`{}`: {error}", path.display()));
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// All ticks of all replicas, by tick number.
pub fn in_store_order(records: Vec<Vec<Value>>) -> Vec<Value> {
    let mut ticks: Vec<Value> = records
        .into_iter()
        .flatten()
        .filter(|record| record["op"] == "tick" && record["tn"].is_u64())
        .collect();
    ticks.sort_by_key(|tick| tick["tn"].as_u64());
    ticks
}

/// A slot that was given, where the order of the list is the order in which the store gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    pub tick: u64,
    pub candidate: u64,
    /// The key's grant number.
    pub number: u64,
}

/// Every grant that replies tell of, in the order of the ticks that carried it.
///
/// A grant by mail is told of in a later tick than the one that made it; within one key, `number` is the true order.
pub fn grants(ticks: &[Value]) -> Vec<Grant> {
    let grant = |tick: &Value, grant: &Value| {
        Some(Grant {
            tick: tick["tn"].as_u64()?,
            candidate: grant[1].as_u64()?,
            number: grant[2].as_u64()?,
        })
    };
    ticks
        .iter()
        .flat_map(|tick| {
            let grants = tick["reply"]["grants"].as_array().into_iter().flatten();
            grants.filter_map(move |entry| grant(tick, entry))
        })
        .collect()
}

/// How far smooth weighted round robin strays, in picks: the most by which the count of any candidate differs from
/// its share at any time.
pub fn worst_deviation(picks: &[u64], weights: &[(u64, f64)]) -> f64 {
    let total: f64 = weights.iter().map(|(_, weight)| weight).sum();
    let mut worst = 0.0_f64;
    for (candidate, weight) in weights {
        let mut count = 0.0;
        for (index, pick) in picks.iter().enumerate() {
            if pick == candidate {
                count += 1.0;
            }
            let share = (index + 1) as f64 * weight / total;
            worst = worst.max((count - share).abs());
        }
    }
    worst
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picks_in_turn_stray_by_half_a_pick() {
        let picks: Vec<u64> = (0..100).map(|index| index % 2).collect();

        let deviation = worst_deviation(&picks, &[(0, 1.0), (1, 1.0)]);

        assert!((deviation - 0.5).abs() < 1e-9, "{deviation}");
    }
}
