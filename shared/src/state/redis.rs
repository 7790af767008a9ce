//! The shared state in Redis: marshal, call the script, unmarshal. No rules here.
//!
//! Ticks go over one held multiplexed connection, which also carries this session's wake-ups as RESP3 pushes; what
//! people and audits ask for goes through a pool of its own.

mod check;
mod connection;
mod faults;
mod scripts;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::{AsyncConnectionConfig, ToRedisArgs};
use tokio::sync::mpsc;

pub use check::{ACL_RIGHTS, REQUIRED_VERSION};
use connection::{CALL_TIMEOUT, Held, client, is_missing_script};
use faults::{garbage, trouble_of};
pub use scripts::{Script, Scripts, TestClock};

use super::keys::{self, PoolKeys};
use super::pool::{CHANGES_MAX, Difference, Dump, Pool, ServerClock};
use super::protocol::{
    Assert, Boot, Candidacy, JoinReply, Judgement, Leadership, Operations, PublishStep, Status,
    TickReply,
};
use super::trouble::{Cause, Trouble};
use super::view::View;
use super::{SharedState, StateError, StateFuture, WakeUp};
use crate::catalog::Catalog;
use crate::config::{Config, StateTls};
use crate::ids::{Fence, SessionId};

/// The shared state of a cluster.
pub struct RedisState {
    held: Held,
    admin: deadpool_redis::Pool,
    scripts: Scripts,
    /// How this replica's configuration becomes the successor of whatever catalog is in force.
    succeed: Box<dyn Fn(&Catalog) -> Catalog + Send + Sync>,
    /// The keys of the catalog in use, by number of models.
    keys: Mutex<PoolKeys>,
    /// The user has been found to have all rights, once.
    has_rights: AtomicBool,
}

impl RedisState {
    /// Prepares the connections; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// When `url` cannot be a Redis URL. The message never holds the password.
    pub fn new(url: &str, config: &Config) -> Result<Self, StateError> {
        let config = config.clone();
        let tls = config.state_tls.clone();
        Self::with_link(url, &tls, Scripts::production(), move |previous| {
            Catalog::succeed(&config, previous)
        })
    }

    /// The same with other scripts and another way to make catalogs: tests move time and break rules.
    ///
    /// # Errors
    ///
    /// As [`RedisState::new`].
    pub fn with_scripts(
        url: &str,
        scripts: Scripts,
        succeed: impl Fn(&Catalog) -> Catalog + Send + Sync + 'static,
    ) -> Result<Self, StateError> {
        Self::with_link(url, &StateTls::default(), scripts, succeed)
    }

    fn with_link(
        url: &str,
        tls: &StateTls,
        scripts: Scripts,
        succeed: impl Fn(&Catalog) -> Catalog + Send + Sync + 'static,
    ) -> Result<Self, StateError> {
        // Where time stands still, a slow machine is no outage.
        let patience = match scripts.moved_clock() {
            Some(_) => 20 * CALL_TIMEOUT,
            None => CALL_TIMEOUT,
        };
        let held = Held::new(url, tls, patience)?;
        let admin = admin_pool(url, tls, patience)?;
        Ok(Self {
            held,
            admin,
            scripts,
            succeed: Box::new(succeed),
            keys: Mutex::new(PoolKeys::new(0)),
            has_rights: AtomicBool::new(false),
        })
    }

    /// What Redis holds, as one snapshot, with the server's clock.
    ///
    /// # Errors
    ///
    /// When Redis does not answer, or holds what this version cannot read.
    pub async fn snapshot(&self) -> Result<(Pool, ServerClock), StateError> {
        let catalog = self.stored_catalog().await?;
        let keys = PoolKeys::new(catalog.models.len());
        let [meta, rows, held, sessions, expiry, windows, waiters, mail] =
            <&[String; 8]>::try_from(&keys.all()[..8])
                .map_err(|_| StateError::Refused("keys are incomplete".into()))?;
        let mut pipe = redis::pipe();
        pipe.atomic();
        pipe.cmd("TIME").cmd("INFO").arg("server");
        pipe.hgetall(meta)
            .hgetall(rows)
            .hgetall(held)
            .hgetall(sessions);
        pipe.zrange_withscores(expiry, 0, -1)
            .get(windows)
            .hgetall(waiters)
            .hgetall(mail);
        for queue in keys.queues() {
            pipe.zrange_withscores(queue, 0, -1);
        }
        let mut connection = self.admin_connection().await?;
        let mut values: Vec<redis::Value> = pipe
            .query_async(&mut connection)
            .await
            .map_err(|error| trouble_of(&error))?;
        let queues = values.split_off(10.min(values.len()));
        let mut values = values.into_iter();
        let mut next = || values.next().unwrap_or(redis::Value::Nil);
        let ((seconds, micros), info): ((i64, i64), String) = (from(next())?, from(next())?);
        let run = info
            .lines()
            .find_map(|line| line.strip_prefix("run_id:"))
            .unwrap_or_default()
            .trim()
            .to_owned();
        let clock = ServerClock {
            wall: seconds * 1000 + micros / 1000,
            run,
        };
        let clock = self.scripts.moved_clock().unwrap_or(clock);
        let dump = Dump {
            meta: from(next())?,
            rows: from(next())?,
            held: from(next())?,
            sessions: from(next())?,
            expiry: from(next())?,
            windows: from::<Option<Vec<u8>>>(next())?.unwrap_or_default(),
            waiters: from(next())?,
            mail: from(next())?,
            queues: queues.into_iter().map(from).collect::<Result<_, _>>()?,
        };
        let pool = Pool::from_dump(&dump)
            .map_err(|error| StateError::Refused(error.to_string().into()))?;
        Ok((pool, clock))
    }

    async fn stored_catalog(&self) -> Result<Catalog, StateError> {
        let mut connection = self.admin_connection().await?;
        let keys = PoolKeys::new(0);
        let blob: Option<Vec<u8>> = redis::cmd("HGET")
            .arg(&keys.all()[0])
            .arg("catalog")
            .query_async(&mut connection)
            .await
            .map_err(|error| trouble_of(&error))?;
        blob.map_or_else(|| Ok(Catalog::default()), |blob| unpack(&blob))
    }

    /// The catalog that a join offers: the one in force where it says the same, else its successor.
    async fn offered(&self, catalog: &Catalog) -> Result<Catalog, StateError> {
        let stored = self.stored_catalog().await?;
        if stored.version == 0 {
            return Ok(catalog.clone());
        }
        Ok(if stored.hash == catalog.hash {
            stored
        } else {
            (self.succeed)(&stored)
        })
    }

    fn keys(&self, catalog: &Catalog) -> PoolKeys {
        let mut keys = self
            .keys
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if keys.queues().len() != catalog.models.len() {
            *keys = PoolKeys::new(catalog.models.len());
        }
        keys.clone()
    }

    async fn call<T: serde::de::DeserializeOwned>(
        &self,
        script: &Script,
        keys: impl AsRef<[String]>,
        arguments: &[&dyn Argument],
    ) -> Result<T, StateError> {
        let keys = keys.as_ref();
        let mut command = redis::cmd("EVALSHA");
        command.arg(script.sha()).arg(keys.len()).arg(keys);
        for argument in arguments {
            argument.append(&mut command);
        }
        self.scripts.append_clock(&mut command);
        let reply = match self.held.query(&command).await? {
            // Nothing ran: the same call may be sent again on the same connection.
            Err(error) if is_missing_script(&error) => {
                let load = redis::cmd("SCRIPT")
                    .arg("LOAD")
                    .arg(script.source())
                    .to_owned();
                match self.held.query(&load).await? {
                    Ok(_) => self.held.query(&command).await?,
                    Err(error) => Err(error),
                }
            }
            reply => reply,
        };
        let reply = reply.map_err(|error| trouble_of(&error))?;
        let reply: Vec<u8> = redis::from_redis_value(reply).map_err(|error| self.garbage(error))?;
        rmp_serde::from_slice(&reply).map_err(|error| self.garbage(error))
    }

    /// An answer that is none: whatever else comes on that connection may belong to another call.
    fn garbage(&self, what: impl std::fmt::Display) -> StateError {
        self.held.forget();
        garbage(what)
    }

    /// Finds out once what the user may not do, before a script finds out in the middle of what it writes.
    async fn check_rights(&self) -> Result<(), StateError> {
        if self.has_rights.load(Ordering::Relaxed) {
            return Ok(());
        }
        let channel = format!("{}probe", keys::channel_prefix());
        let denied: String = self
            .call(&self.scripts.rights, &PoolKeys::new(0), &[&channel])
            .await?;
        if !denied.is_empty() {
            return Err(check::lacks(&denied));
        }
        self.has_rights.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn admin_connection(&self) -> Result<deadpool_redis::Connection, StateError> {
        self.admin.get().await.map_err(|error| match error {
            deadpool_redis::PoolError::Backend(error) => trouble_of(&error),
            error => StateError::Away(Trouble::new(Cause::Timeout, error.to_string())),
        })
    }
}

impl SharedState for RedisState {
    fn boot<'a>(
        &'a self,
        boot: &'a Boot,
        catalog: &'a Catalog,
        wake_ups: &'a mpsc::UnboundedSender<WakeUp>,
    ) -> StateFuture<'a, (JoinReply, Catalog)> {
        Box::pin(async move {
            self.held.listen(&boot.session, wake_ups).await?;
            self.check_rights().await?;
            let offered = self.offered(catalog).await?;
            let keys = self.keys(&offered);
            let (session, replica) = (boot.session.as_str(), boot.replica.as_str());
            let reply = self
                .call(
                    &self.scripts.boot,
                    &keys,
                    &[&session, &replica, &pack(&offered)?],
                )
                .await?;
            Ok((reply, self.stored_catalog().await?))
        })
    }

    fn assert<'a>(
        &'a self,
        assert: &'a Assert,
        catalog: &'a Catalog,
        wake_ups: &'a mpsc::UnboundedSender<WakeUp>,
    ) -> StateFuture<'a, (JoinReply, Catalog)> {
        Box::pin(async move {
            self.held.listen(&assert.session, wake_ups).await?;
            let keys = self.keys(catalog);
            let Assert {
                session,
                replica,
                predecessor,
                leases,
                charges,
                waiters,
            } = assert;
            let remembered = pack(&(leases, charges, waiters))?;
            let arguments: [&dyn Argument; 5] = [
                &session.as_str(),
                &replica.as_str(),
                &predecessor.as_str(),
                &remembered,
                &pack(catalog)?,
            ];
            let reply = self.call(&self.scripts.assert, &keys, &arguments).await?;
            Ok((reply, self.stored_catalog().await?))
        })
    }

    fn tick<'a>(
        &'a self,
        session: &'a SessionId,
        seq: u64,
        catalog: &'a Catalog,
        operations: &'a Operations,
    ) -> StateFuture<'a, TickReply> {
        Box::pin(async move {
            let keys = self.keys(catalog);
            let arguments: [&dyn Argument; 5] = [
                &session.as_str(),
                &seq,
                &catalog.version,
                &pack(operations)?,
                &keys::channel_prefix(),
            ];
            let reply: TickReply = self.call(&self.scripts.tick, &keys, &arguments).await?;
            if reply.status == Status::Done && reply.last != seq {
                return Err(self.garbage(format_args!(
                    "the reply to batch {} for batch {seq}",
                    reply.last
                )));
            }
            Ok(reply)
        })
    }

    fn bye<'a>(
        &'a self,
        session: &'a SessionId,
        catalog: &'a Catalog,
    ) -> StateFuture<'a, JoinReply> {
        Box::pin(async move {
            self.call(&self.scripts.bye, &self.keys(catalog), &[&session.as_str()])
                .await
        })
    }

    fn catalog(&self) -> StateFuture<'_, Catalog> {
        Box::pin(self.stored_catalog())
    }

    fn view(&self) -> StateFuture<'_, View> {
        Box::pin(async move {
            let (pool, clock) = self.snapshot().await?;
            Ok(pool.view(&clock))
        })
    }

    fn lead<'a>(&'a self, candidacy: &'a Candidacy) -> StateFuture<'a, Leadership> {
        Box::pin(async move {
            let Candidacy {
                owner,
                address,
                resigns,
            } = candidacy;
            let action = if *resigns { "resign" } else { "take" };
            let arguments: [&dyn Argument; 3] = [owner, address, &action];
            self.call(&self.scripts.lead, [keys::leader()], &arguments)
                .await
        })
    }

    fn leader(&self) -> StateFuture<'_, Leadership> {
        Box::pin(async move {
            let arguments: [&dyn Argument; 3] = [&"", &"", &"look"];
            self.call(&self.scripts.lead, [keys::leader()], &arguments)
                .await
        })
    }

    fn publish_steps<'a>(
        &'a self,
        fence: Fence,
        catalog: &'a Catalog,
    ) -> StateFuture<'a, Vec<PublishStep>> {
        Box::pin(async move {
            let (pool, _) = self.snapshot().await?;
            Ok(pool.publish_steps(fence, catalog, CHANGES_MAX))
        })
    }

    fn publish_step<'a>(&'a self, step: &'a PublishStep) -> StateFuture<'a, JoinReply> {
        Box::pin(async move {
            let PublishStep {
                fence,
                generation,
                base,
                buckets,
                rows,
                catalog,
            } = step;
            // The catalog in force decides how many queues there are until the last call.
            let n_models = match catalog {
                Some(catalog) => catalog.models.len(),
                None => self.stored_catalog().await?.models.len(),
            };
            let blob = catalog.as_ref().map(pack).transpose()?.unwrap_or_default();
            let arguments: [&dyn Argument; 6] = [
                &fence.0,
                generation,
                base,
                &pack(&(buckets, rows))?,
                &blob,
                &keys::channel_prefix(),
            ];
            self.call(&self.scripts.publish, &PoolKeys::new(n_models), &arguments)
                .await
        })
    }

    fn judge<'a>(&'a self, judgement: &'a Judgement) -> StateFuture<'a, JoinReply> {
        Box::pin(async move {
            let keys = PoolKeys::new(self.stored_catalog().await?.models.len());
            let arguments: [&dyn Argument; 2] = [&pack(judgement)?, &keys::channel_prefix()];
            self.call(&self.scripts.judge, &keys, &arguments).await
        })
    }

    fn audit(&self, fence: Fence) -> StateFuture<'_, (JoinReply, Vec<Difference>)> {
        Box::pin(async move {
            let keys = PoolKeys::new(self.stored_catalog().await?.models.len());
            self.call(&self.scripts.audit, &keys, &[&fence.0]).await
        })
    }
}

/// A script's argument, whatever its type: `ToRedisArgs` itself cannot be behind a pointer.
trait Argument: Sync {
    fn append(&self, command: &mut redis::Cmd);
}

impl<T: ToRedisArgs + Sync> Argument for T {
    fn append(&self, command: &mut redis::Cmd) {
        command.arg(self);
    }
}

/// Connections for what people and audits ask; none of them may keep anybody waiting.
fn admin_pool(
    url: &str,
    tls: &StateTls,
    patience: Duration,
) -> Result<deadpool_redis::Pool, StateError> {
    let client = client(url, tls)?;
    let connecting = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(patience))
        .set_response_timeout(Some(patience));
    let manager =
        deadpool_redis::Manager::new_with_config(client.get_connection_info().clone(), connecting)
            .map_err(|_| StateError::Refused("`state` is not a Redis URL".into()))?;
    deadpool_redis::Pool::builder(manager)
        .wait_timeout(Some(patience))
        .create_timeout(Some(2 * patience))
        .recycle_timeout(Some(patience))
        .runtime(deadpool_redis::Runtime::Tokio1)
        .build()
        .map_err(|error| StateError::Refused(error.to_string().into()))
}

fn pack<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, StateError> {
    rmp_serde::to_vec(value)
        .map_err(|error| StateError::Refused(format!("cannot be packed: {error}").into()))
}

fn unpack<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, StateError> {
    rmp_serde::from_slice(bytes).map_err(|error| {
        StateError::Refused(format!("is not what this version reads: {error}").into())
    })
}

fn from<T: redis::FromRedisValue>(value: redis::Value) -> Result<T, StateError> {
    redis::from_redis_value(value).map_err(|error| {
        StateError::Refused(format!("is not what this version reads: {error}").into())
    })
}
