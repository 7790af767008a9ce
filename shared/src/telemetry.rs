//! Logs: JSON lines or text, to standard error. Never bodies, keys or prompts.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{Layer as _, fmt};

use crate::config::{LogFormat, Telemetry};

/// Why a `telemetry.level` is no filter.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    #[error("`{0}` is no level")]
    NoLevel(String),
    #[error("{0}")]
    Unreadable(ParseError),
}

/// Sends this process's logs where the configuration says; once per process.
///
/// # Errors
///
/// Logs go somewhere already. A level that is no filter counts as `info`: the configuration has refused it before.
pub fn init(telemetry: &Telemetry) -> Result<(), TryInitError> {
    let filter = filter(&telemetry.level)
        .unwrap_or_else(|_| Targets::new().with_default(tracing::Level::INFO));
    // At `trace` it prints all that it signs, a session's token included.
    let filter = filter.with_target("aws_sigv4", LevelFilter::WARN);
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match telemetry.log {
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .boxed(),
        LogFormat::Text => lines.with_target(false).boxed(),
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .try_init()
}

/// Reads `info`, or a list as `warn,router=debug`.
///
/// # Errors
///
/// A word alone that is no level: `tracing` would take it for a part of the program, and log everything from there.
pub fn filter(level: &str) -> Result<Targets, FilterError> {
    for word in level.split(',').map(str::trim) {
        // An empty word would be read as `error`.
        let is_level = !word.is_empty() && word.parse::<LevelFilter>().is_ok();
        let is_rule = word.split_once('=').is_some();
        if !is_level && !is_rule {
            return Err(FilterError::NoLevel(word.to_owned()));
        }
    }
    level.parse().map_err(FilterError::Unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_level_is_no_filter() {
        assert!(filter("info").is_ok());
        assert!(filter("warn,router=debug").is_ok());
        assert!(filter("off").is_ok());

        assert!(filter("inof").is_err());
        assert!(filter("router=inof").is_err());
        assert!(filter("").is_err());
    }
}
