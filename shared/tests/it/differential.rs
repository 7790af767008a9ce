//! The scripts against the machine: the same random operations, the same replies, the same state.

use std::sync::{Arc, Mutex};

use fastrand::Rng;
use shared::catalog::Catalog;
use shared::config::Config;
use shared::ids::{CandidateIndex, Fence, ModelIndex, SessionId, Ticket};
use shared::state::SharedState;
use shared::state::pool::{Pool, ServerClock};
use shared::state::protocol::{
    Acquire, Boot, Grant, JoinReply, Mail, Operations, OutcomeCode, PurposeCode, Release, Status,
    TickReply,
};
use shared::state::redis::{RedisState, Scripts, TestClock};
use tokio::sync::mpsc;

use super::server::RedisServer;
use super::world::{self, Member};

/// How often each interesting thing happened: a comparison that never met it proves nothing.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) ticks: u64,
    pub(crate) grants: u64,
    pub(crate) handed_over: u64,
    pub(crate) queued: u64,
    pub(crate) rejected: [u64; 7],
    pub(crate) statuses: [u64; 10],
    pub(crate) asserts: u64,
    pub(crate) restarts: u64,
    pub(crate) flushes: u64,
    pub(crate) recatalogued: u64,
    pub(crate) published: u64,
    pub(crate) broken_off: u64,
    pub(crate) kept_out: u64,
    pub(crate) dumps: u64,
}

/// The leader's record: fence, end and the wall clock at which it was written.
#[derive(Clone, Copy, Debug, Default)]
struct Leader {
    fence: u64,
    until: i64,
    now: i64,
    wall: i64,
}

pub(crate) struct Comparison {
    redis: RedisState,
    url: String,
    clock: TestClock,
    config: Arc<Mutex<Config>>,
    pool: Pool,
    catalog: Catalog,
    rng: Rng,
    seed: u64,
    tickets: u64,
    sessions: u64,
    /// Who leads the coordinators.
    leader: Leader,
    members: Vec<Member>,
    dead: Vec<Member>,
    /// Ticks for which time flies.
    rush: u32,
    pub(crate) tally: Tally,
}

impl Comparison {
    pub(crate) fn new(url: &str, seed: u64, edit: impl Fn(&str, &str) -> String) -> Self {
        let mut rng = Rng::with_seed(seed);
        let config = Arc::new(Mutex::new(world::config(&mut rng)));
        let clock: TestClock = Arc::new(Mutex::new((1_700_000_000_000, String::from("aa"))));
        let declared = Arc::clone(&config);
        let redis = RedisState::with_scripts(
            url,
            Scripts::for_tests(Arc::clone(&clock), edit),
            move |previous| Catalog::succeed(&declared.lock().unwrap(), previous),
        );
        Self {
            redis: redis.unwrap(),
            url: url.to_owned(),
            clock,
            config,
            pool: Pool::default(),
            catalog: Catalog::default(),
            rng,
            seed,
            tickets: 0,
            sessions: 0,
            leader: Leader::default(),
            members: Vec::new(),
            dead: Vec::new(),
            rush: 0,
            tally: Tally::default(),
        }
    }

    /// Runs `ticks` ticks; the first difference ends it.
    pub(crate) async fn run(&mut self, ticks: u64) -> Result<(), String> {
        for replica in 0..3 {
            self.boot(format!("replica-{replica}")).await?;
        }
        self.story().await?;
        while self.tally.ticks < ticks {
            self.pass_time();
            self.upset().await?;
            self.tick().await?;
            if self.tally.ticks.is_multiple_of(10) {
                self.compare_state().await?;
            }
        }
        Ok(())
    }

    /// What random ticks hardly ever come to: an ejection, a trial beside an old lease, what is forgiven later, and a
    /// model that is left with ejected keys alone.
    async fn story(&mut self) -> Result<(), String> {
        let catalog = self.pool.catalog().clone();
        let Some(model) = catalog.model_index("free-dynamic_weighted") else {
            return Ok(());
        };
        let candidates = &catalog.models[model.position()].candidates;
        let &[first, second] = candidates.as_slice() else {
            return Ok(());
        };
        let failed = OutcomeCode::FAILED;
        self.fly(4).await?;
        for number in 0..24 {
            let lease = self.granted(model, first).await?;
            let outcome = [OutcomeCode::SERVED, failed][number % 2];
            self.ended(model, lease, outcome).await?;
        }
        self.fly(40).await?;
        let lease = self.granted(model, first).await?;
        self.ended(model, lease, OutcomeCode::SERVED).await?;
        // What is granted in the moment of the recovery is not believed.
        self.fly(5).await?;
        let old = self.granted(model, first).await?;
        for _ in 0..5 {
            let lease = self.granted(model, first).await?;
            self.ended(model, lease, failed).await?;
        }
        // The second ejection is twice as long.
        self.fly(70).await?;
        let trial = self.granted(model, first).await?;
        self.ended(model, old, OutcomeCode::SERVED).await?;
        let beside = self.granted(model, first).await?;
        for lease in [trial, beside] {
            self.ended(model, lease, OutcomeCode::SERVED).await?;
        }
        self.fly(70).await?;
        for _ in 0..5 {
            let lease = self.granted(model, first).await?;
            self.ended(model, lease, failed).await?;
        }
        let lease = self.granted(model, second).await?;
        self.ended(model, lease, OutcomeCode::AUTH_FAILED).await?;
        // The trial of the last one goes on when its session is lost and asserted.
        if let Some(last) = self.granted(model, first).await? {
            let lease = (model, last.candidate, Vec::new(), 1, last.granted_at);
            self.members[0].leases.insert(last.ticket, lease);
        }
        let member = self.members.remove(0);
        self.assert(member).await?;
        let member = self.members.pop().expect("it has just been asserted");
        self.members.insert(0, member);
        self.granted(model, first).await?;
        self.compare_state().await
    }

    /// Lets `seconds` pass with heartbeats of the first member.
    async fn fly(&mut self, seconds: u32) -> Result<(), String> {
        for _ in 0..seconds {
            self.clock.lock().unwrap().0 += 1_000;
            self.exchange(Operations::default()).await?;
        }
        Ok(())
    }

    async fn granted(
        &mut self,
        model: ModelIndex,
        candidate: CandidateIndex,
    ) -> Result<Option<Grant>, String> {
        self.tickets += 1;
        let acquire = Acquire {
            ticket: Ticket(self.tickets),
            model,
            priority: 5,
            tokens: 1,
            callers: Vec::new(),
            allow: vec![candidate],
            no_queue: true,
            purpose: PurposeCode::REQUEST,
        };
        let reply = self.exchange(Operations {
            acquires: vec![acquire],
            ..Operations::default()
        });
        Ok(reply.await?.grants.pop())
    }

    async fn ended(
        &mut self,
        model: ModelIndex,
        grant: Option<Grant>,
        outcome: OutcomeCode,
    ) -> Result<(), String> {
        let Some(grant) = grant else {
            return Ok(());
        };
        let release = Release {
            model,
            candidate: grant.candidate,
            callers: Vec::new(),
            reserved: 1,
            granted_at: grant.granted_at,
            tokens: 1,
            outcome,
            first_byte_us: 0,
            token_us: 0,
            retry_ms: 0,
            reported: Vec::new(),
        };
        let operations = Operations {
            releases: vec![release],
            ..Operations::default()
        };
        self.exchange(operations).await.map(|_| ())
    }

    /// A batch of the first member.
    async fn exchange(&mut self, operations: Operations) -> Result<TickReply, String> {
        let catalog = self.remembered_catalog();
        let clock = self.clock();
        let member = &mut self.members[0];
        member.seq += 1;
        member.sent = None;
        let (session, seq) = (member.session.clone(), member.seq);
        let found = self
            .redis
            .tick(&session, seq, &catalog, &operations)
            .await
            .map_err(|error| error.to_string())?;
        let version = catalog.version;
        let expected = self.pool.tick(&clock, &session, seq, version, &operations);
        self.pool.take_posted();
        self.same("a tick of the story", &found, &expected)?;
        Ok(found)
    }

    fn pass_time(&mut self) {
        if self.rng.f32() < 0.006 {
            self.rush = 28;
        }
        let step = match self.rng.f32() {
            // Past an ejection, in steps that the bounded clock follows.
            _ if self.rush > 0 => {
                self.rush -= 1;
                1_200
            }
            x if x < 0.97 => [0, 1, 5, 50, 300][self.rng.usize(..5)],
            _ => [1_500, 3_600_000, -50_000, 70_000, 7_000][self.rng.usize(..5)],
        };
        self.clock.lock().unwrap().0 += step;
    }

    /// Kills, restarts, forgets, leaves and re-catalogues now and then.
    ///
    /// Every other world is calm: what takes a long story, as an ejection and its trial, is told there.
    async fn upset(&mut self) -> Result<(), String> {
        let is_calm = !self.seed.is_multiple_of(2);
        if is_calm && self.rng.f32() < 0.9 {
            return Ok(());
        }
        if self.rng.f32() < 0.006 && self.members.len() > 1 {
            let member = self
                .members
                .swap_remove(self.rng.usize(..self.members.len()));
            // Either the same replica comes back at once, or another one takes over.
            let replica = if self.rng.bool() {
                member.replica.clone()
            } else {
                format!("replica-{}", self.sessions + 10)
            };
            self.dead.push(member);
            self.boot(replica).await?;
        }
        if self.rng.f32() < 0.001 {
            self.tally.restarts += 1;
            let run = format!("{:x}", self.rng.u64(..));
            self.clock.lock().unwrap().1 = run;
        }
        if self.rng.f32() < 0.000_5 {
            self.tally.flushes += 1;
            self.catalog = self.pool.catalog().clone();
            self.pool = Pool::default();
            self.leader = Leader::default();
            self.command(&redis::cmd("FLUSHDB")).await;
        }
        if self.rng.f32() < 0.004 {
            self.elect().await;
        }
        if self.rng.f32() < 0.006 && self.pool.catalog().version > 0 {
            self.publish().await?;
        }
        if self.rng.f32() < 0.002 {
            let fence = Fence(self.rng.u64(..self.leader.fence + 2));
            let audited = self
                .redis
                .audit(fence)
                .await
                .map_err(|error| error.to_string())?;
            let expected = self
                .pool
                .audit(&self.clock(), Fence(self.leader.fence), fence);
            self.same("audit", &audited, &expected)?;
        }
        if self.rng.f32() < 0.2 {
            self.judge().await?;
        }
        if self.rng.f32() < 0.003 {
            let index = self.rng.usize(..self.members.len());
            let session = self.members[index].session.clone();
            let left = self
                .redis
                .bye(&session, self.pool.catalog())
                .await
                .map_err(|error| error.to_string())?;
            let expected = self.pool.bye(&self.clock(), &session);
            self.same("bye", &left, &expected)?;
            self.tally.statuses[usize::from(u8::from(left.status))] += 1;
            if left.status == Status::Done {
                let member = self.members.swap_remove(index);
                self.boot(member.replica).await?;
            }
        }
        if self.rng.f32() < 0.001 {
            self.recatalogue().await?;
        }
        Ok(())
    }

    async fn judge(&mut self) -> Result<(), String> {
        let view = self.pool.view(&self.clock());
        let versions = view
            .scopes
            .iter()
            .map(|scope| scope.health.as_ref().map_or(0, |health| health.version));
        let mut judgement = world::judgement(&mut self.rng, &versions.collect::<Vec<_>>());
        judgement.fence = [
            Fence::NONE,
            Fence(self.leader.fence),
            Fence(self.leader.fence.saturating_sub(1)),
        ][self.rng.usize(..3)];
        let found = self
            .redis
            .judge(&judgement)
            .await
            .map_err(|error| error.to_string())?;
        let expected = self
            .pool
            .judge(&self.clock(), Fence(self.leader.fence), &judgement);
        self.pool.take_posted();
        self.same("judge", &found, &expected)?;
        self.tally.statuses[usize::from(u8::from(expected.status))] += 1;
        Ok(())
    }

    async fn command(&self, command: &redis::Cmd) {
        let client = redis::Client::open(self.url.as_str()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        command.exec_async(&mut connection).await.unwrap();
    }

    /// Another leader, for a while.
    async fn elect(&mut self) {
        let (now, wall) = (self.rng.i64(..1_000_000), self.clock().wall);
        self.leader = Leader {
            fence: self.leader.fence + 1,
            until: now + [-1, 1_000, 6_000][self.rng.usize(..3)],
            now,
            wall,
        };
        let Leader {
            fence, until, now, ..
        } = self.leader;
        let mut record = redis::cmd("HSET");
        record.arg("sluice:1:{main}:leader");
        record.arg("fence").arg(fence).arg("until").arg(until);
        record.arg("now").arg(now).arg("wall").arg(wall);
        self.command(&record).await;
    }

    fn has_leader(&self) -> bool {
        let Leader {
            fence,
            until,
            now,
            wall,
        } = self.leader;
        let passed = self.clock().wall - wall;
        fence > 0 && passed <= 8_000 && until > now + passed.clamp(0, 2_000)
    }

    /// A successor in one or several calls, with ticks between them; some are sent twice, some publishes break off.
    async fn publish(&mut self) -> Result<(), String> {
        let before = self.config.lock().unwrap().clone();
        let config = world::successor(&mut self.rng, &before);
        let mut catalog = Catalog::succeed(&config, self.pool.catalog());
        if self.rng.f32() < 0.05 {
            catalog.version += 1;
        }
        let fence = Fence(
            self.rng
                .u64(self.leader.fence.saturating_sub(1)..self.leader.fence + 2),
        );
        let whole = self
            .redis
            .publish_steps(fence, &catalog)
            .await
            .map_err(|error| error.to_string())?;
        let expected = self.pool.publish_steps(fence, &catalog, 128);
        self.same("publish steps", &whole, &expected)?;
        let changes_max = [1, 3, 7, 128][self.rng.usize(..4)];
        for mut step in self.pool.publish_steps(fence, &catalog, changes_max) {
            if self.rng.f32() < 0.03 {
                step.base += 1;
            }
            if self.rng.f32() < 0.03 {
                step.generation += 1;
            }
            let mut status = Status::Done;
            for sent in 0..1 + self.rng.usize(..4) / 3 {
                let found = self
                    .redis
                    .publish_step(&step)
                    .await
                    .map_err(|error| error.to_string())?;
                let leader = Fence(self.leader.fence);
                let expected = self.pool.publish(&self.clock(), leader, &step);
                self.pool.take_posted();
                self.same("publish", &found, &expected)?;
                self.tally.statuses[usize::from(u8::from(found.status))] += 1;
                if sent == 0 {
                    status = found.status;
                }
            }
            self.compare_state().await?;
            if status != Status::Done {
                break;
            }
            if self.rng.f32() < 0.05 {
                self.tally.broken_off += 1;
                break;
            }
            if step.catalog.is_none() {
                for _ in 0..1 + self.rng.usize(..4) {
                    self.pass_time();
                    self.tick().await?;
                }
            }
        }
        if self.pool.catalog().hash == catalog.hash {
            *self.config.lock().unwrap() = config;
            self.tally.published += 1;
        }
        Ok(())
    }

    /// Everybody dies; the next to boot brings other limits.
    async fn recatalogue(&mut self) -> Result<(), String> {
        self.tally.recatalogued += 1;
        let before = self.config.lock().unwrap().clone();
        let config = world::config(&mut self.rng);
        *self.config.lock().unwrap() = config;
        self.members.clear();
        self.dead.clear();
        for _ in 0..8 {
            // Logical time moves only when somebody calls: a session that comes and goes moves it past all expiries.
            self.clock.lock().unwrap().0 += 2_000;
            self.boot("passer-by".into()).await?;
            self.members.clear();
        }
        self.clock.lock().unwrap().0 += 2_000;
        if self.pool.catalog().hash != Catalog::declare(&self.config.lock().unwrap()).hash {
            // A leader lives, whose catalog it may be.
            self.tally.kept_out += 1;
            *self.config.lock().unwrap() = before;
        }
        for replica in 0..3 {
            self.boot(format!("replica-{replica}")).await?;
        }
        Ok(())
    }

    async fn boot(&mut self, replica: String) -> Result<(), String> {
        for _ in 0..4 {
            let boot = Boot {
                session: self.next_session(),
                replica: replica.as_str().into(),
            };
            let declared = self.remembered_catalog();
            let offered = match self.pool.catalog() {
                stored if stored.version == 0 => declared.clone(),
                stored if stored.hash == declared.hash => stored.clone(),
                stored => Catalog::succeed(&self.config.lock().unwrap(), stored),
            };
            let (wake_ups, _) = mpsc::unbounded_channel();
            let found = self
                .redis
                .boot(&boot, &declared, &wake_ups)
                .await
                .map_err(|error| error.to_string())?;
            let has_leader = self.has_leader();
            let expected = self.pool.boot(&self.clock(), has_leader, &boot, &offered);
            self.same("boot", &found.0, &expected)?;
            self.same("catalog", &found.1, self.pool.catalog())?;
            self.tally.statuses[usize::from(u8::from(expected.status))] += 1;
            if expected.status == Status::Done {
                self.members.push(Member::new(boot.session, replica));
                return Ok(());
            }
            self.clock.lock().unwrap().0 += 1_000;
        }
        Err("a dead replica's name was not given back".into())
    }

    async fn tick(&mut self) -> Result<(), String> {
        let catalog = self.remembered_catalog();
        let is_dead = !self.dead.is_empty() && self.rng.f32() < 0.02;
        let pool = if is_dead {
            &mut self.dead
        } else {
            &mut self.members
        };
        let index = self.rng.usize(..pool.len());
        let mut member = pool.swap_remove(index);
        let mut is_again = false;
        let (seq, operations) = match (&member.sent, self.rng.f32()) {
            (Some(sent), x) if x < 0.05 => {
                is_again = true;
                sent.clone()
            }
            (_, x) if x < 0.055 => (member.seq + 2, Default::default()),
            (_, x) if x < 0.06 && member.seq > 1 => (member.seq - 1, Default::default()),
            _ => {
                member.seq += 1;
                let callers = world::caller_rows(&catalog);
                let sent = (
                    member.seq,
                    member.batch(&mut self.rng, &mut self.tickets, &callers, &catalog),
                );
                member.sent = Some(sent.clone());
                sent
            }
        };
        let mut spoken = catalog;
        if self.rng.f32() < 0.002 {
            spoken.version += 1;
            is_again = true;
            member.seq -= u64::from(
                seq == member.seq
                    && member.sent.as_ref().is_some_and(|sent| sent.0 == seq)
                    && seq > 0,
            );
            member.sent = None;
        }
        let found = self
            .redis
            .tick(&member.session, seq, &spoken, &operations)
            .await
            .map_err(|error| error.to_string())?;
        let expected = self.pool.tick(
            &self.clock(),
            &member.session,
            seq,
            spoken.version,
            &operations,
        );
        self.pool.take_posted();
        self.same("tick", &found, &expected)?;
        self.tally.ticks += 1;
        self.count(&expected, is_again);

        match expected.status {
            Status::Done if !is_again => Self::remember(&mut member, &expected),
            Status::Gone | Status::Rollback | Status::NoEpoch if !is_dead => {
                return self.assert(member).await;
            }
            _ => {}
        }
        if is_dead {
            if expected.status != Status::Gone {
                self.dead.push(member);
            }
        } else {
            self.members.push(member);
        }
        Ok(())
    }

    async fn assert(&mut self, member: Member) -> Result<(), String> {
        self.tally.asserts += 1;
        let session = self.next_session();
        let assert = member.assertion(&mut self.rng, session.clone());
        let (wake_ups, _) = mpsc::unbounded_channel();
        let mut catalog = self.remembered_catalog();
        if self.rng.f32() < 0.1 && self.pool.catalog().version > 0 {
            // Another catalog than the one in force is refused whole.
            catalog.queue_max += 1;
            let (found, _) = self
                .redis
                .assert(&assert, &catalog, &wake_ups)
                .await
                .map_err(|error| error.to_string())?;
            let expected = self.pool.assert(&self.clock(), &assert, &catalog);
            self.same("assert", &found, &expected)?;
            catalog.queue_max -= 1;
        }
        for _ in 0..1 + self.rng.usize(..2) {
            let found = self
                .redis
                .assert(&assert, &catalog, &wake_ups)
                .await
                .map_err(|error| error.to_string())?;
            let expected: JoinReply = self.pool.assert(&self.clock(), &assert, &catalog);
            self.same("assert", &found.0, &expected)?;
        }
        let mut member = Member {
            session,
            seq: 0,
            sent: None,
            ..member
        };
        member.waiting.retain(|_, (_, sequence)| *sequence > 0);
        self.members.push(member);
        Ok(())
    }

    fn remember(member: &mut Member, reply: &TickReply) {
        let Mail { grants, rejected } = &reply.mail;
        for grant in reply.grants.iter().chain(grants) {
            member.granted(grant);
        }
        for rejected in reply.rejected.iter().chain(rejected) {
            member.waiting.remove(&rejected.ticket);
        }
        for queued in &reply.queued {
            if let Some((_, sequence)) = member.waiting.get_mut(&queued.ticket) {
                *sequence = queued.sequence;
            }
        }
    }

    async fn compare_state(&mut self) -> Result<(), String> {
        self.tally.dumps += 1;
        let (found, _) = self
            .redis
            .snapshot()
            .await
            .map_err(|error| error.to_string())?;
        self.same("state", &found, &self.pool.rotated())
    }

    fn count(&mut self, reply: &TickReply, is_again: bool) {
        let tally = &mut self.tally;
        tally.statuses[usize::from(u8::from(reply.status))] += 1;
        if !is_again {
            tally.grants += reply.grants.len() as u64;
            tally.handed_over += reply.mail.grants.len() as u64;
            tally.queued += reply.queued.len() as u64;
            for rejected in reply.rejected.iter().chain(&reply.mail.rejected) {
                tally.rejected[usize::from(u8::from(rejected.reason))] += 1;
            }
        }
    }

    fn same<T: PartialEq + std::fmt::Debug>(
        &self,
        what: &str,
        found: &T,
        expected: &T,
    ) -> Result<(), String> {
        if found == expected {
            return Ok(());
        }
        let (found, expected) = (format!("{found:#?}"), format!("{expected:#?}"));
        let differing = found
            .lines()
            .zip(expected.lines())
            .enumerate()
            .filter(|(_, (a, b))| a != b)
            .take(6);
        let differing: Vec<String> = differing
            .map(|(at, (a, b))| format!("{at}: redis {a} / machine {b}"))
            .collect();
        Err(format!(
            "seed {} tick {}: {what} differs:\n{}",
            self.seed,
            self.tally.ticks,
            differing.join("\n")
        ))
    }

    /// What replicas go by: the catalog in force, also after the store forgot it.
    fn remembered_catalog(&mut self) -> Catalog {
        if self.pool.catalog().version > 0 {
            self.catalog = self.pool.catalog().clone();
        }
        let declared = Catalog::declare(&self.config.lock().unwrap());
        if self.catalog.hash == declared.hash {
            self.catalog.clone()
        } else {
            declared
        }
    }

    fn clock(&self) -> ServerClock {
        let clock = self.clock.lock().unwrap();
        ServerClock {
            wall: clock.0,
            run: clock.1.clone(),
        }
    }

    fn next_session(&mut self) -> SessionId {
        self.sessions += 1;
        SessionId::from(format!("s{}", self.sessions).as_str())
    }
}

#[tokio::test]
async fn scripts_and_machine_agree_over_a_hundred_thousand_random_ticks() {
    let seeds: u64 = 20;
    let server = RedisServer::start();
    let mut total = Tally::default();
    for seed in 0..seeds {
        let client = redis::Client::open(server.url.as_str()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        redis::cmd("FLUSHDB")
            .exec_async(&mut connection)
            .await
            .unwrap();
        let mut comparison = Comparison::new(&server.url, seed, |_, source| source.to_owned());

        let outcome = comparison.run(100_000 / seeds).await;

        assert_eq!(outcome, Ok(()), "{:?}", comparison.tally);
        total.add(&comparison.tally);
    }
    eprintln!("no difference: {total:?}");
    assert!(total.ticks >= 100_000);
    assert!(
        total.rejected.iter().all(|n| *n > 0),
        "a kind of rejection was never met: {total:?}"
    );
    assert!(
        total.statuses.iter().all(|n| *n > 0),
        "a status was never met: {total:?}"
    );
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.ticks += other.ticks;
        self.grants += other.grants;
        self.handed_over += other.handed_over;
        self.queued += other.queued;
        self.asserts += other.asserts;
        self.restarts += other.restarts;
        self.flushes += other.flushes;
        self.recatalogued += other.recatalogued;
        self.published += other.published;
        self.broken_off += other.broken_off;
        self.kept_out += other.kept_out;
        self.dumps += other.dumps;
        for (sum, n) in self.rejected.iter_mut().zip(other.rejected) {
            *sum += n;
        }
        for (sum, n) in self.statuses.iter_mut().zip(other.statuses) {
            *sum += n;
        }
    }
}
