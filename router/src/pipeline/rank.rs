//! Caller and request → the candidates that can serve it. Pure.

use std::sync::Arc;

use dialect::{BadRequest, Needs, TokenCounter};
use shared::ids::{CandidateIndex, ProviderName};

use crate::fleet::{Caller, Fleet, FleetCandidate, FleetModel};
use crate::pipeline::problem::Problem;
use crate::pipeline::wording::Wording;

/// Finds the model that `caller` asked for by `name`, its public name or an alias.
///
/// A model that the caller may not use does not exist for it.
pub(crate) fn rank<'a>(
    fleet: &'a Fleet,
    caller: &Caller,
    name: &str,
) -> Result<&'a Arc<FleetModel>, Problem> {
    fleet
        .model(name)
        .filter(|model| caller.may_use(name, model))
        .ok_or_else(|| Problem::UnknownModel {
            model: name.to_owned(),
        })
}

/// `model` with those of its candidates that can serve the request: it fits their context, they can do what it needs,
/// and their dialect can be asked for it.
///
/// # Errors
///
/// None can: why the last one asked cannot.
pub(crate) fn able(
    model: &Arc<FleetModel>,
    wording: &Wording,
    counter: &TokenCounter,
) -> Result<Arc<FleetModel>, BadRequest> {
    let is_simple = |candidate: &FleetCandidate| {
        candidate.context_length.is_none()
            && candidate.capabilities.is_none()
            && wording.is_faithful(candidate)
    };
    if model.candidates.iter().all(is_simple) {
        return Ok(Arc::clone(model));
    }
    let ask = wording.ask();
    let needs = ask.needs();
    let tokens = ask.context_tokens(counter, model.overrides.fields());
    let mut able = Vec::with_capacity(model.candidates.len());
    let mut refusal = None;
    for candidate in &model.candidates {
        match can_serve(model, candidate, wording, &needs, tokens) {
            Ok(()) => able.push(candidate.clone()),
            Err(reason) => refusal = Some(reason),
        }
    }
    match refusal {
        None => Ok(Arc::clone(model)),
        Some(refusal) if able.is_empty() => Err(refusal),
        Some(_) => Ok(Arc::new(model.with_candidates(able))),
    }
}

fn can_serve(
    model: &FleetModel,
    candidate: &FleetCandidate,
    wording: &Wording,
    needs: &Needs,
    tokens: Option<u32>,
) -> Result<(), BadRequest> {
    let known = candidate.capabilities.as_deref();
    if let Some(missing) = known.and_then(|known| needs.missing_in(known)) {
        return Err(BadRequest {
            message: format!(
                "The model `{}` has no upstream that can do what the request needs: `{}`.",
                model.name,
                missing.name()
            ),
            param: None,
            code: Some("unsupported_capability"),
        });
    }
    let is_too_long = match (tokens, candidate.context_length) {
        (Some(tokens), Some(length)) => tokens > length,
        _ => false,
    };
    if is_too_long {
        let tokens = tokens.unwrap_or_default();
        let lengths = model.candidates.iter();
        let length = lengths
            .filter_map(|candidate| candidate.context_length)
            .max();
        let length = length.unwrap_or_default();
        return Err(BadRequest {
            message: format!(
                "The request and its answer need about {tokens} tokens; the longest context that the model `{}` has is {length} tokens. Shorten the prompt or ask for fewer output tokens.",
                model.name
            ),
            param: None,
            code: Some("context_length_exceeded"),
        });
    }
    match wording.is_faithful(candidate) {
        true => Ok(()),
        false => wording.exchange(model, candidate).map(drop),
    }
}

/// The candidates of the account `home`.
pub(crate) fn at_home(model: &FleetModel, home: &str) -> Vec<CandidateIndex> {
    let is_home = |candidate: &&FleetCandidate| &*candidate.label == home;
    let found = model.candidates.iter().filter(is_home);
    found.map(|candidate| candidate.index).collect()
}

/// The candidates that a first attempt may take; `None` is all that the catalog has.
pub(crate) fn first_choice(model: &FleetModel) -> Option<Vec<CandidateIndex>> {
    let indexes = || model.candidates.iter().map(|candidate| candidate.index);
    model.is_partial.then(|| indexes().collect())
}

/// The candidates that were not tried yet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Untried<'a> {
    /// Of providers that were not tried either.
    pub(crate) elsewhere: Vec<CandidateIndex>,
    /// Other keys and upstreams of providers that failed, by provider.
    pub(crate) same: Vec<(&'a ProviderName, Vec<CandidateIndex>)>,
}

pub(crate) fn untried<'a>(model: &'a FleetModel, tried: &[CandidateIndex]) -> Untried<'a> {
    let tried_providers: Vec<_> = tried
        .iter()
        .filter_map(|index| model.position(*index))
        .map(|position| &model.candidates[position].provider.name)
        .collect();
    let mut elsewhere = Vec::new();
    let mut same: Vec<(&ProviderName, Vec<CandidateIndex>)> = Vec::new();
    for candidate in &model.candidates {
        if tried.contains(&candidate.index) {
            continue;
        }
        let provider = &candidate.provider.name;
        if !tried_providers.contains(&provider) {
            elsewhere.push(candidate.index);
            continue;
        }
        match same.iter_mut().find(|(known, _)| *known == provider) {
            Some((_, allow)) => allow.push(candidate.index),
            None => same.push((provider, vec![candidate.index])),
        }
    }
    Untried { elsewhere, same }
}

#[cfg(test)]
mod tests {
    use crate::fleet::tests::{TOKEN, config, fleet};
    use crate::pipeline::authenticate::{Credentials, authenticate};

    use super::*;

    #[test]
    fn a_model_is_found_by_name_and_by_alias() {
        let fleet = fleet(&config());
        let caller = authenticate(&fleet, Credentials::Token(TOKEN.as_bytes())).unwrap();

        assert_eq!(rank(&fleet, caller, "large").unwrap().name.as_str(), "gpt");
        assert_eq!(rank(&fleet, caller, "gpt").unwrap().name.as_str(), "gpt");
        assert!(rank(&fleet, caller, "secret").is_err());
        assert!(rank(&fleet, caller, "nothing").is_err());
    }

    #[test]
    fn other_providers_are_told_apart_from_other_keys_of_one_that_failed() {
        let fleet = fleet(&config());
        let model = fleet.model("gpt").unwrap();
        let index = |position: usize| model.candidates[position].index;

        // azure has the keys 0 and 1, openai the key 2.
        let azure = &model.candidates[0].provider.name;
        let check = |tried: &[CandidateIndex], elsewhere, same| {
            assert_eq!(untried(model, tried), Untried { elsewhere, same });
        };
        check(&[index(0)], vec![index(2)], vec![(azure, vec![index(1)])]);
        check(&[index(0), index(2)], vec![], vec![(azure, vec![index(1)])]);
        check(&[index(0), index(1), index(2)], vec![], vec![]);
    }

    #[test]
    fn what_the_file_does_not_have_is_not_allowed() {
        let whole = config();
        let mut part = config();
        part.providers[0].keys.pop();
        let catalog = std::sync::Arc::new(shared::catalog::Catalog::declare(&whole));
        let all = Fleet::build(&whole, std::sync::Arc::clone(&catalog), None);
        let fewer = Fleet::build(&part, catalog, None);

        assert_eq!(first_choice(all.model("gpt").unwrap()), None);
        let model = fewer.model("gpt").unwrap();
        let known: Vec<_> = model.candidates.iter().map(|known| known.index).collect();
        assert_eq!(known.len(), 2);
        assert_eq!(first_choice(model), Some(known));
    }

    #[test]
    fn an_account_is_found_by_its_label() {
        let config = config();
        let catalog = std::sync::Arc::new(shared::catalog::Catalog::declare(&config));
        let fleet = Fleet::build(&config, catalog, None);
        let model = fleet.model("gpt").unwrap();
        let second = &model.candidates[1];

        assert_eq!(at_home(model, &second.label), [second.index]);
        assert_eq!(at_home(model, "nobody/main"), []);
    }
}
