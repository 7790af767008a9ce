//! Every metric of the control plane: its name, unit, labels and help.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use shared::ids::{Fence, ProviderName};

/// 1: this process leads.
const IS_LEADER: &str = "sluice_coordinator_is_leader";
/// The fence of the last term of this process.
const FENCE: &str = "sluice_coordinator_fence";
/// By duty.
const DUTY_RUNS: &str = "sluice_coordinator_duty_runs_total";
/// By duty.
const DUTY_FAILURES: &str = "sluice_coordinator_duty_failures_total";
/// Seconds, by duty.
const DUTY_LAST_DURATION: &str = "sluice_coordinator_duty_last_duration_seconds";
/// By provider and outcome.
const PROBES: &str = "sluice_coordinator_probes_total";
/// By verdict.
const VERDICTS: &str = "sluice_coordinator_verdicts_total";
const PUBLISHES: &str = "sluice_coordinator_publishes_total";
const AUDIT_DIFFERENCES: &str = "sluice_coordinator_audit_differences_total";
/// 1: the file as it is now is refused.
const CONFIG_REJECTED: &str = "sluice_coordinator_config_rejected";

/// The process's recorder, where a coordinator has the process for itself; beside a router it is the router's.
pub(crate) fn recorder() -> Option<&'static PrometheusHandle> {
    static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    RECORDER
        .get_or_init(|| match PrometheusBuilder::new().install_recorder() {
            Ok(handle) => Some(handle),
            Err(error) => {
                tracing::warn!(%error, "No metrics: {error}");
                None
            }
        })
        .as_ref()
}

/// Tells what each metric means, and begins those that are worth an alert at 0.
pub(crate) fn describe() {
    describe_gauge!(IS_LEADER, "1: this process leads");
    describe_gauge!(FENCE, "The fence of this process's last term");
    describe_counter!(DUTY_RUNS, "Runs of a duty, by duty");
    describe_counter!(DUTY_FAILURES, "Runs of a duty that failed, by duty");
    describe_gauge!(
        DUTY_LAST_DURATION,
        Unit::Seconds,
        "How long a duty's last run took, by duty"
    );
    describe_counter!(PROBES, "Probes, by provider and outcome");
    describe_counter!(VERDICTS, "Verdicts on keys that probes led to, by verdict");
    describe_counter!(PUBLISHES, "Catalogs put in force");
    describe_counter!(
        AUDIT_DIFFERENCES,
        "Counters that an audit found wrong, and repaired"
    );
    describe_gauge!(CONFIG_REJECTED, "1: the file as it is now is refused");
    gauge!(IS_LEADER).set(0.0);
    gauge!(CONFIG_REJECTED).set(0.0);
    counter!(PUBLISHES).absolute(0);
    counter!(AUDIT_DIFFERENCES).absolute(0);
}

pub(crate) fn leads(fence: Option<Fence>) {
    gauge!(IS_LEADER).set(if fence.is_some() { 1.0 } else { 0.0 });
    if let Some(fence) = fence {
        // Milliseconds since 1970, or a little more: exact in a float for 285,000 years.
        #[expect(clippy::cast_precision_loss, reason = "see above")]
        gauge!(FENCE).set(fence.0 as f64);
    }
}

pub(crate) fn duty_ran(duty: &'static str, took: Duration, is_fine: bool) {
    counter!(DUTY_RUNS, "duty" => duty).increment(1);
    counter!(DUTY_FAILURES, "duty" => duty).increment(u64::from(!is_fine));
    gauge!(DUTY_LAST_DURATION, "duty" => duty).set(took.as_secs_f64());
}

pub(crate) fn probed(provider: &ProviderName, outcome: &'static str) {
    counter!(PROBES, "provider" => provider.to_string(), "outcome" => outcome).increment(1);
}

pub(crate) fn judged(verdict: &'static str) {
    counter!(VERDICTS, "verdict" => verdict).increment(1);
}

pub(crate) fn published() {
    counter!(PUBLISHES).increment(1);
}

pub(crate) fn audit_differed(differences: usize) {
    counter!(AUDIT_DIFFERENCES).increment(u64::try_from(differences).unwrap_or(u64::MAX));
}

pub(crate) fn config_rejected(is_rejected: bool) {
    gauge!(CONFIG_REJECTED).set(if is_rejected { 1.0 } else { 0.0 });
}
