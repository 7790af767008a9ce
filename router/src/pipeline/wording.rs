//! How one request is told to whoever may be asked.

use std::sync::{Arc, Mutex, PoisonError};

use dialect::canon::{AnswerFacts, StreamVariant};
use dialect::{Ask, BadRequest, Endpoint, Exchange, Overrides, Target, goes_through};
use shared::config::{Dialect, Manners};

use crate::fleet::{FleetCandidate, FleetModel};
use crate::upstream::Form;

/// A request, and its wording for each kind of upstream, made once: before any slot is taken where it has to be
/// translated, so that what cannot be told burns nothing.
#[derive(Debug)]
pub(crate) struct Wording {
    ask: Ask,
    /// What goes upstream in place of the JSON that routing read.
    form: Option<Form>,
    variant: StreamVariant,
    facts: AnswerFacts,
    /// Never held across an await.
    exchanges: Mutex<Vec<(Kind, Arc<Exchange>)>>,
}

/// What a wording depends on.
#[derive(Debug, PartialEq, Eq)]
struct Kind {
    dialect: Dialect,
    manners: Manners,
    model: String,
    /// They may be others once the configuration was read again.
    overrides: Overrides,
    drop_unsupported: bool,
}

impl Wording {
    /// `facts.prompt_tokens` are not needed yet.
    pub(crate) fn new(
        ask: Ask,
        form: Option<Form>,
        variant: StreamVariant,
        facts: AnswerFacts,
    ) -> Self {
        Self {
            ask,
            form,
            variant,
            facts,
            exchanges: Mutex::new(Vec::new()),
        }
    }

    pub(crate) fn ask(&self) -> &Ask {
        &self.ask
    }

    pub(crate) fn form(&self) -> Option<&Form> {
        self.form.as_ref()
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        self.ask.endpoint()
    }

    /// What an answer is told with.
    pub(crate) fn facts(&self) -> &AnswerFacts {
        &self.facts
    }

    /// Whether the client's bytes go to `candidate` as they are, so that there is nothing to translate.
    pub(crate) fn is_faithful(&self, candidate: &FleetCandidate) -> bool {
        let provider = &candidate.provider;
        goes_through(self.ask.endpoint(), provider.dialect, provider.manners)
    }

    /// The wording for `candidate` of `model`.
    ///
    /// # Errors
    ///
    /// What its dialect cannot express.
    pub(crate) fn exchange(
        &self,
        model: &FleetModel,
        candidate: &FleetCandidate,
    ) -> Result<Arc<Exchange>, BadRequest> {
        let kind = Kind {
            dialect: candidate.provider.dialect,
            manners: candidate.provider.manners,
            model: candidate.upstream_model.clone(),
            overrides: model.overrides.clone(),
            drop_unsupported: model.drop_unsupported,
        };
        let mut exchanges = self
            .exchanges
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = exchanges.iter().find(|(known, _)| *known == kind) {
            return Ok(Arc::clone(known));
        }
        let target = Target {
            dialect: kind.dialect,
            manners: kind.manners,
            model: &kind.model,
            overrides: &model.overrides,
            drop_unsupported: model.drop_unsupported,
        };
        let exchange = Arc::new(Exchange::new(&self.ask, self.variant, &target)?);
        exchanges.push((kind, Arc::clone(&exchange)));
        Ok(exchange)
    }
}
