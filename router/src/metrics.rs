//! Every metric of the data plane: its name, unit, labels and help.
//!
//! What the session counts (leases, queue, ticks) is rendered when somebody asks, from its own numbers.

mod session;

use std::sync::OnceLock;

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use shared::ids::{KeyName, ModelName, ProviderName};
use shared::lease::Outcome;

use crate::pipeline::report::Report;
use crate::upstream::FailureClass;
pub(crate) use session::{render_session, render_store};

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
/// By class: the same over all providers, for dashboards and alarms.
const UPSTREAM_FAILURES: &str = "sluice_upstream_failures_total";
/// By the class of the failure before.
const RETRIES: &str = "sluice_retries_total";
/// Requests whose next attempt the cluster's retry budget did not allow.
const RETRIES_OVER_BUDGET: &str = "sluice_retries_over_budget_total";
/// By reason and limit (`scope kind/limit kind`).
const REFUSALS: &str = "sluice_refusals_total";
/// Tokens that providers reported, by model and direction.
const TOKENS: &str = "sluice_tokens_total";
/// 1: the file has changed, and what it says now is refused.
const CONFIG_REJECTED: &str = "sluice_config_rejected";
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
    describe_counter!(UPSTREAM_FAILURES, "Failed attempts upstream, by class");
    describe_counter!(RETRIES, "Attempts after a failed one, by its class");
    describe_counter!(
        RETRIES_OVER_BUDGET,
        "Retries that the cluster's budget did not allow"
    );
    describe_counter!(REFUSALS, "Requests refused, by reason and limit");
    describe_counter!(TOKENS, "Tokens reported by providers, by direction");
    describe_gauge!(
        CONFIG_REJECTED,
        "Whether the changed file is refused and the last good one stays"
    );
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
        Outcome::Unreachable => "unreachable",
        Outcome::Exhausted => "exhausted",
        Outcome::Probed => "probed",
    };
    counter!(UPSTREAM_ATTEMPTS, "provider" => provider.to_string(), "key" => key.to_string(), "outcome" => outcome)
        .increment(1);
}

pub(crate) fn config_rejected(is_rejected: bool) {
    gauge!(CONFIG_REJECTED).set(u8::from(is_rejected));
}

pub(crate) fn upstream_failed(class: FailureClass) {
    counter!(UPSTREAM_FAILURES, "class" => class.name()).increment(1);
}

/// Another attempt was granted; `reason` is why the last one failed.
pub(crate) fn retried(reason: FailureClass) {
    counter!(RETRIES, "reason" => reason.name()).increment(1);
}

pub(crate) fn retry_over_budget() {
    counter!(RETRIES_OVER_BUDGET).increment(1);
}

/// `limit` is `scope kind/limit kind`, empty where no limit refused.
pub(crate) fn refused(reason: &'static str, limit: String) {
    counter!(REFUSALS, "reason" => reason, "limit" => limit).increment(1);
}
