//! The keys that have been configured or seen, each with its limits, its behaviour and its tally.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use shared::catalog::{Limits, WindowKind};

use crate::behaviour::{Behaviour, BehaviourPatch};
use crate::clock::Clock;
use crate::flight::Flight;
use crate::limits::{Meter, Refusal, Standing};
use crate::options::KeyRule;
use crate::oracle::{ArrivalId, ArrivalReport, Ending, KeyReport, ProbeReport, Tally};

/// The name under which a behaviour is set for all keys.
const ALL_KEYS: &str = "*";

/// Every key the provider knows.
#[derive(Debug)]
pub(crate) struct Keys {
    clock: Clock,
    /// Whether only configured keys are accepted.
    strict: bool,
    registry: RwLock<Registry>,
}

#[derive(Debug)]
struct Registry {
    reset_us: u64,
    /// Behaviour of all keys without a patch.
    base: Behaviour,
    patches: HashMap<String, BehaviourPatch>,
    keys: HashMap<String, Arc<KeyState>>,
}

/// One key's state; every method takes its lock for a few steps only.
#[derive(Debug)]
pub(crate) struct KeyState {
    clock: Clock,
    /// Whether requests with this key are answered.
    accepted: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    behaviour: Behaviour,
    chance: fastrand::Rng,
    meter: Meter,
    tally: Tally,
}

/// A request's arrival, as the provider sees it.
pub(crate) struct Arrival {
    pub(crate) flight: Flight,
    pub(crate) refusal: Option<Refusal>,
    pub(crate) requests: Option<Standing>,
    pub(crate) tokens: Option<Standing>,
    /// From 0 to 1: where the first byte is placed, and whether the request fails.
    pub(crate) chances: (f64, f64),
}

impl Keys {
    pub(crate) fn new(clock: Clock, base: Behaviour, rules: &[KeyRule]) -> Self {
        let mut registry = Registry {
            reset_us: clock.now_us(),
            base,
            patches: HashMap::new(),
            keys: HashMap::new(),
        };
        for rule in rules {
            registry.add(clock, &rule.secret, &rule.limits, true);
        }
        Self {
            clock,
            strict: !rules.is_empty(),
            registry: RwLock::new(registry),
        }
    }

    /// The state of `secret`, which begins now if it has not been seen.
    pub(crate) fn get(&self, secret: &str) -> Arc<KeyState> {
        if let Some(key) = self.read().keys.get(secret) {
            return Arc::clone(key);
        }
        let mut registry = self.write();
        // Another request may have added it between the two locks.
        match registry.keys.get(secret) {
            Some(key) => Arc::clone(key),
            None => registry.add(self.clock, secret, &Limits::default(), !self.strict),
        }
    }

    /// Replaces what was set for `name`, a secret or `*`; requests that arrive from now on see it.
    pub(crate) fn set_behaviour(&self, name: &str, patch: BehaviourPatch) {
        let is_reseeded = patch.seed.is_some();
        let mut registry = self.write();
        registry.patches.insert(name.to_owned(), patch);
        for (secret, key) in &registry.keys {
            let behaviour = registry.behaviour_of(secret);
            let mut state = key.lock();
            // A seed that is set again begins again; what says nothing of it goes on.
            if is_reseeded && (name == ALL_KEYS || name == secret) {
                state.chance = chance(behaviour.seed, secret);
            }
            state.behaviour = behaviour;
        }
    }

    /// Every key's numbers by secret, and when they were last reset.
    pub(crate) fn report(&self) -> (u64, BTreeMap<String, KeyReport>) {
        let registry = self.read();
        let reports = registry
            .keys
            .iter()
            .map(|(secret, key)| (secret.clone(), key.report()))
            .collect();
        (registry.reset_us, reports)
    }

    /// The arrivals and probes on `secret`, and when they were last reset.
    pub(crate) fn arrivals(&self, secret: &str) -> (u64, Vec<ArrivalReport>, Vec<ProbeReport>) {
        let registry = self.read();
        let (arrivals, probes) = match registry.keys.get(secret) {
            Some(key) => {
                let tally = &key.lock().tally;
                (tally.arrivals(), tally.probes())
            }
            None => Default::default(),
        };
        (registry.reset_us, arrivals, probes)
    }

    /// Forgets what arrived; the limits' windows stay, as they would at a provider. Tells when that was.
    pub(crate) fn reset(&self) -> u64 {
        let mut registry = self.write();
        let now_us = self.clock.now_us();
        registry.reset_us = now_us;
        for key in registry.keys.values() {
            key.lock().tally.reset(now_us);
        }
        now_us
    }

    fn read(&self) -> RwLockReadGuard<'_, Registry> {
        self.registry.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Registry> {
        self.registry
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registry {
    fn add(
        &mut self,
        clock: Clock,
        secret: &str,
        limits: &Limits,
        accepted: bool,
    ) -> Arc<KeyState> {
        let behaviour = self.behaviour_of(secret);
        let key = Arc::new(KeyState {
            clock,
            accepted,
            state: Mutex::new(State {
                chance: chance(behaviour.seed, secret),
                behaviour,
                meter: Meter::new(limits),
                tally: Tally::new(self.reset_us),
            }),
        });
        self.keys.insert(secret.to_owned(), Arc::clone(&key));
        key
    }

    /// What is set for the key itself comes before what is set for all keys.
    fn behaviour_of(&self, secret: &str) -> Behaviour {
        let mut behaviour = self.base.clone();
        for name in [ALL_KEYS, secret] {
            if let Some(patch) = self.patches.get(name) {
                behaviour = behaviour.patched(patch);
            }
        }
        behaviour
    }
}

impl KeyState {
    pub(crate) fn is_accepted(&self) -> bool {
        self.accepted
    }

    pub(crate) fn behaviour(&self) -> Behaviour {
        self.lock().behaviour.clone()
    }

    /// Counts a request that will use `tokens`, and checks it against the limits.
    pub(crate) fn arrive(self: &Arc<Self>, tokens: u32, request_id: Option<&str>) -> Arrival {
        let mut state = self.lock();
        // Read inside the lock, so that arrivals are in the order of their times.
        let now_us = self.clock.now_us();
        let in_flight = state.tally.in_flight();
        let refusal = state.meter.admit(now_us, tokens, in_flight).err();
        let arrival = state.tally.arrive(now_us, tokens, request_id);
        let chances = (state.chance.f64(), state.chance.f64());
        let requests = [WindowKind::Rpm, WindowKind::Rpd, WindowKind::Qps];
        let requests = state.meter.standing(now_us, &requests);
        let tokens = [WindowKind::Tpm, WindowKind::Tpd];
        let tokens = state.meter.standing(now_us, &tokens);
        drop(state);
        Arrival {
            flight: Flight::new(Arc::clone(self), arrival),
            refusal,
            requests,
            tokens,
            chances,
        }
    }

    /// Counts a request that no limit is asked about, because it cannot be answered.
    pub(crate) fn turn_away(self: &Arc<Self>, request_id: Option<&str>) -> Flight {
        let mut state = self.lock();
        let arrival = state.tally.arrive(self.clock.now_us(), 0, request_id);
        drop(state);
        Flight::new(Arc::clone(self), arrival)
    }

    pub(crate) fn end(&self, arrival: ArrivalId, ending: Ending, status: u16) {
        let mut state = self.lock();
        let now_us = self.clock.now_us();
        state.tally.end(arrival, now_us, ending, status);
    }

    /// A chance for what is no arrival.
    pub(crate) fn chance(&self) -> f64 {
        self.lock().chance.f64()
    }

    /// Counts a probe that is answered with `status`; 0 stands for a reset.
    pub(crate) fn probe(&self, status: u16) {
        let mut state = self.lock();
        let now_us = self.clock.now_us();
        state.tally.probe(now_us, status);
    }

    fn report(&self) -> KeyReport {
        let mut state = self.lock();
        let now_us = self.clock.now_us();
        state.tally.report(now_us)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Held only between awaits, hence a std mutex.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keys of one seed differ from each other, and each repeats itself.
fn chance(seed: Option<u64>, secret: &str) -> fastrand::Rng {
    let Some(seed) = seed else {
        return fastrand::Rng::new();
    };
    let mut hasher = DefaultHasher::new();
    secret.hash(&mut hasher);
    fastrand::Rng::with_seed(seed ^ hasher.finish())
}
