//! A replica's side of the shared state (a stand-in: grants round robin, without any limit but a test's).

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::catalog::Catalog;
use crate::ids::CandidateIndex;
use crate::lease::{Claim, Outcome, Refusal, RefusalReason, Remaining, Settlement};
use crate::state::view::View;

#[derive(Clone, Debug)]
pub struct Session(Arc<Inner>);

#[derive(Debug)]
pub struct Inner {
    catalog: Arc<Catalog>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub struct State {
    next: usize,
    pub held: usize,
    pub settled: Vec<Settlement>,
    pub charged: u64,
    pub refuse: Option<Refusal>,
}

impl Session {
    pub fn stand_in(catalog: Catalog) -> Self {
        Self(Arc::new(Inner {
            catalog: Arc::new(catalog),
            state: Mutex::default(),
        }))
    }

    pub fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.0.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub async fn acquire(&self, claim: Claim, _deadline: Instant) -> Result<Lease, Refusal> {
        tokio::task::yield_now().await;
        let model = &self.0.catalog.models[claim.model.position()];
        let allowed: Vec<_> = model
            .candidates
            .iter()
            .filter(|c| claim.allow.as_ref().is_none_or(|a| a.contains(c)))
            .copied()
            .collect();
        self.with(|state| {
            if let Some(refusal) = &state.refuse {
                return Err(refusal.clone());
            }
            if allowed.is_empty() {
                return Err(Refusal {
                    reason: RefusalReason::Unavailable,
                    retry_after: Duration::from_secs(1),
                });
            }
            let candidate = allowed[0];
            state.next += 1;
            state.held += 1;
            Ok(Lease {
                session: self.clone(),
                candidate,
                tokens: claim.tokens,
                is_settled: false,
            })
        })
    }

    pub fn is_ready(&self) -> bool {
        true
    }

    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.0.catalog)
    }

    pub async fn view(&self) -> Result<View, StateError> {
        tokio::task::yield_now().await;
        let (held, used) = self.with(|state| (state.held, state.charged));
        Ok(View {
            scopes: vec![crate::state::view::ScopeView {
                kind: crate::catalog::ScopeKind::Key,
                name: "all".to_owned(),
                held: held as u64,
                slots_max: None,
                grants: 0,
                windows: vec![crate::state::view::WindowView {
                    kind: "tpm".to_owned(),
                    used,
                    limit: 0,
                }],
            }],
            ..View::default()
        })
    }

    pub async fn leave(&self) {
        tokio::task::yield_now().await;
    }
}

#[derive(Debug)]
pub struct Lease {
    session: Session,
    candidate: CandidateIndex,
    tokens: u32,
    is_settled: bool,
}

impl Lease {
    pub fn candidate(&self) -> CandidateIndex {
        self.candidate
    }

    pub fn number(&self) -> u64 {
        0
    }

    pub fn is_dispatchable(&self) -> bool {
        true
    }

    pub fn lost(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        std::future::pending()
    }

    pub fn remaining(&self) -> &[Remaining] {
        &[]
    }

    pub fn settle(mut self, settlement: Settlement) {
        self.is_settled = true;
        self.session.with(|state| {
            state.held -= 1;
            let tokens = match settlement.outcome {
                Outcome::Unsent => 0,
                _ => settlement.tokens.unwrap_or(self.tokens),
            };
            state.charged += u64::from(tokens);
            state.settled.push(settlement);
        });
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.is_settled {
            self.session.with(|state| {
                state.held -= 1;
                state.settled.push(Settlement {
                    outcome: Outcome::ClientAbort,
                    tokens: None,
                    latency: Duration::ZERO,
                    first_byte: None,
                });
            });
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("the state store does not answer: {0}")]
    Away(String),
}
