//! What a test measured, beside what it should be; and what all tests share.

use std::fmt::Display;
use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::{Mutex, MutexGuard};

static MACHINE: Mutex<()> = Mutex::const_new(());

/// Waits for the machine to itself: figures of two loads at once would tell of neither.
pub async fn alone() -> MutexGuard<'static, ()> {
    MACHINE.lock().await
}

/// Writes a line past the capture of the test runner, which hides what passing tests print.
pub fn say(line: &str) {
    // Nobody reads it: nothing to be done.
    writeln!(std::io::stderr().lock(), "{line}").ok();
}

/// Prints a measured figure beside its target.
pub fn figure(what: &str, value: impl Display, target: impl Display) {
    say(&format!("    {what}: {value} (target {target})"));
}

/// Prints what was measured for a row of `docs/faults.md`.
pub fn fault(row: u32, what: &str, value: impl Display, target: impl Display) {
    say(&format!(
        "    faults row {row}: {what}: {value} (target {target})"
    ));
}

/// The same, where the row's name says enough.
pub fn row(number: u32, value: impl Display, target: impl Display) {
    say(&format!(
        "    faults row {number}: {value} (target {target})"
    ));
}

/// Whether the long forms are wanted (`SLUICE_LONG=1`).
#[expect(
    clippy::disallowed_methods,
    reason = "a switch of the tests, not a setting of the product"
)]
pub fn is_long() -> bool {
    std::env::var("SLUICE_LONG").is_ok_and(|value| value == "1")
}

/// Microseconds since 1970, as the oracle's arrivals have them.
#[expect(
    clippy::disallowed_methods,
    reason = "compared with what another process saw"
)]
pub fn unix_us() -> i64 {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("it is after 1970");
    i64::try_from(elapsed.as_micros()).expect("it is before the year 294246")
}

/// The value below which the share `q` of `values` lies; 0 of nothing.
pub fn quantile(values: &mut [f64], q: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index within the slice"
    )]
    let index = (values.len().saturating_sub(1) as f64 * q).ceil() as usize;
    values.get(index).copied().unwrap_or_default()
}
