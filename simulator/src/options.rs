//! What a simulator is started with; each field is a flag of `sluice simulate`.

use std::net::SocketAddr;
use std::num::ParseIntError;
use std::str::FromStr;
use std::time::Duration;

use http::StatusCode;
use shared::catalog::Limits;

/// How the simulated provider behaves, until `PUT /behaviour/{key}` says otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// From a request's arrival to its first byte.
    pub first_byte: Duration,
    /// `first_byte` varies by as much, up and down.
    pub jitter: Duration,
    /// The pace after the first byte; 0 is at once.
    pub tokens_per_second: f64,
    /// Tokens in each answer, unless the request allows fewer.
    pub tokens: u32,
    /// The share of requests that fail, 0 to 1.
    pub error_rate: f64,
    /// How they fail.
    pub error_kind: ErrorKind,
    /// Makes every chance repeatable: which requests fail, and how long each takes.
    pub seed: Option<u64>,
    /// Ends the connection abruptly after that many content chunks.
    pub cut_after: Option<u32>,
    /// Resets the connection after that many content chunks.
    pub reset_after: Option<u32>,
    /// Ends a stream in good order after that many content chunks, but without its finish.
    pub end_after: Option<u32>,
    /// Ends a stream with an error event after that many content chunks.
    pub error_after: Option<u32>,
    /// Goes silent after that many content chunks, until the client leaves.
    pub stall_after: Option<u32>,
    /// Closes a connection that has been idle for so long.
    pub idle_close: Option<Duration>,
    /// Leaves a new connection alone for so long.
    pub accept_delay: Duration,
    /// A second address to answer on, which `PUT /listener` closes and opens.
    pub second_listen: Option<SocketAddr>,
    /// The keys that are accepted, with their limits; none means any key, without limits.
    pub keys: Vec<KeyRule>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            first_byte: Duration::from_millis(50),
            jitter: Duration::from_millis(10),
            tokens_per_second: 200.0,
            tokens: 50,
            error_rate: 0.0,
            error_kind: ErrorKind::Status(StatusCode::INTERNAL_SERVER_ERROR),
            seed: None,
            cut_after: None,
            reset_after: None,
            end_after: None,
            error_after: None,
            stall_after: None,
            idle_close: None,
            accept_delay: Duration::ZERO,
            second_listen: None,
            keys: Vec::new(),
        }
    }
}

/// How an injected failure looks to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// This status with an OpenAI error body; 429 comes with `Retry-After`.
    Status(StatusCode),
    /// The TCP connection is reset instead of an answer.
    Reset,
    /// Status 502 with the HTML page of a proxy in between.
    Html,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a kind of error: use an error status as `500` or `429`, or `reset` or `html`"
)]
pub struct InvalidErrorKind(String);

impl FromStr for ErrorKind {
    type Err = InvalidErrorKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "reset" => Ok(Self::Reset),
            "html" => Ok(Self::Html),
            status => match status.parse::<StatusCode>() {
                Ok(status) if status.is_client_error() || status.is_server_error() => {
                    Ok(Self::Status(status))
                }
                _ => Err(InvalidErrorKind(text.to_owned())),
            },
        }
    }
}

/// An accepted key and what the simulated provider allows it: `SECRET[:LIMIT=NUMBER[,LIMIT=NUMBER]…]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRule {
    pub secret: String,
    pub limits: Limits,
}

/// Why a key rule cannot be read. It never repeats the secret.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeyRule {
    #[error("a key rule begins with the secret, as in `sk-1:concurrency=10,rpm=60`")]
    NoSecret,
    #[error("`{0}` is not a limit: write `name=number`, as in `rpm=60`")]
    NoNumber(String),
    #[error(
        "`{0}` is not a limit: use `concurrency`, `qps`, `rpm`, `tpm`, `rpd` or `tpd`, after one colon"
    )]
    UnknownLimit(String),
    #[error("`{name}={value}` is not a limit: {source}")]
    InvalidNumber {
        name: String,
        value: String,
        source: ParseIntError,
    },
    #[error("`{0}` is given twice")]
    Repeated(String),
}

impl FromStr for KeyRule {
    type Err = InvalidKeyRule;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (secret, settings) = match text.split_once(':') {
            Some((secret, settings)) => (secret, Some(settings)),
            None => (text, None),
        };
        if secret.is_empty() {
            return Err(InvalidKeyRule::NoSecret);
        }

        let mut limits = Limits::default();
        for setting in settings
            .into_iter()
            .flat_map(|settings| settings.split(','))
        {
            let Some((name, value)) = setting.split_once('=') else {
                return Err(InvalidKeyRule::NoNumber(setting.to_owned()));
            };
            match name {
                "concurrency" => set(&mut limits.concurrency, name, value)?,
                "qps" => set(&mut limits.qps, name, value)?,
                "rpm" => set(&mut limits.rpm, name, value)?,
                "tpm" => set(&mut limits.tpm, name, value)?,
                "rpd" => set(&mut limits.rpd, name, value)?,
                "tpd" => set(&mut limits.tpd, name, value)?,
                _ => return Err(InvalidKeyRule::UnknownLimit(name.to_owned())),
            }
        }
        Ok(Self {
            secret: secret.to_owned(),
            limits,
        })
    }
}

fn set<N>(limit: &mut Option<N>, name: &str, value: &str) -> Result<(), InvalidKeyRule>
where
    N: FromStr<Err = ParseIntError>,
{
    if limit.is_some() {
        return Err(InvalidKeyRule::Repeated(name.to_owned()));
    }
    let number = value
        .parse()
        .map_err(|source| InvalidKeyRule::InvalidNumber {
            name: name.to_owned(),
            value: value.to_owned(),
            source,
        })?;
    *limit = Some(number);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_rule_reads_every_limit() {
        let rule: KeyRule = "sk-1:concurrency=10,qps=2,rpm=60,tpm=6000,rpd=7,tpd=8"
            .parse()
            .unwrap();

        assert_eq!(rule.secret, "sk-1");
        assert_eq!(
            rule.limits,
            Limits {
                concurrency: Some(10),
                qps: Some(2),
                rpm: Some(60),
                tpm: Some(6000),
                rpd: Some(7),
                tpd: Some(8),
            }
        );
    }

    #[test]
    fn a_key_rule_without_limits_is_a_key_without_limits() {
        let rule: KeyRule = "sk-1".parse().unwrap();

        assert!(rule.limits.is_unlimited());
    }

    #[track_caller]
    fn refused(text: &str, sentence: &str) {
        assert_eq!(text.parse::<KeyRule>().unwrap_err().to_string(), sentence);
    }

    #[test]
    fn a_wrong_key_rule_is_refused_with_what_to_write() {
        refused(
            ":rpm=1",
            "a key rule begins with the secret, as in `sk-1:concurrency=10,rpm=60`",
        );
        refused(
            "sk:rpm",
            "`rpm` is not a limit: write `name=number`, as in `rpm=60`",
        );
        refused(
            "sk:rps=1",
            "`rps` is not a limit: use `concurrency`, `qps`, `rpm`, `tpm`, `rpd` or `tpd`, after one colon",
        );
        refused(
            "sk:rpm=many",
            "`rpm=many` is not a limit: invalid digit found in string",
        );
        refused("sk:rpm=1,rpm=2", "`rpm` is given twice");
    }

    #[test]
    fn a_wrong_error_kind_is_refused_with_the_right_ones() {
        assert_eq!("reset".parse(), Ok(ErrorKind::Reset));
        assert!("529".parse::<ErrorKind>().is_ok());
        assert_eq!(
            "302".parse::<ErrorKind>().unwrap_err().to_string(),
            "`302` is not a kind of error: use an error status as `500` or `429`, or `reset` or `html`"
        );
    }
}
