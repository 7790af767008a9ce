//! Every metric of the data plane: its name, unit, labels and help.
//!
//! What the session counts (leases, queue, ticks) is rendered when somebody asks, from its own numbers.

use std::fmt::{Arguments, Display, Write as _};
use std::sync::OnceLock;

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use shared::ids::{KeyName, ModelName, ProviderName};
use shared::lease::Outcome;
use shared::state::session::{Stats, TICK_SECONDS};

use crate::pipeline::report::Report;

/// By endpoint, model, status and outcome; `model` is empty until it is known to exist.
const REQUESTS: &str = "sluice_requests_total";
/// Seconds from arrival to last byte, by endpoint and model.
const REQUEST_DURATION: &str = "sluice_request_duration_seconds";
/// Seconds from dispatch to first content byte, by model.
const FIRST_BYTE: &str = "sluice_first_byte_seconds";
/// Seconds from claim to grant or refusal, by model.
const QUEUE_WAIT: &str = "sluice_queue_wait_seconds";
/// Requests being answered.
const IN_FLIGHT: &str = "sluice_requests_in_flight";
/// By provider, key and outcome.
const UPSTREAM_ATTEMPTS: &str = "sluice_upstream_attempts_total";
/// By reason and limit (`scope kind/limit kind`).
const REFUSALS: &str = "sluice_refusals_total";
/// Tokens that providers reported, by model and direction.
const TOKENS: &str = "sluice_tokens_total";
/// Always 1; the version is a label.
const BUILD_INFO: &str = "sluice_build_info";

const SECONDS: [f64; 14] = [
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0,
];

/// The process's recorder, installed by whoever comes first; `None` where another program already has one.
pub(crate) fn recorder() -> Option<&'static PrometheusHandle> {
    static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    RECORDER
        .get_or_init(|| {
            let installed = PrometheusBuilder::new()
                .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
                .and_then(PrometheusBuilder::install_recorder);
            match installed {
                Ok(handle) => {
                    describe();
                    Some(handle)
                }
                Err(error) => {
                    tracing::warn!(%error, "No metrics: {error}");
                    None
                }
            }
        })
        .as_ref()
}

fn describe() {
    describe_counter!(REQUESTS, "Requests, by endpoint, model, status and outcome");
    describe_histogram!(REQUEST_DURATION, Unit::Seconds, "Arrival to last byte");
    describe_histogram!(FIRST_BYTE, Unit::Seconds, "Dispatch to first content byte");
    describe_histogram!(QUEUE_WAIT, Unit::Seconds, "Claim to grant or refusal");
    describe_gauge!(IN_FLIGHT, "Requests being answered");
    describe_counter!(
        UPSTREAM_ATTEMPTS,
        "Requests sent upstream, by provider, key and outcome"
    );
    describe_counter!(REFUSALS, "Requests refused, by reason and limit");
    describe_counter!(TOKENS, "Tokens reported by providers, by direction");
    describe_gauge!(BUILD_INFO, "Always 1; the version is a label");
    gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}

/// A request that is being answered.
#[derive(Debug)]
pub(crate) struct InFlight;

impl InFlight {
    pub(crate) fn begin() -> Self {
        gauge!(IN_FLIGHT).increment(1.0);
        Self
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        gauge!(IN_FLIGHT).decrement(1.0);
    }
}

pub(crate) fn request_ended(report: &Report) {
    let model = report
        .model
        .as_ref()
        .map_or_else(String::new, ModelName::to_string);
    let status = report.status.to_string();
    counter!(REQUESTS, "endpoint" => report.endpoint, "model" => model.clone(), "status" => status, "outcome" => report.end.name())
        .increment(1);
    histogram!(REQUEST_DURATION, "endpoint" => report.endpoint, "model" => model.clone())
        .record(report.elapsed());
    if let Some(queued) = report.queued {
        histogram!(QUEUE_WAIT, "model" => model.clone()).record(queued);
    }
    if let Some(first_byte) = report.first_byte {
        histogram!(FIRST_BYTE, "model" => model.clone()).record(first_byte);
    }
    if let Some(usage) = report.usage {
        counter!(TOKENS, "model" => model.clone(), "direction" => "prompt")
            .increment(u64::from(usage.prompt_tokens));
        counter!(TOKENS, "model" => model, "direction" => "completion")
            .increment(u64::from(usage.completion_tokens));
    }
}

pub(crate) fn attempt_ended(provider: &ProviderName, key: &KeyName, outcome: Outcome) {
    let outcome = match outcome {
        Outcome::Served => "served",
        Outcome::Unsent => "unsent",
        Outcome::ClientAbort => "client_abort",
        Outcome::BadRequest => "bad_request",
        Outcome::RateLimited => "rate_limited",
        Outcome::AuthFailed => "auth_failed",
        Outcome::Failed => "failed",
    };
    counter!(UPSTREAM_ATTEMPTS, "provider" => provider.to_string(), "key" => key.to_string(), "outcome" => outcome)
        .increment(1);
}

/// `limit` is `scope kind/limit kind`, empty where no limit refused.
pub(crate) fn refused(reason: &'static str, limit: String) {
    counter!(REFUSALS, "reason" => reason, "limit" => limit).increment(1);
}

/// Appends what the session counts, in Prometheus's text format.
pub(crate) fn render_session(stats: &Stats, text: &mut String) {
    let Stats {
        ticks,
        tick_errors,
        operations,
        tick_times,
        tick_seconds_sum,
        grants,
        handed_over,
        queued,
        refusals,
        leases,
        waiting,
        sessions,
        anomalies,
        reclaimed,
        generation,
        asserts,
        is_away,
        catalog_differs,
    } = stats;
    let mut page = Page(text);
    page.one(
        "sluice_leases",
        GAUGE,
        "Leases held at this replica",
        leases,
    );
    page.one(
        "sluice_queue_waiting",
        GAUGE,
        "Claims waiting at this replica",
        waiting,
    );
    page.one(
        "sluice_grants_total",
        COUNTER,
        "Leases granted to this replica",
        grants,
    );
    page.one(
        "sluice_grants_handed_over_total",
        COUNTER,
        "Grants that came from another replica's tick",
        handed_over,
    );
    page.one(
        "sluice_claims_queued_total",
        COUNTER,
        "Claims that had to wait",
        queued,
    );
    page.head(
        "sluice_claims_refused_total",
        COUNTER,
        "Claims refused, fail-over attempts included, by reason and limit",
    );
    for ((reason, limit), count) in refusals {
        page.line(format_args!(
            "sluice_claims_refused_total{{reason=\"{reason}\",limit=\"{limit}\"}} {count}"
        ));
    }
    page.one(
        "sluice_sessions",
        GAUGE,
        "Replicas in the cluster",
        sessions,
    );
    page.one(
        "sluice_anomalies",
        GAUGE,
        "Releases that no session held, over the cluster since the epoch began",
        anomalies,
    );
    page.one(
        "sluice_reclaimed",
        GAUGE,
        "Leases taken back from dead replicas, over the cluster since the epoch began",
        reclaimed,
    );
    page.one(
        "sluice_store_epoch",
        GAUGE,
        "Logical time at which the store last began or restarted",
        generation,
    );
    page.one(
        "sluice_store_away",
        GAUGE,
        "1 while the state store does not answer",
        u8::from(*is_away),
    );
    page.one(
        "sluice_catalog_differs",
        GAUGE,
        "1 while this replica's file is not what is in force",
        u8::from(*catalog_differs),
    );
    page.one(
        "sluice_asserts_total",
        COUNTER,
        "Times that this replica told the store what it holds",
        asserts,
    );
    page.one(
        "sluice_tick_errors_total",
        COUNTER,
        "Store calls that failed",
        tick_errors,
    );
    page.one(
        "sluice_tick_operations_total",
        COUNTER,
        "Operations carried by ticks; divided by the ticks it is the mean batch",
        operations,
    );
    page.head(
        "sluice_tick_seconds",
        "histogram",
        "Ticks by time from send to reply",
    );
    let mut count = 0;
    for (bound, times) in TICK_SECONDS.iter().zip(tick_times) {
        count += times;
        page.line(format_args!(
            "sluice_tick_seconds_bucket{{le=\"{bound}\"}} {count}"
        ));
    }
    page.line(format_args!(
        "sluice_tick_seconds_bucket{{le=\"+Inf\"}} {ticks}"
    ));
    page.line(format_args!("sluice_tick_seconds_sum {tick_seconds_sum}"));
    page.line(format_args!("sluice_tick_seconds_count {ticks}"));
}

const GAUGE: &str = "gauge";
const COUNTER: &str = "counter";

/// Prometheus's text format, line by line.
struct Page<'a>(&'a mut String);

impl Page<'_> {
    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.head(name, kind, help);
        self.line(format_args!("{name} {value}"));
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    fn line(&mut self, line: Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_session_counts_is_rendered_as_prometheus_reads_it() {
        let mut stats = Stats {
            ticks: 3,
            leases: 2,
            ..Stats::default()
        };
        stats.tick_times[0] = 1;
        stats.tick_times[1] = 1;
        stats.tick_times[10] = 1;
        stats.refusals.insert(("limit", "rpm"), 4);
        let mut text = String::new();

        render_session(&stats, &mut text);

        for line in [
            "# TYPE sluice_leases gauge",
            "sluice_leases 2",
            "sluice_claims_refused_total{reason=\"limit\",limit=\"rpm\"} 4",
            "sluice_tick_seconds_bucket{le=\"0.00025\"} 1",
            "sluice_tick_seconds_bucket{le=\"0.5\"} 2",
            "sluice_tick_seconds_bucket{le=\"+Inf\"} 3",
        ] {
            assert!(
                text.lines().any(|rendered| rendered == line),
                "{line}\n{text}"
            );
        }
    }
}
