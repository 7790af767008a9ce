//! What the session counts, in Prometheus's text format.

use std::fmt::{Display, Write as _};

use shared::state::session::{Session, Stats, TICK_SECONDS};
use shared::state::trouble::{Cause, StoreStatus};

/// Appends the session's numbers to a scrape.
pub(crate) fn render_session(session: &Session, text: &mut String) {
    render(&session.stats(), text);
}

/// Appends how this replica stands with the store; known before it has joined.
pub(crate) fn render_store(store: &StoreStatus, text: &mut String) {
    let mut page = Page(text);
    let (away, errors) = (store.away(), store.errors());
    page.head(
        "sluice_store_away",
        "1: the store does not answer, and this is why",
        "gauge",
    );
    for cause in Cause::ALL {
        page.line(
            &format!("sluice_store_away{{cause=\"{}\"}}", cause.name()),
            u8::from(away == Some(cause)),
        );
    }
    page.head(
        "sluice_store_errors_total",
        "Store calls that failed, by cause",
        "counter",
    );
    for cause in Cause::ALL {
        page.line(
            &format!("sluice_store_errors_total{{cause=\"{}\"}}", cause.name()),
            errors.get(&cause).unwrap_or(&0),
        );
    }
}

fn render(stats: &Stats, text: &mut String) {
    let mut page = Page(text);
    page.gauge(
        "sluice_leases",
        "Leases that this replica holds",
        stats.leases,
    );
    page.gauge(
        "sluice_queue_waiting",
        "Claims of this replica that wait",
        stats.waiting,
    );
    page.counter(
        "sluice_grants_total",
        "Leases granted to this replica's own ticks",
        stats.grants,
    );
    page.counter(
        "sluice_handed_over_total",
        "Leases handed over by another tick",
        stats.handed_over,
    );
    page.counter(
        "sluice_queued_total",
        "Claims that had to wait",
        stats.queued,
    );
    page.counter(
        "sluice_ticks_total",
        "Batches that the store executed",
        stats.ticks,
    );
    page.counter(
        "sluice_tick_operations_total",
        "Operations in all batches",
        stats.operations,
    );
    page.counter(
        "sluice_asserts_total",
        "Times that the store was told anew what is held",
        stats.asserts,
    );
    page.gauge(
        "sluice_store_sessions",
        "Sessions that the store knows",
        stats.sessions,
    );
    page.gauge(
        "sluice_store_epoch",
        "Logical milliseconds at which the store last began",
        stats.generation,
    );
    page.counter(
        "sluice_reclaimed_total",
        "Leases taken back from dead sessions, cluster-wide",
        stats.reclaimed,
    );
    page.counter(
        "sluice_anomalies_total",
        "Releases that nobody held, cluster-wide; always 0",
        stats.anomalies,
    );
    page.gauge(
        "sluice_catalog_version",
        "Version of the configuration in force that this replica goes by",
        stats.catalog_version,
    );
    page.gauge(
        "sluice_catalog_differs",
        "Whether this replica's file is not the configuration in force",
        u8::from(stats.catalog_differs),
    );

    page.head(
        "sluice_claims_refused_total",
        "Claims refused by the store, by reason and limit",
        "counter",
    );
    for ((reason, limit), count) in &stats.refusals {
        page.line(
            &format!("sluice_claims_refused_total{{reason=\"{reason}\",limit=\"{limit}\"}}"),
            count,
        );
    }

    page.head(
        "sluice_tick_duration_seconds",
        "From sending a batch to its reply",
        "histogram",
    );
    let mut n = 0;
    for (bucket, count) in stats.tick_times.iter().enumerate() {
        n += count;
        let bound = TICK_SECONDS
            .get(bucket)
            .map_or_else(|| "+Inf".to_owned(), f64::to_string);
        page.line(
            &format!("sluice_tick_duration_seconds_bucket{{le=\"{bound}\"}}"),
            n,
        );
    }
    page.line("sluice_tick_duration_seconds_sum", stats.tick_seconds_sum);
    page.line("sluice_tick_duration_seconds_count", n);
}

/// A page of metrics; writing to a string cannot fail.
struct Page<'a>(&'a mut String);

impl Page<'_> {
    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, help, "gauge");
        self.line(name, value);
    }

    fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, help, "counter");
        self.line(name, value);
    }

    fn head(&mut self, name: &str, help: &str, kind: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, value: impl Display) {
        let _ = writeln!(self.0, "{name} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_end_in_infinity() {
        let mut text = String::new();
        let stats = Stats {
            tick_times: [1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 1],
            ..Stats::default()
        };

        render(&stats, &mut text);

        assert!(
            text.contains("sluice_tick_duration_seconds_bucket{le=\"0.0005\"} 3\n"),
            "{text}"
        );
        assert!(
            text.contains("sluice_tick_duration_seconds_bucket{le=\"+Inf\"} 4\n"),
            "{text}"
        );
    }
}
