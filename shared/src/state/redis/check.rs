//! What a Redis must be like before Sluice trusts it with limits; each refusal names its remedy.

use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisError};

use crate::state::keys;

/// The first version with `#!lua` scripts.
pub const REQUIRED_VERSION: (u32, u32) = (7, 0);

const OWN: &str = "unfit for shared state";

/// Refuses a server that is too old, or that would evict counters when memory runs short.
pub(super) async fn server(connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
    let info: String = redis::cmd("INFO")
        .arg("server")
        .arg("memory")
        .query_async(connection)
        .await?;
    let field = |name: &str| {
        info.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(str::trim)
            .unwrap_or_default()
    };
    let is_valkey = !field("valkey_version").is_empty();
    let version = field("redis_version");
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if !is_valkey && found < REQUIRED_VERSION {
        return Err(unfit(format!(
            "Redis {version} is too old; use Redis 7.0 or later, or Valkey"
        )));
    }
    let policy = field("maxmemory_policy");
    if !policy.is_empty() && policy != "noeviction" {
        return Err(unfit(format!(
            "Redis evicts keys when memory is full (maxmemory-policy `{policy}`), which would forget who holds what; set \
             `maxmemory-policy noeviction`"
        )));
    }
    // A user without this right would only notice by slow hand-overs.
    redis::cmd("PUBLISH")
        .arg(format!("{}probe", keys::channel_prefix()))
        .arg("")
        .exec_async(connection)
        .await
}

fn unfit(detail: String) -> RedisError {
    RedisError::from((ErrorKind::Client, OWN, detail))
}

/// Whether an error is one of this file's.
pub(super) fn is_own(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Client && error.to_string().contains(OWN)
}

/// What a restricted Redis user lacks, and the ACL line that gives it.
pub(super) fn acl_remedy(error: &RedisError) -> String {
    format!(
        "the Redis user may not do all that Sluice needs ({}); grant it: ACL SETUSER <name> ~sluice:1:* &sluice:1:* \
         +evalsha +eval +script|load +info +time +subscribe +unsubscribe +publish +multi +exec +ping +unwatch +hello +client +@hash \
         +@sortedset +@string +bitfield +del",
        error.detail().unwrap_or("NOPERM")
    )
}
