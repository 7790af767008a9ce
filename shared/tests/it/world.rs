//! A random cluster: sessions that come, go, repeat themselves and die, over catalogs with every kind of limit.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use fastrand::Rng;
use shared::catalog::{Catalog, Limits, ScopeKind, Strategy};
use shared::config::{
    ClientKey, Config, Dialect, Health, Key, LogFormat, Manners, Model, Provider, Queue, Retries,
    ServerLimits, StateStore, StateTls, Telemetry, Timeouts, Upstream,
};
use shared::ids::{CandidateIndex, Fence, ModelIndex, RowIndex, SessionId, Ticket};
use shared::lease::Reported;
use shared::secret::Secret;
use shared::state::protocol::{
    Acquire, Assert, AssertedCharge, AssertedLease, AssertedWaiter, Cancel, Grant, Judgement,
    Operations, OutcomeCode, PurposeCode, Release, Verdict,
};
use shared::units::Priority;

pub(crate) fn config(rng: &mut Rng) -> Config {
    let key = |rng: &mut Rng, name: &str| Key {
        name: name.into(),
        secret: Secret::new("secret".into()),
        weight: [1.0, 2.0, 5.0, 0.5, 0.3][rng.usize(..5)],
        limits: limits(rng),
    };
    let providers = vec![
        Provider {
            limits: Limits {
                concurrency: Some(rng.u32(3..9)),
                tpm: Some(20_000),
                ..Limits::default()
            },
            keys: ["a", "b", "c"].map(|name| key(rng, name)).into(),
            ..provider("one")
        },
        Provider {
            keys: ["d", "e"].map(|name| key(rng, name)).into(),
            ..provider("two")
        },
        // Nothing limits it but its health.
        Provider {
            keys: ["f", "g"]
                .map(|name| Key {
                    limits: Limits::default(),
                    ..key(rng, name)
                })
                .into(),
            ..provider("three")
        },
    ];
    let upstream = |rng: &mut Rng, name: &str| Upstream {
        provider: name.into(),
        model: "m".into(),
        weight: [1.0, 1.5, 3.0][rng.usize(..3)],
        limits: if rng.bool() {
            Limits::default()
        } else {
            limits(rng)
        },
        context_length: None,
        capabilities: None,
    };
    let mut models = Vec::new();
    for (index, strategy) in Strategy::ALL
        .into_iter()
        .chain([Strategy::FirstAvailable])
        .enumerate()
    {
        let mut upstreams = vec![upstream(rng, "two")];
        if index != 1 {
            upstreams.push(upstream(rng, "one"));
        }
        models.push(Model {
            name: format!("model-{index}").as_str().into(),
            aliases: Vec::new(),
            strategy,
            exclusive: index == 4,
            limits: if index == 2 {
                limits(rng)
            } else {
                Limits::default()
            },
            upstreams,
            overrides: serde_json::Map::new(),
            drop_unsupported: false,
        });
    }
    for strategy in [Strategy::DynamicWeighted, Strategy::Fastest] {
        models.push(Model {
            name: format!("free-{}", strategy.name()).as_str().into(),
            aliases: Vec::new(),
            strategy,
            exclusive: false,
            limits: Limits::default(),
            upstreams: vec![upstream(rng, "three")],
            overrides: serde_json::Map::new(),
            drop_unsupported: false,
        });
    }
    let client_key = |name: &str, limits| ClientKey {
        name: name.into(),
        digest: [0; 32],
        team: None,
        priority: Priority::default(),
        models: None,
        limits,
    };
    Config {
        listen: ([127, 0, 0, 1], 0).into(),
        admin_listen: ([127, 0, 0, 1], 0).into(),
        open_access: false,
        state: StateStore::Memory,
        state_tls: StateTls::default(),
        replica_name: None,
        providers,
        models,
        client_keys: vec![
            client_key(
                "small",
                Limits {
                    concurrency: Some(2),
                    tpm: Some(5_000),
                    ..Limits::default()
                },
            ),
            client_key(
                "fast",
                Limits {
                    qps: Some(3),
                    rpm: Some(40),
                    ..Limits::default()
                },
            ),
        ],
        queue: Queue {
            max_length: 12,
            timeout: Duration::from_secs(30),
        },
        timeouts: Timeouts {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(60),
            idle: Duration::from_secs(60),
            total: Duration::from_secs(900),
            drain: Duration::from_secs(600),
        },
        retries: Retries {
            max_attempts: NonZeroU32::MIN,
            budget: [0.0, 0.2][rng.usize(..2)],
            replay_max: 1,
        },
        limits: ServerLimits {
            body: 1,
            connections: 1,
        },
        telemetry: Telemetry {
            log: LogFormat::Json,
            level: "info".into(),
        },
    }
}

/// Another configuration that has most of its names in common with `before`.
pub(crate) fn successor(rng: &mut Rng, before: &Config) -> Config {
    let mut config = before.clone();
    for provider in &mut config.providers {
        if rng.f32() < 0.3 {
            provider.limits = if rng.bool() {
                Limits::default()
            } else {
                limits(rng)
            };
        }
        if rng.f32() < 0.3 && provider.keys.len() > 1 {
            let removed = rng.usize(..provider.keys.len());
            provider.keys.remove(removed);
        }
        if rng.f32() < 0.3 {
            // Few names: what was removed comes back.
            let name = format!("{}-{}", provider.name, rng.u32(..4));
            if provider.keys.iter().all(|key| key.name.as_str() != name) {
                let mut key = provider.keys[0].clone();
                key.name = name.as_str().into();
                provider.keys.push(key);
            }
        }
        for key in &mut provider.keys {
            if rng.f32() < 0.3 {
                key.limits = limits(rng);
                key.weight = [1.0, 2.0, 5.0][rng.usize(..3)];
            }
            if rng.f32() < 0.03 {
                key.secret = Secret::new(format!("secret-{}", rng.u32(..)));
            }
        }
    }
    let known = before.models[0].clone();
    if rng.f32() < 0.4 && config.models.len() > 3 {
        let removed = rng.usize(..config.models.len());
        config.models.remove(removed);
    }
    if rng.f32() < 0.4 {
        let name = format!("model-{}", rng.u32(..9));
        if config
            .models
            .iter()
            .all(|model| model.name.as_str() != name)
        {
            config.models.push(Model {
                name: name.as_str().into(),
                strategy: Strategy::ALL[rng.usize(..Strategy::ALL.len())],
                exclusive: false,
                ..known
            });
        }
    }
    for model in &mut config.models {
        if rng.f32() < 0.15 {
            model.limits = limits(rng);
        }
        // Back and forth, so that there are claims which only one of both admits.
        if let Some(tpm) = &mut model.limits.tpm {
            *tpm = [1_500, 3_500, 20_000][rng.usize(..3)];
        }
        for upstream in &mut model.upstreams {
            if rng.f32() < 0.15 {
                upstream.limits = limits(rng);
                upstream.weight = [1.0, 3.0][rng.usize(..2)];
            }
        }
    }
    for client_key in &mut config.client_keys {
        if rng.f32() < 0.3 {
            client_key.limits.tpm = [None, Some(4_000), Some(9_000)][rng.usize(..3)];
        }
    }
    config.queue.max_length = rng.u32(8..16);
    config
}

fn provider(name: &str) -> Provider {
    Provider {
        name: name.into(),
        dialect: Dialect::OpenaiChat,
        manners: Manners::Plain,
        api_version: None,
        base_url: "http://localhost".into(),
        headers: Vec::new(),
        limits: Limits::default(),
        keys: Vec::new(),
        health: Health::UNPROBED,
    }
}

fn limits(rng: &mut Rng) -> Limits {
    let pick = |rng: &mut Rng, choices: &[u32]| choices[rng.usize(..choices.len())];
    let maybe =
        |rng: &mut Rng, choices: &[u32]| Some(pick(rng, choices)).filter(|limit| *limit > 0);
    Limits {
        concurrency: maybe(rng, &[0, 1, 2, 3, 5]),
        qps: maybe(rng, &[0, 0, 2, 5]),
        rpm: maybe(rng, &[0, 20, 60]),
        tpm: maybe(rng, &[0, 3_500, 20_000]),
        rpd: maybe(rng, &[0, 0, 500]),
        tpd: maybe(rng, &[0, 0, 400_000]).map(u64::from),
    }
}

/// What one session remembers; it may be dead in the store's eyes.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) session: SessionId,
    pub(crate) replica: String,
    pub(crate) seq: u64,
    pub(crate) sent: Option<(u64, Operations)>,
    pub(crate) leases: BTreeMap<Ticket, (ModelIndex, CandidateIndex, Vec<RowIndex>, u32, i64)>,
    pub(crate) waiting: BTreeMap<Ticket, (Acquire, i64)>,
}

impl Member {
    pub(crate) fn new(session: SessionId, replica: String) -> Self {
        Self {
            session,
            replica,
            seq: 0,
            sent: None,
            leases: BTreeMap::new(),
            waiting: BTreeMap::new(),
        }
    }

    pub(crate) fn granted(&mut self, grant: &Grant) {
        if let Some((acquire, _)) = self.waiting.remove(&grant.ticket) {
            let lease = (
                acquire.model,
                grant.candidate,
                acquire.callers,
                acquire.tokens,
                grant.granted_at,
            );
            self.leases.insert(grant.ticket, lease);
        }
    }

    /// The next batch, with a few that make no sense.
    pub(crate) fn batch(
        &mut self,
        rng: &mut Rng,
        tickets: &mut u64,
        callers: &[RowIndex],
        catalog: &Catalog,
    ) -> Operations {
        let n_models = u32::try_from(catalog.models.len()).unwrap();
        let n_candidates = u32::try_from(catalog.candidates.len()).unwrap();
        let mut operations = Operations::default();
        // Some requests outlive every window, most are short.
        let ending: Vec<Ticket> = self
            .leases
            .keys()
            .filter(|ticket| rng.f32() < if ticket.0 % 9 == 0 { 0.002 } else { 0.35 })
            .copied()
            .collect();
        for ticket in ending {
            let Some((model, candidate, callers, reserved, granted_at)) =
                self.leases.remove(&ticket)
            else {
                continue;
            };
            operations.releases.push(Release {
                model,
                candidate,
                callers,
                reserved,
                granted_at,
                tokens: rng.u32(..reserved.max(1) * 6 / 5 + 1),
                outcome: outcome(rng),
                first_byte_us: [0, rng.u32(200..60_000)][rng.usize(..2)],
                token_us: [0, rng.u32(100..3_000)][rng.usize(..2)],
                retry_ms: [0, 0, rng.u32(1..5_000), rng.u32(1..70_000)][rng.usize(..4)],
                reported: reported(rng),
            });
        }
        if rng.f32() < 0.005 {
            operations.releases.push(Release {
                model: ModelIndex(rng.u32(..n_models + 1)),
                candidate: CandidateIndex(rng.u32(..n_candidates + 5)),
                callers: Vec::new(),
                reserved: 10,
                granted_at: 0,
                tokens: 5,
                outcome: OutcomeCode(1),
                first_byte_us: 0,
                token_us: 1,
                retry_ms: 0,
                reported: Vec::new(),
            });
        }
        let cancelled: Vec<Ticket> = self
            .waiting
            .keys()
            .filter(|_| rng.f32() < 0.05)
            .copied()
            .collect();
        for ticket in cancelled {
            // What was granted meanwhile is in the mailbox: it stays in `waiting` to be released later.
            let model = self.waiting[&ticket].0.model;
            operations.cancels.push(Cancel { model, ticket });
        }
        for _ in 0..[0, 0, 1, 1, 2, 4][rng.usize(..6)] {
            *tickets += 1;
            let acquire = Acquire {
                ticket: Ticket(*tickets),
                model: ModelIndex(if rng.f32() < 0.005 {
                    n_models + 3
                } else {
                    rng.u32(..n_models)
                }),
                priority: rng.u8(..11),
                tokens: if rng.f32() < 0.03 {
                    rng.u32(3_000..30_000)
                } else {
                    rng.u32(..2_000)
                },
                callers: callers
                    .iter()
                    .filter(|_| rng.f32() < 0.25)
                    .copied()
                    .collect(),
                allow: if rng.f32() < 0.15 {
                    (0..3)
                        .map(|_| CandidateIndex(rng.u32(..n_candidates)))
                        .collect()
                } else {
                    Vec::new()
                },
                no_queue: rng.f32() < 0.15,
                purpose: PurposeCode::REQUEST,
            };
            let acquire = match rng.u8(..20) {
                4..12 => Acquire {
                    no_queue: true,
                    purpose: PurposeCode::RETRY,
                    ..acquire
                },
                probe @ (2 | 3) => Acquire {
                    allow: vec![any_candidate(rng, catalog, acquire.model)],
                    no_queue: true,
                    purpose: PurposeCode(probe),
                    ..acquire
                },
                _ => acquire,
            };
            self.waiting.insert(acquire.ticket, (acquire.clone(), 0));
            operations.acquires.push(acquire);
        }
        if rng.f32() < 0.002 {
            // A storm of retries, at the last model, where nothing else is in their way.
            for _ in 0..110 {
                *tickets += 1;
                let acquire = Acquire {
                    ticket: Ticket(*tickets),
                    model: ModelIndex(n_models - 1),
                    priority: 5,
                    tokens: 1,
                    callers: Vec::new(),
                    allow: Vec::new(),
                    no_queue: true,
                    purpose: PurposeCode::RETRY,
                };
                self.waiting.insert(acquire.ticket, (acquire.clone(), 0));
                operations.acquires.push(acquire);
            }
        }
        operations
    }

    /// What this member tells a store that forgot it.
    pub(crate) fn assertion(&self, rng: &mut Rng, session: SessionId) -> Assert {
        let leases = self
            .leases
            .values()
            .map(|(model, candidate, callers, ..)| AssertedLease {
                model: *model,
                candidate: *candidate,
                callers: callers.clone(),
                count: 1,
            });
        let charges = self
            .leases
            .values()
            .map(|(model, candidate, callers, tokens, _)| AssertedCharge {
                model: *model,
                candidate: *candidate,
                callers: callers.clone(),
                age_ms: rng.i64(0..100_000),
                requests: rng.u32(..2),
                tokens: u64::from(*tokens),
                days_only: rng.bool(),
            });
        let waiters = self.waiting.values().filter(|(_, sequence)| *sequence > 0);
        let waiters = waiters.map(|(acquire, sequence)| AssertedWaiter {
            acquire: acquire.clone(),
            sequence: *sequence,
        });
        Assert {
            session,
            replica: self.replica.as_str().into(),
            predecessor: self.session.clone(),
            leases: leases.collect(),
            charges: charges.collect(),
            waiters: waiters.collect(),
        }
    }
}

/// The rows that client keys are charged to.
pub(crate) fn caller_rows(catalog: &Catalog) -> Vec<RowIndex> {
    ["small", "fast"]
        .into_iter()
        .filter_map(|name| catalog.row_index(ScopeKind::ClientKey, name))
        .collect()
}

/// How leases end: mostly well, and in streaks of trouble often enough to eject.
fn outcome(rng: &mut Rng) -> OutcomeCode {
    match rng.u8(..100) {
        0..65 => OutcomeCode::SERVED,
        65..85 => OutcomeCode::FAILED,
        85..89 => OutcomeCode::RATE_LIMITED,
        89..99 => OutcomeCode([0, 2, 3, 7, 9][rng.usize(..5)]),
        _ => [OutcomeCode::AUTH_FAILED, OutcomeCode::EXHAUSTED][rng.usize(..2)],
    }
}

fn reported(rng: &mut Rng) -> Vec<Reported> {
    let n = if rng.f32() < 0.03 { rng.usize(1..3) } else { 0 };
    (0..n)
        .map(|_| Reported {
            kind: rng.u8(..5),
            limit: [0, rng.u64(1..30), rng.u64(1_000..30_000)][rng.usize(..3)],
            remaining: [0, rng.u64(..40), rng.u64(..20_000)][rng.usize(..3)],
            resets_in_ms: [0, 1, rng.u32(..70_000), 90_000_000][rng.usize(..4)],
        })
        .collect()
}

/// What a coordinator or an operator may say of any row; `versions` are the rows' own.
pub(crate) fn judgement(rng: &mut Rng, versions: &[u64]) -> Judgement {
    let row = rng.usize(..versions.len() + 1);
    let seen = versions.get(row).copied().unwrap_or_default();
    let verdict = match rng.u8(..20) {
        0 => Verdict::Down,
        1 => Verdict::Drain,
        2 => Verdict::Disable,
        3..6 => Verdict::Up,
        6..9 => Verdict::Reachable,
        _ => Verdict::Enable,
    };
    Judgement {
        fence: Fence::NONE,
        row: RowIndex(u32::try_from(row).unwrap()),
        version: [None, Some(seen), Some(seen + rng.u64(..2))][rng.usize(..3)],
        verdict,
    }
}

/// Mostly one that the model has.
fn any_candidate(rng: &mut Rng, catalog: &Catalog, model: ModelIndex) -> CandidateIndex {
    let own = catalog.models.get(model.position());
    match own.map(|model| model.candidates.as_slice()) {
        Some(own) if !own.is_empty() && rng.f32() < 0.9 => own[rng.usize(..own.len())],
        _ => CandidateIndex(rng.u32(..20)),
    }
}
