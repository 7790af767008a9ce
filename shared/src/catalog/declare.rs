//! From configuration to catalog: indexes are given by name, and what an earlier catalog gave stays.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use super::{Candidate, Catalog, Limits, Model, Row, ScopeKind, Window};
use crate::config::{self, Config};
use crate::ids::{CandidateIndex, ModelIndex, ModelName, RowIndex};

impl Catalog {
    /// The catalog of a configuration that nothing came before.
    pub fn declare(config: &Config) -> Self {
        let mut catalog = Builder::after(&Self::default()).build(config);
        // The hash is over the declaration alone, so that equal files agree whatever came before them.
        let declared = serde_json::to_vec(&catalog).unwrap_or_default();
        catalog.hash = Sha256::digest(declared)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        catalog
    }

    /// The catalog of `config` as the successor of `previous`: what has a name in both keeps its index and its rings.
    ///
    /// What is gone keeps its index too, retired, so that no counter is ever taken for another's.
    pub fn succeed(config: &Config, previous: &Self) -> Self {
        let mut catalog = Builder::after(previous).build(config);
        catalog.hash = Self::declare(config).hash;
        catalog
    }

    /// Whether every index of `other` means the same here: this catalog succeeds it, or is it.
    pub fn succeeds(&self, other: &Self) -> bool {
        let is_same_row =
            |(mine, theirs): (&Row, &Row)| (mine.kind, &mine.name) == (theirs.kind, &theirs.name);
        let is_same_candidate =
            |(mine, theirs): (&Candidate, &Candidate)| mine.takes_the_same(theirs);
        let is_same_model = |(mine, theirs): (&Model, &Model)| mine.name == theirs.name;
        self.rows.len() >= other.rows.len()
            && self.candidates.len() >= other.candidates.len()
            && self.models.len() >= other.models.len()
            && self.rows.iter().zip(&other.rows).all(is_same_row)
            && self
                .candidates
                .iter()
                .zip(&other.candidates)
                .all(is_same_candidate)
            && self.models.iter().zip(&other.models).all(is_same_model)
    }

    pub fn model_index(&self, name: &str) -> Option<ModelIndex> {
        let position = self
            .models
            .iter()
            .position(|model| model.name.as_str() == name)?;
        Some(ModelIndex(u32::try_from(position).ok()?))
    }

    pub fn row_index(&self, kind: ScopeKind, name: &str) -> Option<RowIndex> {
        let position = self
            .rows
            .iter()
            .position(|row| row.kind == kind && row.name == name)?;
        Some(RowIndex(u32::try_from(position).ok()?))
    }

    /// Whether any admission is charged to a window: else nobody needs to remember it.
    pub fn has_windows(&self) -> bool {
        self.rows.iter().any(|row| !row.windows.is_empty())
    }

    /// The longest model, in candidates: bounds the batch.
    pub fn candidates_max(&self) -> usize {
        self.models
            .iter()
            .map(|model| model.candidates.len())
            .max()
            .unwrap_or(0)
    }
}

impl Candidate {
    /// Whether both are the same pair, and a lease of either takes the same rows.
    fn takes_the_same(&self, other: &Self) -> bool {
        self.name == other.name && self.key == other.key && self.scopes == other.scopes
    }
}

/// A catalog under construction.
struct Builder {
    catalog: Catalog,
    rows: HashMap<(ScopeKind, String), RowIndex>,
    /// All of a name: it has as many as there were sets of rows that its leases took.
    candidates: HashMap<String, Vec<CandidateIndex>>,
    models: HashMap<ModelName, ModelIndex>,
}

impl Builder {
    fn after(previous: &Catalog) -> Self {
        let mut catalog = previous.clone();
        catalog.version += 1;
        for row in &mut catalog.rows {
            row.is_retired = true;
        }
        for model in &mut catalog.models {
            model.retired.append(&mut model.candidates);
            model.retired.sort_unstable();
        }
        let mut candidates: HashMap<String, Vec<CandidateIndex>> = HashMap::new();
        for (candidate, index) in catalog.candidates.iter().zip(0..) {
            let same_name = candidates.entry(candidate.name.clone()).or_default();
            same_name.push(CandidateIndex(index));
        }
        Self {
            rows: (0..)
                .zip(&catalog.rows)
                .map(|(i, row)| ((row.kind, row.name.clone()), RowIndex(i)))
                .collect(),
            candidates,
            models: (0..)
                .zip(&catalog.models)
                .map(|(i, model)| (model.name.clone(), ModelIndex(i)))
                .collect(),
            catalog,
        }
    }

    fn build(mut self, config: &Config) -> Catalog {
        self.catalog.queue_max = config.queue.max_length;
        self.catalog.retry_share = config.retries.budget;
        for provider in &config.providers {
            self.limited_row(
                ScopeKind::Provider,
                provider.name.as_str(),
                &provider.limits,
            );
            for key in &provider.keys {
                // Keys are counted even without limits: strategies and people look at what is in flight.
                self.key_row(provider, key);
            }
        }
        for model in &config.models {
            self.model(config, model);
        }
        for client_key in &config.client_keys {
            self.limited_row(
                ScopeKind::ClientKey,
                client_key.name.as_str(),
                &client_key.limits,
            );
        }
        self.catalog
    }

    fn model(&mut self, config: &Config, model: &config::Model) {
        let model_row = self.limited_row(ScopeKind::Model, model.name.as_str(), &model.limits);
        let mut candidates = Vec::new();
        for upstream in &model.upstreams {
            let Some(provider) = config
                .providers
                .iter()
                .find(|provider| provider.name == upstream.provider)
            else {
                continue;
            };
            let upstream_name = format!("{}/{}/{}", model.name, upstream.provider, upstream.model);
            let upstream_row =
                self.limited_row(ScopeKind::Upstream, &upstream_name, &upstream.limits);
            let provider_row = self.limited_row(
                ScopeKind::Provider,
                provider.name.as_str(),
                &provider.limits,
            );
            for key in &provider.keys {
                let candidate = Candidate {
                    name: format!("{upstream_name}/{}", key.name),
                    key: self.key_row(provider, key),
                    scopes: [provider_row, upstream_row, model_row]
                        .into_iter()
                        .flatten()
                        .collect(),
                    weight: key.weight * upstream.weight,
                };
                candidates.push(self.candidate(candidate));
            }
        }
        let mut declared = Model {
            name: model.name.clone(),
            strategy: model.strategy,
            exclusive: model.exclusive,
            candidates,
            retired: Vec::new(),
        };
        match self.models.get(&model.name) {
            Some(index) => {
                let slot = &mut self.catalog.models[index.position()];
                declared.retired = std::mem::take(&mut slot.retired);
                declared
                    .retired
                    .retain(|retired| !declared.candidates.contains(retired));
                *slot = declared;
            }
            None => self.catalog.models.push(declared),
        }
    }

    fn candidate(&mut self, candidate: Candidate) -> CandidateIndex {
        let same_name = self.candidates.entry(candidate.name.clone()).or_default();
        let known = same_name
            .iter()
            .find(|index| self.catalog.candidates[index.position()].takes_the_same(&candidate));
        if let Some(&index) = known {
            self.catalog.candidates[index.position()] = candidate;
            return index;
        }
        let index = CandidateIndex(index_of(self.catalog.candidates.len()));
        same_name.push(index);
        self.catalog.candidates.push(candidate);
        index
    }

    /// Only a scope with limits is worth a row, keys apart.
    fn limited_row(&mut self, kind: ScopeKind, name: &str, limits: &Limits) -> Option<RowIndex> {
        (!limits.is_unlimited()).then(|| self.row(kind, name.to_owned(), limits))
    }

    fn key_row(&mut self, provider: &config::Provider, key: &config::Key) -> RowIndex {
        let name = format!("{}/{}", provider.name, key.name);
        let index = self.row(ScopeKind::Key, name, &key.limits);
        self.catalog.rows[index.position()].credential = credential(provider, key);
        index
    }

    fn row(&mut self, kind: ScopeKind, name: String, limits: &Limits) -> RowIndex {
        let known = self.rows.get(&(kind, name.clone())).copied();
        let before = known
            .map(|index| self.catalog.rows[index.position()].windows.clone())
            .unwrap_or_default();
        let mut windows = Vec::new();
        for (window, limit) in limits.windows() {
            let kept = before.iter().find(|before| before.kind == window.code());
            let offset = kept.map(|kept| kept.offset).unwrap_or_else(|| {
                let offset = self.catalog.buckets;
                self.catalog.buckets += u32::try_from(window.ring_len()).unwrap_or_default();
                offset
            });
            windows.push(Window {
                kind: window.code(),
                limit,
                offset,
            });
        }
        let row = Row {
            kind,
            name: name.clone(),
            slots_max: limits.concurrency.unwrap_or(0),
            windows,
            credential: String::new(),
            is_retired: false,
        };
        if let Some(index) = known {
            self.catalog.rows[index.position()] = row;
            return index;
        }
        let index = RowIndex(index_of(self.catalog.rows.len()));
        self.rows.insert((kind, name), index);
        self.catalog.rows.push(row);
        index
    }
}

/// Tells a changed credential or address, and is too short to tell anything else.
fn credential(provider: &config::Provider, key: &config::Key) -> String {
    let mut digest = Sha256::new();
    let headers = provider.headers.iter();
    let headers = headers.flat_map(|(name, value)| [name.as_str(), value.expose()]);
    for part in [provider.base_url.as_str(), key.secret.expose()]
        .into_iter()
        .chain(headers)
    {
        digest.update(part);
        digest.update([0]);
    }
    let digest = digest.finalize();
    digest[..4]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn index_of(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;

    /// One provider with these settings, one model over all of its keys.
    fn config(provider: &str) -> Config {
        let yaml = format!(
            "
providers: [{{ name: p, dialect: openai_chat, base_url: 'http://p/v1', {provider} }}]
models: [{{ name: m, upstreams: [{{ provider: p }}] }}]
client_keys: [{{ name: c, secret: sk-long-enough-for-a-token }}]
"
        );
        Config::from_yaml(&yaml, &Overrides::default(), std::iter::empty()).unwrap()
    }

    const TWO: &str = "keys: [{ name: a, secret: s }, { name: b, secret: s }]";

    #[test]
    fn what_is_gone_keeps_its_index_and_finds_it_again() {
        let both = Catalog::declare(&config(TWO));
        let one = Catalog::succeed(&config("keys: [{ name: b, secret: s }]"), &both);
        let again = Catalog::succeed(&config(TWO), &one);

        assert!(one.succeeds(&both) && again.succeeds(&one));
        assert!(one.rows[0].is_retired && !one.rows[1].is_retired);
        assert_eq!(one.models[0].candidates, [CandidateIndex(1)]);
        assert_eq!(one.models[0].retired, [CandidateIndex(0)]);
        assert_eq!(again.models, both.models);
        assert_eq!((again.hash, again.version), (both.hash, 3));
    }

    #[test]
    fn a_candidate_whose_scopes_change_is_another_one_until_they_change_back() {
        let limited = format!("limits: {{ concurrency: 1 }}, {TWO}");
        let free = Catalog::declare(&config(TWO));
        let bound = Catalog::succeed(&config(&limited), &free);
        let again = Catalog::succeed(&config(TWO), &bound);

        assert_eq!(
            bound.models[0].candidates,
            [CandidateIndex(2), CandidateIndex(3)]
        );
        assert_eq!(
            bound.models[0].retired,
            [CandidateIndex(0), CandidateIndex(1)]
        );
        assert_eq!(again.models[0].candidates, free.models[0].candidates);
        assert_eq!(again.candidates.len(), 4);
    }

    #[test]
    fn a_window_that_comes_back_is_a_new_one_and_one_that_stays_keeps_its_ring() {
        let with = |limits: &str| {
            config(&format!(
                "keys: [{{ name: a, secret: s, limits: {{ {limits} }} }}]"
            ))
        };
        let first = Catalog::declare(&with("rpm: 5, tpm: 7"));
        let second = Catalog::succeed(&with("rpm: 6"), &first);
        let third = Catalog::succeed(&with("rpm: 6, tpm: 7"), &second);

        let offsets = |catalog: &Catalog| -> Vec<u32> {
            let windows = catalog.rows[0].windows.iter();
            windows.map(|window| window.offset).collect()
        };
        assert_eq!(offsets(&first)[0], offsets(&third)[0]);
        assert!(offsets(&third)[1] >= second.buckets);
    }

    #[test]
    fn a_catalog_with_other_names_at_its_indexes_does_not_succeed() {
        let one = Catalog::declare(&config("keys: [{ name: a, secret: s }]"));
        let other = Catalog::declare(&config("keys: [{ name: b, secret: s }]"));

        assert!(!other.succeeds(&one));
        assert!(!one.succeeds(&Catalog::declare(&config(TWO))));
    }
}
