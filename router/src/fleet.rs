//! This replica's immutable snapshot of what it may serve, to whom, and with which credentials.
//!
//! It is the configuration file ∩ the store's catalog: names and secrets come from the file, indexes from the catalog.
//! A request sees one snapshot from start to end; another catalog makes another snapshot. Where a changed file declares
//! what the catalog does not have yet, what was served before goes on to be served.

mod current;

use std::collections::HashMap;
use std::sync::Arc;

use dialect::Overrides;
use shared::catalog::{Catalog, ScopeKind};
use shared::config::{Capability, ClientKey, Config, Dialect, Manners, Model};
use shared::ids::{
    CandidateIndex, ClientKeyName, KeyName, ModelIndex, ModelName, ProviderName, RowIndex, TeamName,
};
use shared::secret::Secret;
use shared::units::Priority;
use subtle::ConstantTimeEq as _;

pub(crate) use self::current::CurrentFleet;

/// A client key's digest: SHA-256 of the whole token.
pub(crate) type Digest = [u8; 32];

#[derive(Debug)]
pub(crate) struct Fleet {
    catalog: Arc<Catalog>,
    /// By public name and by alias.
    models: HashMap<ModelName, Arc<FleetModel>>,
    /// Public names and aliases as `/v1/models` lists them, with their model.
    listing: Vec<(ModelName, Arc<FleetModel>)>,
    callers: HashMap<Digest, Arc<Caller>>,
    /// Who calls when no client key is configured.
    anonymous: Option<Arc<Caller>>,
}

#[derive(Debug)]
pub(crate) struct FleetModel {
    pub(crate) index: ModelIndex,
    pub(crate) name: ModelName,
    /// Whether a key has one holder at a time, who must stop when its lease is lost.
    pub(crate) is_exclusive: bool,
    /// Request fields that are forced.
    pub(crate) overrides: Overrides,
    /// Whether what an upstream's dialect cannot express is left out.
    pub(crate) drop_unsupported: bool,
    /// In configuration order; empty where the catalog knows none of those that this replica can call.
    pub(crate) candidates: Vec<FleetCandidate>,
    /// Whether the catalog knows candidates of this model that are not among these: this replica has no credential for
    /// them, or they cannot serve the request at hand.
    pub(crate) is_partial: bool,
}

/// (upstream, key), with what it takes to call it.
#[derive(Clone, Debug)]
pub(crate) struct FleetCandidate {
    pub(crate) index: CandidateIndex,
    pub(crate) provider: Arc<FleetProvider>,
    pub(crate) key: KeyName,
    pub(crate) secret: Secret<String>,
    /// `provider/key`, for people.
    pub(crate) label: Arc<str>,
    /// The provider's name for the model.
    pub(crate) upstream_model: String,
    /// Prompt and answer together; `None` is unknown.
    pub(crate) context_length: Option<u32>,
    /// `None` is unknown.
    pub(crate) capabilities: Option<Arc<[Capability]>>,
    /// Whether the key serves no other upstream model: most providers report their limits by model.
    pub(crate) is_only_model: bool,
}

#[derive(Debug)]
pub(crate) struct FleetProvider {
    pub(crate) name: ProviderName,
    pub(crate) dialect: Dialect,
    pub(crate) manners: Manners,
    pub(crate) api_version: Option<String>,
    pub(crate) base_url: String,
    pub(crate) headers: Vec<(String, Secret<String>)>,
}

/// Who asks: only `authenticate` hands one out.
#[derive(Debug)]
pub(crate) struct Caller {
    /// `None`: no client keys are configured, and everybody is this caller.
    pub(crate) name: Option<ClientKeyName>,
    pub(crate) team: Option<TeamName>,
    /// Ceiling and default.
    pub(crate) priority: Priority,
    /// `None` allows all.
    models: Option<Vec<ModelName>>,
    /// Its own limited scopes; `None` while the catalog does not have them, and nothing can be counted.
    pub(crate) rows: Option<Vec<RowIndex>>,
}

impl Fleet {
    /// `previous` is what was served until now.
    pub(crate) fn build(config: &Config, catalog: Arc<Catalog>, previous: Option<&Self>) -> Self {
        let indexes = Indexes::of(&catalog);
        let providers: HashMap<&str, Arc<FleetProvider>> = config
            .providers
            .iter()
            .map(|provider| {
                let fleet_provider = FleetProvider {
                    name: provider.name.clone(),
                    dialect: provider.dialect,
                    manners: provider.manners,
                    api_version: provider.api_version.clone(),
                    base_url: provider.base_url.clone(),
                    headers: provider.headers.clone(),
                };
                (provider.name.as_str(), Arc::new(fleet_provider))
            })
            .collect();

        let mut models = HashMap::new();
        let mut listing = Vec::new();
        for model in &config.models {
            let built = build_model(config, &catalog, &indexes, &providers, model).map(Arc::new);
            let is_served = built
                .as_ref()
                .is_some_and(|built| !built.candidates.is_empty());
            for name in std::iter::once(&model.name).chain(&model.aliases) {
                let kept = previous
                    .filter(|_| !is_served)
                    .and_then(|previous| previous.model(name.as_str()))
                    .and_then(|previous| keep_model(config, &catalog, &indexes, previous));
                let Some(served) = kept.map(Arc::new).or_else(|| built.clone()) else {
                    tracing::warn!(model = %name, "Model `{name}` is in this replica's file, not in the cluster's catalog");
                    continue;
                };
                models.insert(name.clone(), Arc::clone(&served));
                listing.push((name.clone(), served));
            }
        }

        let callers: HashMap<Digest, Arc<Caller>> = config
            .client_keys
            .iter()
            .map(|key| {
                let previous = previous.and_then(|previous| previous.caller_named(Some(&key.name)));
                let caller = Caller::build(key, &indexes, previous.map(Arc::as_ref));
                (key.digest, Arc::new(caller))
            })
            .collect();
        let anonymous = config
            .client_keys
            .is_empty()
            .then(|| Arc::new(Caller::anonymous()));
        Self {
            catalog,
            models,
            listing,
            callers,
            anonymous,
        }
    }

    pub(crate) fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// Looks a model up by public name or alias.
    pub(crate) fn model(&self, name: &str) -> Option<&Arc<FleetModel>> {
        self.models.get(name)
    }

    /// What `caller` may ask for, in configuration order, aliases after their model.
    pub(crate) fn models_for<'a>(
        &'a self,
        caller: &'a Caller,
    ) -> impl Iterator<Item = &'a ModelName> {
        self.listing
            .iter()
            .filter(|(name, model)| caller.may_use(name.as_str(), model))
            .map(|(name, _)| name)
    }

    /// Finds the caller whose token has this digest.
    ///
    /// The map is asked with a digest, of which nothing can be learnt by timing; the comparison that decides is
    /// constant in time all the same.
    pub(crate) fn caller(&self, digest: &Digest) -> Option<&Arc<Caller>> {
        let (known, caller) = self.callers.get_key_value(digest)?;
        bool::from(known.ct_eq(digest)).then_some(caller)
    }

    pub(crate) fn anonymous(&self) -> Option<&Arc<Caller>> {
        self.anonymous.as_ref()
    }

    /// The caller of this name, `None` being everybody's: looks through all, and asks for no token.
    pub(crate) fn caller_named(&self, name: Option<&ClientKeyName>) -> Option<&Arc<Caller>> {
        let mut callers = self.callers.values().chain(&self.anonymous);
        callers.find(|caller| caller.name.as_ref() == name)
    }
}

impl FleetModel {
    /// The same with only those of its candidates; a claim has to name them then.
    pub(crate) fn with_candidates(&self, candidates: Vec<FleetCandidate>) -> Self {
        Self {
            index: self.index,
            name: self.name.clone(),
            is_exclusive: self.is_exclusive,
            overrides: self.overrides.clone(),
            drop_unsupported: self.drop_unsupported,
            is_partial: true,
            candidates,
        }
    }

    /// Where in `candidates` the one with this index is.
    pub(crate) fn position(&self, index: CandidateIndex) -> Option<usize> {
        self.candidates
            .iter()
            .position(|candidate| candidate.index == index)
    }
}

impl Caller {
    fn build(key: &ClientKey, indexes: &Indexes<'_>, previous: Option<&Self>) -> Self {
        let is_unlimited = key.limits.is_unlimited();
        let row = indexes
            .client_key_rows
            .get(key.name.as_str())
            // Limits that the cluster no longer has hold for whoever still reads them in its file.
            .filter(|(_, is_retired)| !is_retired || !is_unlimited);
        let was_unlimited = previous
            .and_then(|previous| previous.rows.as_ref())
            .is_some_and(Vec::is_empty);
        let rows = match row {
            Some((index, _)) => Some(vec![*index]),
            // Its first limits begin when they are published.
            None if is_unlimited || was_unlimited => Some(Vec::new()),
            None => {
                tracing::warn!(client_key = %key.name, "Client key `{}` is refused: its limits are not in the cluster's catalog", key.name);
                None
            }
        };
        Self {
            name: Some(key.name.clone()),
            team: key.team.clone(),
            priority: key.priority,
            models: key.models.clone(),
            rows,
        }
    }

    fn anonymous() -> Self {
        Self {
            name: None,
            team: None,
            priority: Priority::DEFAULT,
            models: None,
            rows: Some(Vec::new()),
        }
    }

    /// Whether it may ask for `model` under `name`, its public name or an alias; allowing either allows both.
    pub(crate) fn may_use(&self, name: &str, model: &FleetModel) -> bool {
        let Some(allowed) = &self.models else {
            return true;
        };
        allowed
            .iter()
            .any(|allowed| allowed.as_str() == name || *allowed == model.name)
    }
}

/// The catalog's indexes by name.
struct Indexes<'a> {
    models: HashMap<&'a str, ModelIndex>,
    candidates: HashMap<&'a str, CandidateIndex>,
    /// With whether they are retired.
    client_key_rows: HashMap<&'a str, (RowIndex, bool)>,
}

impl<'a> Indexes<'a> {
    fn of(catalog: &'a Catalog) -> Self {
        Self {
            models: (0..)
                .map(ModelIndex)
                .zip(&catalog.models)
                .map(|(index, model)| (model.name.as_str(), index))
                .collect(),
            // Of one name there may be several, of which the models have one.
            candidates: catalog
                .models
                .iter()
                .flat_map(|model| &model.candidates)
                .filter_map(|index| {
                    let candidate = catalog.candidates.get(index.position())?;
                    Some((candidate.name.as_str(), *index))
                })
                .collect(),
            client_key_rows: (0..)
                .map(RowIndex)
                .zip(&catalog.rows)
                .filter(|(_, row)| row.kind == ScopeKind::ClientKey)
                .map(|(index, row)| (row.name.as_str(), (index, row.is_retired)))
                .collect(),
        }
    }
}

fn build_model(
    config: &Config,
    catalog: &Catalog,
    indexes: &Indexes<'_>,
    providers: &HashMap<&str, Arc<FleetProvider>>,
    model: &Model,
) -> Option<FleetModel> {
    let index = *indexes.models.get(model.name.as_str())?;
    let mut candidates = Vec::new();
    for upstream in &model.upstreams {
        let provider_name = upstream.provider.as_str();
        let Some(provider) = config
            .providers
            .iter()
            .find(|provider| provider.name == upstream.provider)
        else {
            continue;
        };
        let Some(fleet_provider) = providers.get(provider_name) else {
            continue;
        };
        let capabilities: Option<Arc<[Capability]>> =
            upstream.capabilities.as_deref().map(Arc::from);
        for key in &provider.keys {
            let name = candidate_name(&model.name, &provider.name, &upstream.model, &key.name);
            let Some(candidate) = indexes.candidates.get(name.as_str()) else {
                tracing::warn!(
                    candidate = name,
                    "Candidate `{name}` is in this replica's file, not in the cluster's catalog"
                );
                continue;
            };
            candidates.push(FleetCandidate {
                index: *candidate,
                provider: Arc::clone(fleet_provider),
                key: key.name.clone(),
                secret: key.secret.clone(),
                label: format!("{provider_name}/{}", key.name).into(),
                upstream_model: upstream.model.clone(),
                context_length: upstream.context_length,
                capabilities: capabilities.clone(),
                is_only_model: is_only_model(config, &provider.name, &upstream.model),
            });
        }
    }
    let declared = &catalog.models.get(index.position())?.candidates;
    if declared.is_empty() {
        // The cluster has it no more.
        return None;
    }
    Some(FleetModel {
        index,
        name: model.name.clone(),
        is_exclusive: model.exclusive,
        overrides: Overrides::from(model.overrides.clone()),
        drop_unsupported: model.drop_unsupported,
        is_partial: is_partial(declared, &candidates),
        candidates,
    })
}

/// What was served of a model until now, as far as the catalog still has it.
fn keep_model(
    config: &Config,
    catalog: &Catalog,
    indexes: &Indexes<'_>,
    previous: &FleetModel,
) -> Option<FleetModel> {
    let index = *indexes.models.get(previous.name.as_str())?;
    let known = previous.candidates.iter().filter_map(|candidate| {
        let (provider, upstream_model) = (&candidate.provider.name, &candidate.upstream_model);
        let name = candidate_name(&previous.name, provider, upstream_model, &candidate.key);
        Some(FleetCandidate {
            index: *indexes.candidates.get(name.as_str())?,
            is_only_model: is_only_model(config, provider, upstream_model),
            ..candidate.clone()
        })
    });
    let candidates: Vec<_> = known.collect();
    let declared = &catalog.models.get(index.position())?.candidates;
    (!candidates.is_empty()).then(|| FleetModel {
        index,
        name: previous.name.clone(),
        is_exclusive: previous.is_exclusive,
        overrides: previous.overrides.clone(),
        drop_unsupported: previous.drop_unsupported,
        is_partial: is_partial(declared, &candidates),
        candidates,
    })
}

fn candidate_name(
    model: &ModelName,
    provider: &ProviderName,
    upstream_model: &str,
    key: &KeyName,
) -> String {
    format!("{model}/{provider}/{upstream_model}/{key}")
}

fn is_partial(declared: &[CandidateIndex], candidates: &[FleetCandidate]) -> bool {
    let is_known = |index: &CandidateIndex| candidates.iter().any(|known| known.index == *index);
    !declared.iter().all(is_known)
}

/// Whether no model of the file uses another upstream model of this provider, all of whose keys serve all of them.
fn is_only_model(config: &Config, provider: &ProviderName, upstream_model: &str) -> bool {
    let mut upstreams = config.models.iter().flat_map(|model| &model.upstreams);
    upstreams.all(|other| other.provider != *provider || other.model == upstream_model)
}

#[cfg(test)]
pub(crate) mod tests;
