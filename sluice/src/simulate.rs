//! `sluice simulate`.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use shared::config::{LogFormat, Telemetry};
use shared::{signals, telemetry};
use simulator::{ErrorKind, KeyRule, Options};
use tokio::net::TcpListener;

use crate::failure::Failure;

#[derive(Args)]
#[command(
    after_help = "While it runs, PUT /behaviour/KEY (or *) changes how a key is treated, PUT /listener how connections are \
                  taken; GET /oracle tells what arrived. docs/simulator.md lists every field."
)]
pub(crate) struct Arguments {
    /// Where to answer
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    #[command(flatten)]
    behaviour: Behaviour,
}

#[derive(Args)]
struct Behaviour {
    /// From a request's arrival to its first byte
    #[arg(long, value_name = "DURATION", default_value = "50ms", value_parser = humantime::parse_duration)]
    first_byte: Duration,
    /// How much the first byte varies, up and down
    #[arg(long, value_name = "DURATION", default_value = "10ms", value_parser = humantime::parse_duration)]
    jitter: Duration,
    /// The pace after the first byte; 0 is at once
    #[arg(long, value_name = "NUMBER", default_value_t = 200.0, value_parser = pace)]
    tokens_per_second: f64,
    /// Tokens in each answer, unless the request allows fewer
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    tokens: u32,
    /// The share of requests that fail, 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    error_rate: f64,
    /// How they fail: an error status, reset or html
    #[arg(long, value_name = "KIND", default_value = "500")]
    error_kind: ErrorKind,
    /// Make every chance repeatable: which requests fail, and how long each takes
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// End the connection abruptly after that many content chunks
    #[arg(long, value_name = "CHUNKS")]
    cut_after: Option<u32>,
    /// Reset the connection after that many content chunks
    #[arg(long, value_name = "CHUNKS")]
    reset_after: Option<u32>,
    /// End streams in good order, but without their finish, after that many content chunks
    #[arg(long, value_name = "CHUNKS")]
    end_after: Option<u32>,
    /// End streams with an error event after that many content chunks
    #[arg(long, value_name = "CHUNKS")]
    error_after: Option<u32>,
    /// Go silent after that many content chunks
    #[arg(long, value_name = "CHUNKS")]
    stall_after: Option<u32>,
    /// Close connections that have been idle for so long
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    idle_close: Option<Duration>,
    /// Leave a new connection alone for so long
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = humantime::parse_duration)]
    accept_delay: Duration,
    /// A second address to answer on, which `PUT /listener` closes and opens
    #[arg(long, value_name = "ADDRESS")]
    second_listen: Option<SocketAddr>,
    /// A key that is accepted, with its limits: SECRET:concurrency=10,rpm=60,tpm=6000; without any, all keys are
    #[arg(long = "key", value_name = "RULE")]
    keys: Vec<KeyRule>,
}

impl From<Behaviour> for Options {
    fn from(behaviour: Behaviour) -> Self {
        let Behaviour {
            first_byte,
            jitter,
            tokens_per_second,
            tokens,
            error_rate,
            error_kind,
            seed,
            cut_after,
            reset_after,
            end_after,
            error_after,
            stall_after,
            idle_close,
            accept_delay,
            second_listen,
            keys,
        } = behaviour;
        Self {
            first_byte,
            jitter,
            tokens_per_second,
            tokens,
            error_rate,
            error_kind,
            seed,
            cut_after,
            reset_after,
            end_after,
            error_after,
            stall_after,
            idle_close,
            accept_delay,
            second_listen,
            keys,
        }
    }
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { listen, behaviour } = arguments;
    let telemetry = Telemetry {
        log: LogFormat::Text,
        level: "info".to_owned(),
    };
    telemetry::init(&telemetry).context("cannot start logging")?;
    let shutdown = signals::shutdown().context("cannot listen to signals")?;
    let listener = bind(listen, "--listen").await?;
    simulator::serve(listener, behaviour.into(), shutdown.cancelled_owned())
        .await
        .context("the simulator failed")?;
    Ok(())
}

/// Listens on `address`, which was given by `flag`.
pub(crate) async fn bind(address: SocketAddr, flag: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|reason| {
        Failure::Refused(format!(
            "cannot listen on `{address}`: {reason}; choose another address with `{flag}`"
        ))
    })
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("must be a number from 0 to 1".to_owned()),
    }
}

fn pace(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(pace) if pace.is_finite() && pace >= 0.0 => Ok(pace),
        _ => Err("must be a number, 0 or more".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    #[test]
    fn the_flags_default_to_the_simulators_own_defaults() {
        let line = Line::parse_from(["simulate"]);

        let options = Options::from(line.arguments.behaviour);

        assert_eq!(options, Options::default());
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        for arguments in [
            ["simulate", "--error-rate", "1.1"],
            ["simulate", "--error-rate", "NaN"],
            ["simulate", "--tokens-per-second", "-1"],
            ["simulate", "--tokens-per-second", "inf"],
            ["simulate", "--error-kind", "302"],
            ["simulate", "--first-byte", "50"],
        ] {
            assert!(Line::try_parse_from(arguments).is_err(), "{arguments:?}");
        }
    }
}
