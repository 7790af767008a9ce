//! This replica's immutable snapshot of what it may serve, to whom, and with which credentials.
//!
//! It is the configuration file ∩ the store's catalog: names and secrets come from the file, indexes from the catalog.
//! A request sees one snapshot from start to end; another catalog makes another snapshot.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::{Map, Value};
use shared::catalog::{Catalog, ScopeKind};
use shared::config::{ClientKey, Config, Model};
use shared::ids::{
    CandidateIndex, ClientKeyName, KeyName, ModelIndex, ModelName, ProviderName, RowIndex, TeamName,
};
use shared::secret::Secret;
use shared::units::Priority;
use subtle::ConstantTimeEq as _;

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
    pub(crate) overrides: Map<String, Value>,
    /// In configuration order.
    pub(crate) candidates: Vec<FleetCandidate>,
    /// Whether the catalog knows candidates of this model that this replica has no credential for.
    pub(crate) is_partial: bool,
}

/// (upstream, key), with what it takes to call it.
#[derive(Debug)]
pub(crate) struct FleetCandidate {
    pub(crate) index: CandidateIndex,
    pub(crate) provider: Arc<FleetProvider>,
    pub(crate) key: KeyName,
    pub(crate) secret: Secret<String>,
    /// `provider/key`, for people.
    pub(crate) label: Arc<str>,
    /// The provider's name for the model.
    pub(crate) upstream_model: String,
}

#[derive(Debug)]
pub(crate) struct FleetProvider {
    pub(crate) name: ProviderName,
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
    /// Its own limited scopes.
    pub(crate) rows: Vec<RowIndex>,
}

impl Fleet {
    pub(crate) fn build(config: &Config, catalog: Arc<Catalog>) -> Self {
        let indexes = Indexes::of(&catalog);
        let providers: HashMap<&str, Arc<FleetProvider>> = config
            .providers
            .iter()
            .map(|provider| {
                let fleet_provider = FleetProvider {
                    name: provider.name.clone(),
                    base_url: provider.base_url.clone(),
                    headers: provider.headers.clone(),
                };
                (provider.name.as_str(), Arc::new(fleet_provider))
            })
            .collect();

        let mut models = HashMap::new();
        let mut listing = Vec::new();
        for model in &config.models {
            let Some(built) = build_model(config, &catalog, &indexes, &providers, model) else {
                tracing::warn!(model = %model.name, "Model `{}` is in this replica's file, not in the cluster's catalog", model.name);
                continue;
            };
            let built = Arc::new(built);
            for name in std::iter::once(&model.name).chain(&model.aliases) {
                models.insert(name.clone(), Arc::clone(&built));
                listing.push((name.clone(), Arc::clone(&built)));
            }
        }

        let callers: HashMap<Digest, Arc<Caller>> = config
            .client_keys
            .iter()
            .filter(|key| {
                // Served, it would be served without its limits.
                let is_counted = key.limits.is_unlimited() || indexes.client_key_rows.contains_key(key.name.as_str());
                if !is_counted {
                    tracing::warn!(client_key = %key.name, "Client key `{}` is left out: its limits are not in the cluster's catalog", key.name);
                }
                is_counted
            })
            .map(|key| (key.digest, Arc::new(Caller::build(key, &indexes))))
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
}

impl FleetModel {
    /// Where in `candidates` the one with this index is.
    pub(crate) fn position(&self, index: CandidateIndex) -> Option<usize> {
        self.candidates
            .iter()
            .position(|candidate| candidate.index == index)
    }
}

impl Caller {
    fn build(key: &ClientKey, indexes: &Indexes<'_>) -> Self {
        Self {
            name: Some(key.name.clone()),
            team: key.team.clone(),
            priority: key.priority,
            models: key.models.clone(),
            rows: indexes
                .client_key_rows
                .get(key.name.as_str())
                // Limits that the cluster no longer has hold for whoever still reads them in its file.
                .filter(|(_, is_retired)| !is_retired || !key.limits.is_unlimited())
                .map(|(index, _)| *index)
                .into_iter()
                .collect(),
        }
    }

    fn anonymous() -> Self {
        Self {
            name: None,
            team: None,
            priority: Priority::DEFAULT,
            models: None,
            rows: Vec::new(),
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
        for key in &provider.keys {
            let name = format!(
                "{}/{provider_name}/{}/{}",
                model.name, upstream.model, key.name
            );
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
            });
        }
    }
    if candidates.is_empty() {
        // An empty list would allow all of the catalog's.
        return None;
    }
    let declared = catalog.models.get(index.position())?;
    let is_partial = declared.candidates.iter().any(|declared| {
        candidates
            .iter()
            .all(|candidate| candidate.index != *declared)
    });
    Some(FleetModel {
        index,
        name: model.name.clone(),
        is_exclusive: model.exclusive,
        overrides: model.overrides.clone(),
        candidates,
        is_partial,
    })
}

/// The snapshot that new requests take.
#[derive(Debug)]
pub(crate) struct CurrentFleet {
    current: RwLock<Current>,
}

#[derive(Debug)]
struct Current {
    config: Arc<Config>,
    fleet: Arc<Fleet>,
}

impl CurrentFleet {
    pub(crate) fn new(config: Arc<Config>, catalog: Arc<Catalog>) -> Self {
        let fleet = Arc::new(Fleet::build(&config, catalog));
        Self {
            current: RwLock::new(Current { config, fleet }),
        }
    }

    /// The snapshot for `catalog`, built anew when the store's catalog is another one than before.
    pub(crate) fn at(&self, catalog: &Arc<Catalog>) -> Arc<Fleet> {
        {
            let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
            if Arc::ptr_eq(&current.fleet.catalog, catalog) {
                return Arc::clone(&current.fleet);
            }
        }
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        // Whoever was slower must not bring back an older one.
        let is_older = catalog.version < current.fleet.catalog.version
            && current.fleet.catalog.succeeds(catalog);
        if !is_older && !Arc::ptr_eq(&current.fleet.catalog, catalog) {
            current.fleet = Arc::new(Fleet::build(&current.config, Arc::clone(catalog)));
        }
        Arc::clone(&current.fleet)
    }

    /// Goes over to another configuration; requests that are under way keep their snapshot.
    pub(crate) fn reload(&self, config: Arc<Config>) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let catalog = Arc::clone(&current.fleet.catalog);
        *current = Current {
            fleet: Arc::new(Fleet::build(&config, catalog)),
            config,
        };
    }
}

#[cfg(test)]
pub(crate) mod tests;
