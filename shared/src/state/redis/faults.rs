//! What an error of Redis, or of the way to it, means: its cause, words without secrets, and whether trying again may help.

use std::error::Error;
use std::io;
use std::sync::Arc;

use redis::{ErrorKind, RedisError, ServerErrorKind};
use rustls::CertificateError;

use super::check;
use crate::state::StateError;
use crate::state::trouble::{Cause, Trouble};

/// `Refused` where only an operator can help; a session that runs tries again all the same.
pub(super) fn trouble_of(error: &RedisError) -> StateError {
    let refused = |cause, sentence: &str| {
        StateError::Refused(Trouble::new(cause, format!("`state`: {sentence}")))
    };
    let detail = error.detail().unwrap_or_default();
    match cause_of(error) {
        Cause::Auth => refused(
            Cause::Auth,
            "Redis refused the user or password; check them in the URL (redis://user:password@host:port)",
        ),
        Cause::NoPerm => check::lacks(if detail.is_empty() { "NOPERM" } else { detail }),
        Cause::Tls => refused(Cause::Tls, &tls_sentence(error)),
        Cause::Unfit if error.kind() == ErrorKind::RESP3NotSupported => refused(
            Cause::Unfit,
            "this Redis is too old; use Redis 7.0 or later, or Valkey",
        ),
        Cause::Unfit => refused(Cause::Unfit, &error.to_string()),
        cause @ (Cause::Timeout | Cause::Unreachable | Cause::Dropped | Cause::Garbage) => {
            StateError::Away(Trouble::new(cause, error.to_string()))
        }
        cause => StateError::Away(Trouble::new(cause, said(error))),
    }
}

/// An answer that is none, which no connection survives.
pub(super) fn garbage(what: impl std::fmt::Display) -> StateError {
    StateError::Away(Trouble::new(
        Cause::Garbage,
        format!("Redis answered what is no answer: {what}"),
    ))
}

/// Whether a fresh connection may answer better; one whose server refuses each of them would only be asked more.
pub(super) fn is_helped_by_reconnecting(error: &RedisError) -> bool {
    !matches!(
        cause_of(error),
        Cause::Busy
            | Cause::OutOfMemory
            | Cause::Misconfigured
            | Cause::NoReplicas
            | Cause::Loading
    )
}

fn cause_of(error: &RedisError) -> Cause {
    match error.code() {
        Some("LOADING") => return Cause::Loading,
        Some("READONLY") => return Cause::ReadOnly,
        Some("MASTERDOWN") => return Cause::MasterDown,
        Some("NOREPLICAS") => return Cause::NoReplicas,
        Some("BUSY") => return Cause::Busy,
        Some("OOM") => return Cause::OutOfMemory,
        Some("MISCONF") => return Cause::Misconfigured,
        Some("NOAUTH" | "WRONGPASS") => return Cause::Auth,
        Some("NOPERM") => return Cause::NoPerm,
        _ => {}
    }
    // What arises within a script keeps its first word only in the text.
    let text = error.to_string();
    match error.kind() {
        ErrorKind::AuthenticationFailed => Cause::Auth,
        ErrorKind::InvalidClientConfig | ErrorKind::RESP3NotSupported => Cause::Unfit,
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType => Cause::Garbage,
        ErrorKind::Server(ServerErrorKind::ResponseError)
            if text.contains("max number of clients") =>
        {
            Cause::MaxClients
        }
        ErrorKind::Server(ServerErrorKind::ResponseError)
            if text.contains("DB index is out of range") =>
        {
            Cause::Unfit
        }
        _ if tls_error(error).is_some() => Cause::Tls,
        _ if error.is_timeout() => Cause::Timeout,
        _ if error.is_connection_refusal() => Cause::Unreachable,
        _ if error.is_connection_dropped() => Cause::Dropped,
        ErrorKind::Io => Cause::Unreachable,
        _ => Cause::Other,
    }
}

/// What Redis said, its own word first.
fn said(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        _ => error.to_string(),
    }
}

fn tls_error(error: &RedisError) -> Option<&rustls::Error> {
    let shared = error
        .source()?
        .downcast_ref::<Arc<dyn Error + Send + Sync>>()?;
    let io = shared.downcast_ref::<io::Error>()?;
    io.get_ref()?.downcast_ref::<rustls::Error>()
}

fn tls_sentence(error: &RedisError) -> String {
    let Some(error) = tls_error(error) else {
        return format!("TLS failed: {error}");
    };
    match error {
        rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => "the certificate of Redis has expired; renew it on the server".into(),
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => format!("{error}; write a host in the URL that the certificate of Redis names"),
        rustls::Error::InvalidCertificate(reason) => format!(
            "the certificate of Redis is not trusted ({reason:?}); give the authority that signed it as `state_tls.ca`"
        ),
        rustls::Error::AlertReceived(alert) => format!(
            "Redis refused the TLS connection ({alert:?}); if it asks for client certificates, give `state_tls.certificate` \
             and `state_tls.key`, signed by an authority that it trusts"
        ),
        rustls::Error::InvalidMessage(_) => not_tls(),
        other => format!("TLS failed: {other}"),
    }
}

/// What to say of a server that answers in plain text where `rediss://` was written.
pub(super) fn not_tls() -> String {
    "Redis does not speak TLS on this port; name its `tls-port`, or write redis:// if the network may see everything".into()
}

#[cfg(test)]
mod tests {
    use redis::Value;

    use super::*;

    /// The error that a client makes of a server's error line.
    fn server_error(line: &str) -> RedisError {
        redis::parse_redis_value(format!("-{line}\r\n").as_bytes())
            .and_then(Value::extract_error)
            .unwrap_err()
    }

    #[track_caller]
    fn check(line: &str, cause: Cause, is_refused: bool, is_helped: bool) {
        let error = server_error(line);
        let told = trouble_of(&error);

        assert_eq!(told.trouble().cause, cause, "{line}");
        assert_eq!(matches!(told, StateError::Refused(_)), is_refused, "{line}");
        assert_eq!(is_helped_by_reconnecting(&error), is_helped, "{line}");
    }

    #[test]
    fn every_refusal_of_redis_has_its_cause() {
        check(
            "LOADING Redis is loading the dataset in memory",
            Cause::Loading,
            false,
            false,
        );
        check(
            "READONLY You can't write against a read only replica.",
            Cause::ReadOnly,
            false,
            true,
        );
        check(
            "MASTERDOWN Link with MASTER is down",
            Cause::MasterDown,
            false,
            true,
        );
        check(
            "NOREPLICAS Not enough good replicas to write.",
            Cause::NoReplicas,
            false,
            false,
        );
        check(
            "BUSY Redis is busy running a script.",
            Cause::Busy,
            false,
            false,
        );
        check(
            "OOM command not allowed when used memory > 'maxmemory'.",
            Cause::OutOfMemory,
            false,
            false,
        );
        check(
            "MISCONF Redis is configured to save RDB snapshots",
            Cause::Misconfigured,
            false,
            false,
        );
        check(
            "ERR max number of clients reached",
            Cause::MaxClients,
            false,
            true,
        );
        check("NOAUTH Authentication required.", Cause::Auth, true, true);
        check(
            "WRONGPASS invalid username-password pair or user is disabled.",
            Cause::Auth,
            true,
            true,
        );
        check(
            "NOPERM this user has no permissions to run the 'evalsha' command",
            Cause::NoPerm,
            true,
            true,
        );
        check("ERR DB index is out of range", Cause::Unfit, true, true);
        check("ERR something new", Cause::Other, false, true);
    }

    #[test]
    fn faults_of_the_way_are_told_apart() {
        let of = |kind: io::ErrorKind| cause_of(&RedisError::from(io::Error::from(kind)));

        assert_eq!(of(io::ErrorKind::TimedOut), Cause::Timeout);
        assert_eq!(of(io::ErrorKind::ConnectionRefused), Cause::Unreachable);
        assert_eq!(of(io::ErrorKind::ConnectionReset), Cause::Dropped);
        assert_eq!(of(io::ErrorKind::BrokenPipe), Cause::Dropped);
        let garbage = redis::parse_redis_value(b"!\x00\xff\r\n").unwrap_err();
        assert_eq!(cause_of(&garbage), Cause::Garbage);
    }

    #[test]
    fn tls_faults_name_their_remedy() {
        let told = |error: rustls::Error| {
            let io = io::Error::new(io::ErrorKind::InvalidData, error);
            trouble_of(&RedisError::from(io)).to_string()
        };

        let unknown = told(rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer,
        ));
        let expired = told(rustls::Error::InvalidCertificate(CertificateError::Expired));

        assert!(unknown.contains("`state_tls.ca`"), "{unknown}");
        assert!(expired.contains("has expired"), "{expired}");
    }
}
