//! Reading what the scripts keep in Redis: the layouts of `scripts/prelude.lua` and `scripts/clock.lua`.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::health::{Admin, Health, State};
use super::window::WindowState;
use super::{Meta, ModelState, Pool, RowState, SessionState, Waiter};
use crate::catalog::{Catalog, Window};
use crate::ids::{CandidateIndex, ReplicaName, RowIndex, SessionId};
use crate::state::protocol::{JoinReply, Mail, TickReply, short_list};

/// The keys of one pool, read in one transaction.
#[derive(Clone, Debug, Default)]
pub struct Dump {
    pub meta: HashMap<String, Vec<u8>>,
    pub rows: HashMap<u32, Vec<u8>>,
    pub held: HashMap<String, Vec<u8>>,
    pub sessions: HashMap<String, Vec<u8>>,
    pub expiry: Vec<(String, i64)>,
    pub windows: Vec<u8>,
    pub waiters: HashMap<String, Vec<u8>>,
    pub mail: HashMap<String, Vec<u8>>,
    pub queues: Vec<Vec<(String, i64)>>,
}

#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    #[error("`{0}` is not in the layout that this version reads: {1}")]
    Layout(&'static str, #[source] rmp_serde::decode::Error),
    #[error("`{0}` is missing or incomplete")]
    Missing(&'static str),
}

/// `meta.pool`, in the order of `clock.lua`.
#[derive(Deserialize)]
struct PackedMeta {
    now: i64,
    wall: i64,
    run: String,
    generation: i64,
    base: u64,
    learning_until: i64,
    epoch: i64,
    tick: u64,
    #[serde(rename = "version")]
    _version: u64,
    sequence: i64,
    anomalies: u64,
    reclaimed: u64,
    #[serde(rename = "queue_max")]
    _queue_max: u32,
    #[serde(rename = "n_models")]
    _n_models: u32,
    #[serde(rename = "queued")]
    _queued: Vec<i64>,
    retries: f64,
    retries_at: i64,
    #[serde(rename = "retry_share")]
    _retry_share: f64,
}

/// A waiter's claim, in the order of `prelude.lua`.
#[derive(Deserialize)]
struct PackedClaim {
    #[serde(rename = "ticket")]
    _ticket: u64,
    #[serde(rename = "model")]
    _model: u32,
    #[serde(rename = "score")]
    _score: i64,
    tokens: u32,
    #[serde(with = "short_list")]
    callers: Vec<RowIndex>,
    #[serde(with = "short_list")]
    allow: Vec<CandidateIndex>,
    #[serde(rename = "no_queue")]
    _no_queue: bool,
    #[serde(rename = "purpose")]
    _purpose: u8,
}

impl Pool {
    /// The pool that Redis holds, its windows rotated to its own present; empty before the first epoch.
    ///
    /// # Errors
    ///
    /// When a value is not in this version's layout.
    pub fn from_dump(dump: &Dump) -> Result<Self, DumpError> {
        let (Some(meta), Some(catalog)) = (dump.meta.get("pool"), dump.meta.get("catalog")) else {
            return Ok(Self::default());
        };
        let meta = read_meta(meta)?;
        let catalog: Catalog = unpack("meta.catalog", catalog)?;
        if dump.rows.len() < catalog.rows.len() {
            return Err(DumpError::Missing("rows"));
        }
        // While a catalog is being published, there are rows that the catalog does not know yet.
        let rows = (0..)
            .take(dump.rows.len())
            .map(|index| {
                let packed = dump.rows.get(&index).ok_or(DumpError::Missing("rows"))?;
                read_row(&unpack("rows", packed)?, &dump.windows)
            })
            .collect::<Result<_, _>>()?;

        let mut waiters = BTreeMap::new();
        let mut models = Vec::new();
        for index in 0..catalog.models.len() {
            let mut model = ModelState::default();
            if let Some(packed) = dump.meta.get(&format!("c{index}")) {
                model.current = unpack("meta.c", packed)?;
            }
            for (member, score) in dump.queues.get(index).into_iter().flatten() {
                model.queue.insert((*score, member.clone()));
                let packed = dump
                    .waiters
                    .get(member)
                    .ok_or(DumpError::Missing("waiters"))?;
                let claim: PackedClaim = unpack("waiters", packed)?;
                let PackedClaim {
                    tokens,
                    callers,
                    allow,
                    ..
                } = claim;
                waiters.insert(
                    member.clone(),
                    Waiter {
                        score: *score,
                        tokens,
                        callers,
                        allow,
                    },
                );
            }
            models.push(model);
        }

        let mut sessions = BTreeMap::new();
        for (name, packed) in &dump.sessions {
            let held = dump
                .held
                .get(name)
                .map(|packed| read_held(packed))
                .transpose()?
                .unwrap_or_default();
            let mail = dump
                .mail
                .get(name)
                .map(|packed| unpack::<Mail>("mail", packed))
                .transpose()?;
            let expires = dump
                .expiry
                .iter()
                .find(|(session, _)| session == name)
                .ok_or(DumpError::Missing("expiry"))?
                .1;
            let (last, reply, joined, replica) = read_session(packed)?;
            let state = SessionState {
                replica,
                last,
                reply,
                joined,
                expires,
                held,
                mail: mail.unwrap_or_default(),
            };
            sessions.insert(SessionId::from(name.as_str()), state);
        }

        let mut pool = Self {
            meta,
            catalog,
            rows,
            models,
            sessions,
            waiters,
            posted: BTreeMap::new(),
        };
        pool.rotate();
        Ok(pool)
    }

    /// The same pool with every window rotated to the present, as [`Pool::from_dump`] gives it.
    pub fn rotated(&self) -> Self {
        let mut pool = self.clone();
        pool.rotate();
        pool
    }
}

fn unpack<'a, T: Deserialize<'a>>(what: &'static str, bytes: &'a [u8]) -> Result<T, DumpError> {
    rmp_serde::from_slice(bytes).map_err(|error| DumpError::Layout(what, error))
}

fn read_meta(bytes: &[u8]) -> Result<Meta, DumpError> {
    let PackedMeta {
        now,
        wall,
        run,
        generation,
        base,
        learning_until,
        epoch,
        tick,
        sequence,
        anomalies,
        reclaimed,
        retries,
        retries_at,
        ..
    } = unpack("meta.pool", bytes)?;
    Ok(Meta {
        now,
        wall,
        run,
        generation,
        base,
        learning_until,
        epoch,
        tick,
        sequence,
        anomalies,
        reclaimed,
        retries,
        retries_at,
    })
}

/// {row, leases, row, leases, …}
fn read_held(bytes: &[u8]) -> Result<BTreeMap<RowIndex, i64>, DumpError> {
    let flat: Vec<i64> = unpack("held", bytes)?;
    let pairs = flat
        .chunks_exact(2)
        .filter_map(|pair| Some((RowIndex(u32::try_from(pair[0]).ok()?), pair[1])));
    Ok(pairs.collect())
}

/// {last batch, its reply or the join's, replica}; the reply is packed bytes in a string.
type PackedSession = (u64, Option<TickReply>, Option<JoinReply>, ReplicaName);

fn read_session(bytes: &[u8]) -> Result<PackedSession, DumpError> {
    let value =
        rmpv::decode::read_value(&mut &*bytes).map_err(|_| DumpError::Missing("sessions"))?;
    let fields = value
        .as_array()
        .filter(|fields| fields.len() == 3)
        .ok_or(DumpError::Missing("sessions"))?;
    let last = fields[0].as_u64().ok_or(DumpError::Missing("sessions"))?;
    let (mut reply, mut joined) = (None, None);
    match &fields[1] {
        rmpv::Value::String(packed) if last > 0 => {
            reply = Some(unpack("sessions", packed.as_bytes())?);
        }
        // Before its first batch: the answer to its join.
        rmpv::Value::String(packed) => joined = Some(unpack("sessions", packed.as_bytes())?),
        _ => {}
    }
    let replica = fields[2].as_str().ok_or(DumpError::Missing("sessions"))?;
    Ok((last, reply, joined, ReplicaName::from(replica)))
}

/// A row: slots, in use, grants, its health or `false`, then its windows.
fn read_row(fields: &rmpv::Value, rings: &[u8]) -> Result<RowState, DumpError> {
    let incomplete = || DumpError::Missing("rows");
    let fields = fields.as_array().ok_or_else(incomplete)?;
    let [slots_max, held, grants, health, rest @ ..] = fields.as_slice() else {
        return Err(incomplete());
    };
    let mut row = RowState {
        slots_max: whole(slots_max),
        held: whole(held),
        grants: whole(grants),
        health: health
            .as_array()
            .map(|fields| read_health(fields))
            .transpose()?,
        windows: Vec::new(),
    };
    let (windows, rest) = rest.as_chunks::<7>();
    if !rest.is_empty() {
        return Err(incomplete());
    }
    // By the row itself, not by the catalog: a publish changes rows first.
    for [kind, limit, total, last, offset, learned, since] in windows {
        let declared = Window {
            kind: whole(kind),
            limit: whole(limit),
            offset: whole(offset),
        };
        let mut window = WindowState::new(&declared, 0, whole(since)).ok_or_else(incomplete)?;
        (window.total, window.last) = (whole(total), whole(last));
        window.learned = whole(learned);
        for (slot, bucket) in window.ring.iter_mut().enumerate() {
            let at = (window.offset as usize + slot) * 8;
            // A string that is shorter than its rings has never been written there.
            let stored = rings
                .get(at..at + 8)
                .and_then(|bytes| bytes.try_into().ok());
            *bucket = i64::from_be_bytes(stored.unwrap_or_default());
        }
        row.windows.push(window);
    }
    Ok(row)
}

fn read_health(fields: &[rmpv::Value]) -> Result<Health, DumpError> {
    let [
        open_at,
        state,
        admin,
        version,
        failures,
        ejections,
        recovered_at,
        throttles,
        penalty,
        first_byte,
        first_byte_at,
        token_time,
        token_at,
        served_at,
        seen,
        failed,
        counted_since,
        slots_learned,
        learned_at,
        trial,
        trial_at,
    ] = fields
    else {
        return Err(DumpError::Missing("rows"));
    };
    let incomplete = || DumpError::Missing("rows");
    let number = |field: &rmpv::Value| field.as_f64().unwrap_or_default();
    Ok(Health {
        open_at: whole(open_at),
        state: State::from_code(whole(state)).ok_or_else(incomplete)?,
        admin: Admin::from_code(whole(admin)).ok_or_else(incomplete)?,
        version: whole(version),
        failures: whole(failures),
        ejections: whole(ejections),
        recovered_at: whole(recovered_at),
        throttles: whole(throttles),
        penalty: number(penalty),
        first_byte: number(first_byte),
        first_byte_at: whole(first_byte_at),
        token_time: number(token_time),
        token_at: whole(token_at),
        served_at: whole(served_at),
        seen: whole(seen),
        failed: whole(failed),
        counted_since: whole(counted_since),
        slots_learned: number(slots_learned),
        learned_at: whole(learned_at),
        trial: trial.as_str().map(SessionId::from),
        trial_at: whole(trial_at),
    })
}

/// Lua keeps every integer as a double, and packs it as the smallest type that holds it.
fn whole<T: TryFrom<i64> + Default>(value: &rmpv::Value) -> T {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "only whole numbers are kept there"
    )]
    let number = value
        .as_i64()
        .or_else(|| value.as_f64().map(|number| number as i64));
    number
        .and_then(|number| T::try_from(number).ok())
        .unwrap_or_default()
}
