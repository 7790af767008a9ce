//! Credentials → caller.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use shared::units::Priority;

use crate::fleet::{Caller, Fleet};
use crate::pipeline::problem::Problem;

/// Longer tokens are nobody's.
pub(crate) const TOKEN_MAX: usize = 4 * 1024;

/// What a request brought to show who sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credentials<'a> {
    Token(&'a [u8]),
    /// Nothing, nothing that can be read, or two that differ: never "try each".
    None,
}

/// Finds who asks.
///
/// Missing, malformed and unknown credentials are one and the same refusal, so that probing tells nothing.
pub(crate) fn authenticate<'a>(
    fleet: &'a Fleet,
    credentials: Credentials<'_>,
) -> Result<&'a Arc<Caller>, Problem> {
    if let Some(anonymous) = fleet.anonymous() {
        return Ok(anonymous);
    }
    let Credentials::Token(token) = credentials else {
        return Err(Problem::Unauthenticated);
    };
    if token.is_empty() || token.len() > TOKEN_MAX {
        return Err(Problem::Unauthenticated);
    }
    let digest = Sha256::digest(token);
    fleet.caller(&digest.into()).ok_or(Problem::Unauthenticated)
}

/// The request's priority: the client key's, or less where the client asks for less.
pub(crate) fn priority(caller: &Caller, asked: Option<&[u8]>) -> Result<Priority, Problem> {
    let Some(asked) = asked else {
        return Ok(caller.priority);
    };
    std::str::from_utf8(asked)
        .ok()
        .and_then(|asked| asked.trim().parse().ok())
        .and_then(Priority::try_new)
        .map(|asked| asked.min(caller.priority))
        .ok_or_else(|| {
            Problem::bad_request(
                "`x-sluice-priority` must be a whole number from 0 to 10.",
                None,
            )
        })
}

#[cfg(test)]
mod tests {
    use crate::fleet::tests::{TOKEN, config, fleet};

    use super::*;

    #[track_caller]
    fn check(credentials: Credentials<'_>, expected: Option<&str>) {
        let fleet = fleet(&config());

        let caller = authenticate(&fleet, credentials);

        let name = caller.ok().and_then(|caller| caller.name.clone());
        assert_eq!(
            name.as_ref().map(shared::ids::ClientKeyName::as_str),
            expected
        );
    }

    #[test]
    fn only_the_whole_token_is_a_credential() {
        check(Credentials::Token(TOKEN.as_bytes()), Some("search"));
        check(
            Credentials::Token(&TOKEN.as_bytes()[..TOKEN.len() - 1]),
            None,
        );
        check(Credentials::Token(b"' OR 1=1"), None);
        check(Credentials::Token(b"\0\xff"), None);
        check(Credentials::Token(b""), None);
        check(Credentials::Token(&[b'x'; TOKEN_MAX + 1]), None);
        check(Credentials::None, None);
    }

    #[test]
    fn without_client_keys_everybody_is_the_same_caller() {
        let mut config = config();
        config.client_keys.clear();
        let fleet = fleet(&config);

        let caller = authenticate(&fleet, Credentials::None).unwrap();

        assert_eq!(caller.name, None);
        assert_eq!(caller.rows, Some(Vec::new()));
    }

    #[test]
    fn a_priority_is_only_ever_lowered() {
        let fleet = fleet(&config());
        let caller = authenticate(&fleet, Credentials::Token(TOKEN.as_bytes())).unwrap();
        let level = |asked| priority(caller, asked).map(Priority::level).ok();

        assert_eq!(level(None), Some(5));
        assert_eq!(level(Some(b"2".as_slice())), Some(2));
        assert_eq!(level(Some(b"9".as_slice())), Some(5));
        assert_eq!(level(Some(b"11".as_slice())), None);
        assert_eq!(level(Some(b"-1".as_slice())), None);
        assert_eq!(level(Some(b"high".as_slice())), None);
    }
}
