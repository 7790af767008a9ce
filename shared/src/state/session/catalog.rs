//! Following the catalog: a replica speaks in the indexes of the one in force.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::actor::{Actor, Answer, Call};
use super::translate::Translator;
use crate::catalog::Catalog;
use crate::ids::Ticket;
use crate::lease::RefusalReason;
use crate::state::StateError;
use crate::state::protocol::TickReply;

impl Actor {
    /// The batch was refused unread, because the catalog is another one: it goes out again when that is known.
    pub(super) fn fetch_catalog(&mut self, reply: &TickReply) {
        let state = Arc::clone(&self.state);
        let TickReply {
            generation, base, ..
        } = *reply;
        self.answering = Some(Box::pin(async move {
            let agreed = state.catalog().await?;
            Ok(Answer::Catalog {
                agreed,
                generation,
                base,
            })
        }));
    }

    pub(super) fn fetched(&mut self, agreed: Catalog, generation: i64, base: u64) {
        if agreed.version == 0 || agreed == *self.catalog {
            // It moved once more on the way.
            self.failed(&StateError::Away("its catalog is moving".into()));
        } else if agreed.succeeds(&self.catalog) {
            self.agree(agreed);
            self.launch();
        } else if let Some(flight) = self.flight.take() {
            // The store lost its data, and somebody else's catalog restored it.
            if let Call::Tick { operations, .. } = &flight.call {
                self.take_back(operations);
            }
            self.translate(&agreed);
            self.agree(agreed);
            self.assert(generation, base);
        }
    }

    /// The store goes by another catalog than this assert.
    pub(super) fn assert_anew(&mut self, call: Call, agreed: Catalog) {
        let Call::Assert(assert) = &call else { return };
        if agreed.succeeds(&self.catalog) {
            self.agree(agreed);
            self.take_off(call);
            return;
        }
        let translated = Translator::new(&self.catalog, &agreed).assert(assert);
        self.translate(&agreed);
        self.agree(agreed);
        self.take_off(Call::Assert(Arc::new(translated)));
    }

    fn agree(&mut self, agreed: Catalog) {
        tracing::info!(
            version = agreed.version,
            "The configuration in force has changed: catalog {}",
            agreed.version
        );
        self.catalog = Arc::new(agreed);
        self.memory.follow(&self.catalog);
        *self
            .common
            .catalog
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Arc::clone(&self.catalog);
    }

    /// Says in the indexes of `next` what this replica holds and waits for; what has no name there is let go.
    fn translate(&mut self, next: &Catalog) {
        let translator = Translator::new(&self.catalog, next);
        let n_leases = self.leases.len();
        self.leases
            .retain(|_, held| translator.scopes(&mut held.scopes));
        let n_dropped = n_leases - self.leases.len();
        if n_dropped > 0 {
            tracing::warn!(
                "{n_dropped} running requests are not counted any more: the state store lost its data, and the \
                 configuration that it was given does not know what they hold"
            );
        }

        let mut hopeless: Vec<Ticket> = Vec::new();
        for (ticket, waiter) in &mut self.waiters {
            if !translator.acquire(&mut waiter.acquire) {
                hopeless.push(*ticket);
            }
        }
        for ticket in &hopeless {
            if let Some(waiter) = self.waiters.remove(ticket) {
                self.refuse(
                    waiter.answer,
                    RefusalReason::Unavailable,
                    Duration::from_secs(1),
                );
            }
        }
        self.pending.translate(&translator);
        self.memory.translate(&translator);
        self.unsettled
            .retain_mut(|charge| translator.charge(charge));
    }
}
