//! What a Redis must be like before Sluice trusts it with limits; each refusal names its remedy.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::faults::trouble_of;
use crate::state::StateError;
use crate::state::trouble::{Cause, Trouble};

/// The first version with `#!lua` scripts.
pub const REQUIRED_VERSION: (u32, u32) = (7, 0);

/// The rights of a Redis user of Sluice's own, besides `on` and a password.
pub const ACL_RIGHTS: &str = "~sluice:1:* &sluice:1:* +evalsha +eval +script|load +info +time +subscribe +unsubscribe +publish \
                              +multi +exec +ping +unwatch +hello +client +select +@hash +@sortedset +@string +bitfield +del";

/// Refuses a server that is too old, that would evict counters when memory runs short, or that is no single primary.
pub(super) async fn server(connection: &mut MultiplexedConnection) -> Result<(), StateError> {
    // Without a section: versions before 7.0 do not take several.
    let info: String = redis::cmd("INFO")
        .query_async(connection)
        .await
        .map_err(|error| trouble_of(&error))?;
    judge(&info)
}

fn judge(info: &str) -> Result<(), StateError> {
    let field = |name: &str| {
        info.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(str::trim)
            .unwrap_or_default()
    };
    let unfit = |sentence: String| {
        Err(StateError::Refused(Trouble::new(
            Cause::Unfit,
            format!("`state`: {sentence}"),
        )))
    };
    let version = field("redis_version");
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let is_valkey = !field("valkey_version").is_empty();
    if !is_valkey && found < REQUIRED_VERSION {
        return unfit(format!(
            "Redis {version} is too old; use Redis 7.0 or later, or Valkey"
        ));
    }
    if field("cluster_enabled") == "1" {
        return unfit(
            "this Redis is a node of a Redis Cluster, which is not supported yet; use one server with `cluster-enabled no`".into(),
        );
    }
    let policy = field("maxmemory_policy");
    if !policy.is_empty() && policy != "noeviction" {
        return unfit(format!(
            "Redis evicts keys when memory is full (maxmemory-policy `{policy}`), which would forget who holds what; \
             run `CONFIG SET maxmemory-policy noeviction` there, and set it in redis.conf"
        ));
    }
    if field("role") == "slave" {
        // Not a wrong configuration for good: a fail-over may be on its way.
        let primary = format!("{}:{}", field("master_host"), field("master_port"));
        return Err(StateError::Away(Trouble::new(
            Cause::ReadOnly,
            format!(
                "`state`: this Redis is a replica of {primary}, and takes no writes; name the primary"
            ),
        )));
    }
    Ok(())
}

/// What a restricted Redis user lacks, and the ACL line that gives it.
pub(super) fn lacks(what: &str) -> StateError {
    StateError::Refused(Trouble::new(
        Cause::NoPerm,
        format!(
            "`state`: the Redis user may not do all that Sluice needs ({what}); grant it: ACL SETUSER <name> {ACL_RIGHTS}"
        ),
    ))
}

/// Whether a server that closes new connections says that it has too many.
///
/// It says so before it is asked anything, which a client that asks at once may never read.
pub(super) async fn has_too_many_clients(host: &str, port: u16) -> bool {
    let listen = async {
        let mut words = Vec::new();
        let stream = TcpStream::connect((host, port)).await?;
        stream.take(64).read_to_end(&mut words).await?;
        Ok::<_, std::io::Error>(words.starts_with(b"-ERR max number of clients"))
    };
    let heard = tokio::time::timeout(Duration::from_millis(100), listen).await;
    matches!(heard, Ok(Ok(true)))
}

/// Whether a server that did not answer a TLS greeting answers an unencrypted one: then it never will.
///
/// Nothing secret is said to it; this finds a reason, and is no way to connect.
pub(super) async fn speaks_plainly(host: &str, port: u16) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect((host, port)).await?;
        stream.write_all(b"PING\r\n").await?;
        let mut first = [0; 1];
        stream.read_exact(&mut first).await?;
        Ok::<_, std::io::Error>(matches!(first, [b'+' | b'-']))
    };
    let answered = tokio::time::timeout(Duration::from_millis(500), ask).await;
    matches!(answered, Ok(Ok(true)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIT: &str = "redis_version:7.0.15\r\nmaxmemory_policy:noeviction\r\nrole:master\r\ncluster_enabled:0\r\n";

    #[track_caller]
    fn check(info: &str, expected: Result<(), &str>) {
        let found = judge(info).map_err(|error| error.to_string());

        match (found, expected) {
            (Ok(()), Ok(())) => {}
            (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
            (found, expected) => panic!("{found:?} is not {expected:?}"),
        }
    }

    #[test]
    fn servers_that_cannot_hold_shared_state_are_told_apart() {
        check(FIT, Ok(()));
        check(&FIT.replace("7.0.15", "6.2.14"), Err("6.2.14 is too old"));
        check(
            &FIT.replace("7.0.15", "7.2.4\r\nvalkey_version:8.0.1"),
            Ok(()),
        );
        check(
            &FIT.replace("noeviction", "allkeys-lru"),
            Err("CONFIG SET maxmemory-policy noeviction"),
        );
        check(
            &FIT.replace("cluster_enabled:0", "cluster_enabled:1"),
            Err("`cluster-enabled no`"),
        );
        check(
            &FIT.replace(
                "role:master",
                "role:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:6379",
            ),
            Err("replica of 10.0.0.1:6379"),
        );
    }

    #[test]
    fn the_acl_line_in_the_manual_is_the_one_that_is_checked() {
        let manual = include_str!("../../../../docs/operations.md");

        assert!(manual.contains(ACL_RIGHTS), "{ACL_RIGHTS}");
    }
}
