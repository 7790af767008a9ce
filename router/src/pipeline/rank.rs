//! Caller and request → the candidates that can serve it. Pure.

use std::sync::Arc;

use shared::ids::CandidateIndex;

use crate::fleet::{Caller, Fleet, FleetModel};
use crate::pipeline::problem::Problem;

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

/// The candidates that a first attempt may take; `None` is all that the catalog has.
pub(crate) fn first_choice(model: &FleetModel) -> Option<Vec<CandidateIndex>> {
    let indexes = || model.candidates.iter().map(|candidate| candidate.index);
    model.is_partial.then(|| indexes().collect())
}

/// The candidates that were not tried yet, in the groups in which to ask for them: other providers first.
pub(crate) fn next_choices(
    model: &FleetModel,
    tried: &[CandidateIndex],
) -> Vec<Vec<CandidateIndex>> {
    let tried_providers: Vec<_> = tried
        .iter()
        .filter_map(|index| model.position(*index))
        .map(|position| &model.candidates[position].provider.name)
        .collect();
    let (elsewhere, same): (Vec<_>, Vec<_>) = model
        .candidates
        .iter()
        .filter(|candidate| !tried.contains(&candidate.index))
        .partition(|candidate| !tried_providers.contains(&&candidate.provider.name));
    [elsewhere, same]
        .into_iter()
        .filter(|group| !group.is_empty())
        .map(|group| group.into_iter().map(|candidate| candidate.index).collect())
        .collect()
}
